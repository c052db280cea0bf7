/* cmd_init.c - `lethe init DIR`: the only place that makes keys and the empty
 * opt-out list, so that their absence later is noticed, never papered over. */
#include "lethe/gateway/audit/signer.h"
#include "lethe/gateway/cmd/cmd.h"
#include "lethe/gateway/conf.h"
#include "lethe/gateway/file.h"
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/random.h"
#include "lethe/gateway/rights/optout.h"
#include "lethe/gateway/state.h"
#include "lethe/policy/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CONFIG_MAX 8192u
/* The log's name until the config gives it another: nothing is signed yet. */
#define EXAMPLE_ORIGIN "gw1.example/audit"

static int fail_at(const char *dir, const char *name, const char *why)
{
    return cmd_fail(CMD_WRONG, "%s/%s: %s", dir, name, why);
}

static bool path_in(const char *dir, const char *name, char out[CONF_PATH_MAX])
{
    int n = snprintf(out, CONF_PATH_MAX, "%s/%s", dir, name);

    return n > 0 && (size_t)n < CONF_PATH_MAX;
}

static int make_folder(const char *dir, const char *name)
{
    char path[CONF_PATH_MAX];

    if (!path_in(dir, name, path))
        return fail_at(dir, name, "the path is too long");
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return fail_at(dir, name, strerror(errno));
    return CMD_OK;
}

static int write_new(const char *dir, const char *name, unsigned mode,
                     struct slice bytes)
{
    char path[CONF_PATH_MAX];

    if (!path_in(dir, name, path))
        return fail_at(dir, name, "the path is too long");
    switch ((int)file_create(path, mode, bytes)) {
    case ST_OK:
        return CMD_OK;
    case ST_EXISTS:
        return fail_at(dir, name,
                       "is there already; init changes nothing "
                       "that exists");
    default:
        return fail_at(dir, name, strerror(errno));
    }
}

/* The example: one site, a policy beside it, our own file and database. */
static void put_config(struct buf *out)
{
    struct random_source r;

    random_init(&r);
    uint64_t id = random_u64(&r);
    random_wipe(&r);
    buf_printf(out,
               "// The operator's file; docs/config.md explains every key.\n"
               "{\n"
               "  \"state_dir\": \"state\",\n"
               "  \"listen\": [{\"address\": \"127.0.0.1:8080\", "
               "\"trusted_proxies\": [], \"tls\": null}],\n"
               "  \"admin\": {\"address\": \"127.0.0.1:8081\", \"hosts\": "
               "[\"localhost\"], \"tls\": null},\n"
               "  \"master_key\": {\"file\": \"keys/master.key\"},\n"
               "  \"optout_key\": {\"file\": \"keys/optout.key\"},\n"
               "  \"optout_journal\": \"optout-journal\",\n"
               "  \"signer\": {\"dir\": \"signer\"},\n"
               "  \"audit\": {\"origin\": \"" EXAMPLE_ORIGIN "\"},\n"
               "  \"sites\": [{\n"
               "    \"id\": \"%016llx\", \"name\": \"mixbot\",\n"
               "    \"policy\": \"policy/mixbot.json\",\n"
               "    \"origins\": [\"http://localhost:*\"],\n"
               "    \"destinations\": [\n"
               "      {\"name\": \"store\", \"type\": \"sqlite\", \"path\": "
               "\"events.db\"},\n"
               "      {\"name\": \"file\", \"type\": \"jsonl\", \"path\": "
               "\"user_analytics.jsonl\"}\n"
               "    ]\n"
               "  }]\n"
               "}\n",
               (unsigned long long)id);
}

static int write_config(const char *dir)
{
    struct buf text;

    buf_init(&text, CONFIG_MAX);
    put_config(&text);
    int code = text.failed
                   ? cmd_fail(CMD_WRONG, "out of memory")
                   : write_new(dir, "lethe.json", 0644, buf_slice(&text));
    buf_free(&text);
    return code;
}

static int write_policy(const char *dir)
{
    struct slice text;

    if (policy_shipped(NULL, SLICE("mixbot"), &text) != ST_OK)
        return cmd_fail(CMD_WRONG, "this build lacks its example policy");
    return write_new(dir, "policy/mixbot.json", 0644, text);
}

static int make_keys(const char *dir)
{
    static const char *const names[] = {"keys/master.key", "keys/optout.key"};
    char path[CONF_PATH_MAX];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!path_in(dir, names[i], path))
            return fail_at(dir, names[i], "the path is too long");
        enum status st = keyfile_create(path);
        if (st != ST_OK)
            return fail_at(dir, names[i],
                           st == ST_EXISTS ? "is there already"
                                           : strerror(errno));
    }
    return CMD_OK;
}

static int make_optouts(const char *dir)
{
    char key_path[CONF_PATH_MAX], journal[CONF_PATH_MAX], db[CONF_PATH_MAX],
        folder[CONF_PATH_MAX];
    enum key_fault fault = KEY_FAULT_NONE;
    enum state_fault state_fault;
    struct state *state = NULL;
    uint8_t *key = NULL;

    if (!path_in(dir, "keys/optout.key", key_path) ||
        !path_in(dir, "optout-journal", journal) ||
        !path_in(dir, "state", folder) || !path_in(dir, "state/optout.db", db))
        return fail_at(dir, "state", "the path is too long");
    if (keyfile_load(key_path, NULL, &key, &fault) != ST_OK)
        return fail_at(dir, "keys/optout.key", key_fault_text(fault));
    int code = CMD_OK;
    if (state_open(folder, &state, &state_fault) != ST_OK)
        code = fail_at(dir, "state", state_fault_text(state_fault));
    else if (optout_create(journal, db, key) != ST_OK)
        code = fail_at(dir, "optout-journal",
                       "the empty opt-out list could not be made");
    state_close(state);
    secret_free(key);
    return code;
}

static int make_signer(const char *dir)
{
    char path[CONF_PATH_MAX];

    if (!path_in(dir, "signer", path))
        return fail_at(dir, "signer", "the path is too long");
    enum status st = signer_make(path, SLICE(EXAMPLE_ORIGIN));
    return st == ST_OK ? CMD_OK : fail_at(dir, "signer", status_name(st));
}

static int make_all(const char *dir)
{
    static const char *const folders[] = {"keys", "policy", "signer"};
    int code = CMD_OK;

    if (mkdir(dir, 0755) != 0 && errno != EEXIST)
        return cmd_fail(CMD_WRONG, "%s: %s", dir, strerror(errno));
    code = write_config(dir); /* refuses a DIR that has one */
    for (size_t i = 0; code == CMD_OK && i < 3; i++)
        code = make_folder(dir, folders[i]);
    if (code == CMD_OK)
        code = write_policy(dir);
    if (code == CMD_OK)
        code = make_keys(dir);
    if (code == CMD_OK)
        code = make_optouts(dir);
    if (code == CMD_OK)
        code = make_signer(dir);
    return code;
}

static void say_made(const struct cmd_line *l)
{
    struct buf text;

    buf_init(&text, 2 * 6 * CONF_PATH_MAX);
    if (l->json) {
        buf_put(&text, SLICE("{\"folder\":"));
        buf_put_json_string(&text, slice_of(l->positionals[0]));
        buf_put(&text, SLICE("}\n"));
    } else {
        buf_printf(&text,
                   "made %s/lethe.json with new keys, the Mixbot policy and an "
                   "empty opt-out list\n",
                   l->positionals[0]);
    }
    (void)fwrite(text.data, 1, text.len, stdout);
    buf_free(&text);
}

int cmd_init(const struct cmd *self, int argc, char **argv)
{
    struct cmd_line l;
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    if (l.positional_count != 1)
        return cmd_fail(CMD_USAGE, "init needs one DIR");
    if (secrets_init() != ST_OK)
        return cmd_fail(CMD_WRONG, "libsodium cannot be initialised");
    code = make_all(l.positionals[0]);
    if (code == CMD_OK)
        say_made(&l);
    return code;
}
