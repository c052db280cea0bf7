#!/bin/sh
# Every check of the house can fail: plant one violation of each kind in a
# small tree of its own and expect red, and green without it.
# shellcheck disable=SC2016 # texts of the files that are planted
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0
count=0

# A tree with one good file of each kind.
plant_good()
{
    rm -rf "${tree:?}"/* && mkdir -p "$tree/include/lethe/policy/base" \
        "$tree/policy/base" "$tree/gateway/http" "$tree/tests/data/audit"
    cp "$root/.clang-format" "$root/.clang-tidy" "$tree"
    cp -r "$root/tests/data/audit/." "$tree/tests/data/audit"
    cp "$root"/include/lethe/policy/base/*.h "$tree/include/lethe/policy/base"
    printf '#include "lethe/policy/hit.h"\n\nint intake(void);\n' \
        >"$tree/gateway/intake.c"
    printf '#ifndef HIT_H\n#define HIT_H\n\nint hit(void);\n\n#endif\n' \
        >"$tree/include/lethe/policy/hit.h"
    good='int add(int a, int b);\n\nint add(int a, int b)\n{\n    return a + b;\n}\n'
    # shellcheck disable=SC2059 # the format is ours
    printf "$good" >"$tree/gateway/add.c"
    printf '#!/bin/sh\necho "$1"\n' >"$tree/good.sh"
}

# expect red|green CHECK WHAT: run the check in the tree.
expect()
{
    count=$((count + 1))
    if [ "$2" = tidy ]; then set -- "$1" tidy "$3" all; fi
    # shellcheck disable=SC2086 # no argument, or "all"
    if (cd "$tree" && "$here/$2.sh" ${4:-} >/dev/null 2>&1); then got=green; else got=red; fi
    if [ "$got" != "$1" ]; then
        echo "selftest: $2 is $got for: $3" >&2
        failed=1
    fi
}

# red CHECK FILE TEXT WHAT
red()
{
    plant_good
    mkdir -p "$(dirname "$tree/$2")"
    printf '%b' "$3" >"$tree/$2"
    expect red "$1" "$4"
}

plant_good
for check in format includes verifier banned sizes headers shell cppcheck tidy generated; do
    expect green "$check" "a good tree"
done

red format gateway/a.c 'int  a ;\n' "two spaces"
red includes policy/base/a.c '#include "lethe/policy/hit.h"\n' "base includes policy"
red includes policy/a.c '#include "lethe/gateway/conf.h"\n' "policy includes gateway"
red includes include/lethe/policy/a.h '#include "lethe/gateway/conf.h"\n' "a policy header includes gateway"
red includes policy/a.c '#include <sys/socket.h>\n' "policy opens sockets"
red includes gateway/a.c '#include "lethe/policy/hit.h"\n' "raw data in the gateway"
plant_good
printf '#include "lethe/policy/hit.h"\n' >"$tree/include/lethe/policy/verdict.h"
printf '#include "lethe/policy/verdict.h"\n' >"$tree/gateway/a.c"
expect red includes "raw data through another header"
for door in sodium.h cjson/cJSON.h sqlite3.h curl/curl.h openssl/sha.h \
    openssl/ssl.h zlib.h event2/event.h; do
    red includes gateway/a.c "#include <$door>\n" "$door outside its door"
done
for call in strcpy strcat sprintf gets atoi strtok system popen rand \
    cJSON_GetErrorPtr; do
    red banned gateway/a.c "void a(void)\n{\n    $call();\n}\n" "$call"
done
red banned gateway/a.c 'void a(void)\n{\n    log_warn(LOG_HTTP, "x", LOG_NAME("a",\n        text));\n}\n' "a run-time string in the log"
red verifier gateway/audit/verify/a.c "#include \"lethe/gateway/audit/merkle.h\"\n" "a verifier that shares code"
red verifier gateway/audit/verify/a.c "$(yes "int a;" | head -n 2000)\n" "a verifier of 2000 lines"
red sizes gateway/a.c "$(yes '/**/' | head -n 500)\n" "a source of 500 lines"
red sizes include/lethe/a.h "$(yes '/**/' | head -n 300)\n" "a header of 300 lines"
red sizes gateway/a.c "int a(void)\n{\n$(yes '    ;' | head -n 71)\n}\n" "a function of 71 lines"
red headers include/lethe/a.h '#ifndef A_H\n#define A_H\nsize_t a(void);\n#endif\n' "a header that needs another"
red headers include/lethe/a.h 'int a(void);\n' "a header without a guard"
red headers include/lethe/a.h '#ifndef HIT_H\n#define HIT_H\n#endif\n' "a guard used twice"
red shell a.sh '#!/bin/sh\nrm $1\n' "a variable without quotes"
red cppcheck gateway/a.c 'int a(void);\nint a(void)\n{\n    int x[2] = {0, 0};\n    return x[2];\n}\n' "a read past the end"
red tidy gateway/a.c 'int a(int *p);\nint a(int *p)\n{\n    if (p == 0)\n        return *p;\n    return 0;\n}\n' "a null pointer followed"
red generated tests/data/audit/golden/vectors.txt 'x\n' "a generated file edited"
# The schemas: green as they are, red when one refuses or takes too much.
plant_schemas()
{
    plant_good
    mkdir -p "$tree/docs" "$tree/policy/profiles"
    cp "$root"/docs/*.schema.json "$tree/docs"
    cp "$root/policy/profiles/mixbot.json" "$tree/policy/profiles"
    cp -r "$root/tests/conf" "$root/tests/policy" "$tree/tests"
}
plant_schemas
expect green schemas "the schemas"
sed 's/"master_key": [{]/"master_kee": {/' "$root/docs/config.schema.json" \
    >"$tree/docs/config.schema.json"
expect red schemas "a schema that forgets a key"
plant_schemas
echo '{}' >"$tree/docs/policy.schema.json"
expect red schemas "a schema that takes everything"
# The limits themselves are allowed.
plant_good
printf 'int a(void);\n\nint a(void)\n{\n%s\n}\n' "$(yes '    ;' | head -n 70)" >"$tree/gateway/a.c"
expect green sizes "a function of 70 lines"
plant_good
printf '/* strcpy() and system() in a comment */\n' >"$tree/gateway/a.c"
expect green banned "banned names in a comment"

# The documents: a copy of the real ones, with one lie each.
plant_docs()
{
    rm -rf "${tree:?}"/*
    cp -r "$root/README.md" "$root/SECURITY.md" "$root/LICENSE" "$root/Makefile" "$root/docs" \
        "$root/gateway" "$root/include" "$root/policy" "$tree"
}

# red_docs CHECK FILE SED WHAT
red_docs()
{
    plant_docs
    sed -i "$3" "$tree/$2"
    if cmp -s "$tree/$2" "$root/$2"; then
        echo "selftest: nothing was planted in $2: $4" >&2
        failed=1
    fi
    expect red "$1" "$4"
}

# The same with the table of requirements and all tests.
plant_rights()
{
    plant_docs
    mkdir -p "$tree/tests"
    for part in unit scenario policy fuzz requirements.tsv; do
        cp -r "$root/tests/$part" "$tree/tests"
    done
}

red_rights()
{
    plant_rights
    sed -i "$2" "$tree/$1"
    expect red rights "$3"
}

plant_rights
expect green rights "the table of requirements as it is"
red_rights tests/requirements.tsv '/^R12\t/d' "a requirement that is missing"
red_rights tests/requirements.tsv 's/test_notice::test_r63_\*/test_notice::test_r99_*/' "a test that is not there"
red_rights tests/requirements.tsv 's/test_addresses::test_r74_\*/test_addresses::test_r72_*/' "a test of another number"
red_rights tests/requirements.tsv 's/^R29\topen/R29\tmet/' "a requirement met by nothing"
red_rights tests/unit/test_tcf.c 's/r66_publisher_restrictions/r29_publisher_restrictions/' "a test in no row"
red_rights docs/requirements.md 's/^| R48 | open/| R48 | met/' "a page that is not the table"

plant_docs
expect green docs "the documents as they are"
expect green man "the manual pages as they are"
red_docs docs README.md 's/(docs\/officer\.md)/(docs\/oficer.md)/' "a link that leads nowhere"
red_docs docs docs/threat-model.md 's/^## What media and backups keep/## Media/' "an anchor that is gone"
red_docs docs docs/operations.md '/^| `lethe_optouts`/d' "a metric that is not told"
red_docs docs docs/operations.md 's/^| `lethe_optouts`/| `lethe_optouts_total`/' "a metric that does not exist"
red_docs docs docs/operations.md '/^| `POST \/v1\/optin`/d' "a path that is not told"
red_docs docs docs/operations.md 's/^| 413 | `too_large`/| 413 | `large`/' "an error of another name"
red_docs docs docs/officer.md '/^| `late`/d' "a reason that is not told"
red_docs docs docs/officer.md 's/lethe audit verify/lethe audit vouch/' "a command that does not exist"
red_docs docs docs/audit.md 's/^| `tls.fail`/| `tls.fails`/' "a record act of another name"
red_docs docs docs/audit.md 's/^| 12 | late/| 13 | late/' "a code of another number"
red_docs docs docs/config.md '/^| `forwarders`/d' "a config key that is not told"
red_docs docs docs/operations.md 's/make install /make instal /' "a make target that does not exist"
red_docs docs docs/man/lethe.8 '/^\.It Ic keys status/d' "a command without its manual"
red_docs docs docs/man/lethe.8 's/Fl -format/Fl -forms/' "an option that does not exist"
red_docs docs docs/man/lethe.json.5 '/^\.It Ic forwarders/d' "a config key that the manual lacks"
red_docs docs docs/man/lethe-policy.5 's/^\.It Ic visitor/.It Ic visitors/' "a policy key of another name"
red_docs docs SECURITY.md '1s/$/ of anonymous data/' "a word that promises too much"
red_docs docs gateway/main.c 's/"How the running gateway does\."/"You are forgotten."/' "such a word in a program text"
red_docs docs gateway/main.c 's/{"keys status"/{"keys state"/' "a command that was renamed"
red_docs man docs/man/lethe.8 's/^\.It Ic check$/.Itt Ic check/' "a macro that does not exist"
red_docs man docs/man/lethe.8 's/^\.Xr lethe\.json 5 \./.Xr lethe.conf 5 ./' "a manual page that is not there"

[ "$failed" -eq 0 ] && echo "lint selftest: $count expectations hold"
exit $failed
