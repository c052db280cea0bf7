/* note.c - signed checkpoints (C2SP signed-note, tlog-checkpoint), witnesses'
 * cosignatures (tlog-cosignature), and who must have signed (tlog-policy). */
#include "parts.h"

#include <sodium.h>
#include <string.h>

#define DASH         "\xe2\x80\x94 "
#define LOG_KEY      1
#define WITNESS_KEY  4
#define KEY_TAIL     54u /* "+", 8 hex digits, "+", 44 of base64 */
#define PUBLIC_BYTES 32u
#define NAME_MAX_LEN 255u
#define NAMES_MAX    128u /* witnesses and groups of a policy */

static bool same(struct text a, struct text b)
{
    return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

struct key {
    struct text name;
    uint8_t type, id[4], public_key[PUBLIC_BYTES];
};

static bool key_read(struct text vkey, uint8_t type, struct key *k)
{
    uint8_t bytes[NAME_MAX_LEN + 2 + PUBLIC_BYTES], sum[HASH];
    char hex[sizeof(k->id) * 2 + 3];

    if (vkey.len <= KEY_TAIL || vkey.len > KEY_TAIL + NAME_MAX_LEN)
        return false;
    *k = (struct key){.name = {vkey.at, vkey.len - KEY_TAIL}, .type = type};
    struct text tail = {vkey.at + k->name.len, 10};
    struct text code = {tail.at + 10, KEY_TAIL - 10};
    size_t n = k->name.len + 1;
    memcpy(bytes, k->name.at, k->name.len);
    bytes[n - 1] = '\n';
    if (memchr(bytes, '+', n) != NULL || memchr(bytes, ' ', n) != NULL ||
        !v_base64_take(code, bytes + n, 1 + PUBLIC_BYTES) || bytes[n] != type)
        return false;
    memcpy(k->public_key, bytes + n + 1, PUBLIC_BYTES);
    v_hash_bytes(bytes, n + 1 + PUBLIC_BYTES, sum);
    memcpy(k->id, sum, sizeof(k->id));
    hex[0] = '+';
    (void)sodium_bin2hex(hex + 1, sizeof(hex) - 1, sum, sizeof(k->id));
    hex[9] = '+';
    return memcmp(tail.at, hex, 10) == 0;
}

bool v_checkpoint_read(struct text s, struct checkpoint *out)
{
    struct text t = s, root, name, code;
    struct checkpoint c = {.body = s};

    if (!v_take(&t, "%l\n%u\n%l\n", &c.origin, &c.size, &root) ||
        c.origin.len == 0 || c.origin.len > NAME_MAX_LEN ||
        !v_base64_take(root, c.root, HASH))
        return false;
    c.body.len -= t.len;
    if (t.len > 0 && (!v_take(&t, "\n") || t.len == 0))
        return false;
    for (c.lines = t; t.len > 0;)
        if (!v_take(&t, DASH "%w %w\n", &name, &code) || name.len == 0 ||
            code.len == 0)
            return false;
    *out = c;
    return true;
}

/* One line of `k`'s: does it sign? A cosignature has its time before it. */
static bool line_signs(const struct checkpoint *c, const struct key *k,
                       struct text code)
{
    uint8_t blob[4 + 8 + crypto_sign_BYTES];
    size_t head = k->type == WITNESS_KEY ? 12 : 4;
    char message[1024];
    uint64_t time_s = 0;
    int n = 0;

    if (!v_base64_take(code, blob, head + crypto_sign_BYTES))
        return false;
    for (size_t i = 4; i < head; i++)
        time_s = time_s << 8 | blob[i];
    if (head > 4)
        n = snprintf(message, sizeof(message), "cosignature/v1\ntime %llu\n",
                     (unsigned long long)time_s);
    memcpy(message + n, c->body.at, c->body.len);
    return crypto_sign_verify_detached(blob + head, (const uint8_t *)message,
                                       (size_t)n + c->body.len,
                                       k->public_key) == 0;
}

/* Has `k` signed? A line of its name and id that does not is a forgery. */
static bool has_signed(const struct checkpoint *c, const struct key *k,
                       struct judgement *j)
{
    struct text t = c->lines, name, code;
    bool any = false;
    uint8_t head[6];

    while (v_take(&t, DASH "%w %w\n", &name, &code)) {
        struct text start = {code.at, 8};
        if (!same(name, k->name) || code.len < 8 ||
            !v_base64_take(start, head, sizeof(head)) ||
            memcmp(head, k->id, sizeof(k->id)) != 0)
            continue;
        if (!line_signs(c, k, code))
            j->forged = true;
        any = true;
    }
    return any && !j->forged;
}

static bool log_signs(const struct checkpoint *c, struct text vkey,
                      struct judgement *j)
{
    struct key k;

    if (!key_read(vkey, LOG_KEY, &k))
        return false;
    j->keyed = true;
    if (same(k.name, c->origin) && has_signed(c, &k, j))
        j->signed_by_log = true;
    return true;
}

struct names {
    struct name {
        struct text text;
        bool met, used;
        uint8_t public_key[PUBLIC_BYTES]; /* zero: a group */
    } at[NAMES_MAX];
    size_t count;
    bool quorum;
};

static struct name *name_find(struct names *n, struct text text)
{
    for (size_t i = 0; i < n->count; i++)
        if (same(n->at[i].text, text))
            return &n->at[i];
    return NULL;
}

static bool name_add(struct names *n, struct name name)
{
    for (size_t i = 0; name.public_key[0] != 0 && i < n->count; i++)
        if (memcmp(n->at[i].public_key, name.public_key, PUBLIC_BYTES) == 0)
            return false;
    if (n->count == NAMES_MAX || name.text.len == 0 ||
        v_is(name.text, "none") || name_find(n, name.text) != NULL)
        return false;
    n->at[n->count++] = name;
    return true;
}

/* group NAME all|any|NUMBER MEMBER... */
static bool read_group(struct names *n, struct text *word, size_t words)
{
    uint64_t need = 1, met = 0, members = words - 3;

    if (words < 4 || (!v_is(word[2], "any") && !v_is(word[2], "all") &&
                      (!v_take(&word[2], "%u", &need) || word[2].len > 0)))
        return false;
    if (v_is(word[2], "all"))
        need = members;
    for (size_t i = 3; i < words; i++) {
        struct name *m = name_find(n, word[i]);
        if (m == NULL || m->used)
            return false;
        m->used = true;
        met += m->met;
    }
    return need >= 1 && need <= members &&
           name_add(n, (struct name){.text = word[1], .met = met >= need});
}

static bool read_line(const struct checkpoint *c, struct names *n,
                      struct text *word, size_t words, struct judgement *j)
{
    struct name *quorum;
    struct key k;

    if (v_is(word[0], "log") && words >= 2 && words <= 3)
        return log_signs(c, word[1], j);
    if (v_is(word[0], "witness") && words >= 3 && words <= 4) {
        if (!key_read(word[2], WITNESS_KEY, &k))
            return false;
        struct name w = {.text = word[1], .met = has_signed(c, &k, j)};
        memcpy(w.public_key, k.public_key, PUBLIC_BYTES);
        return name_add(n, w);
    }
    if (v_is(word[0], "group"))
        return read_group(n, word, words);
    if (!v_is(word[0], "quorum") || words != 2 || n->quorum)
        return false;
    quorum = name_find(n, word[1]);
    n->quorum = true;
    j->quorum = quorum != NULL && quorum->met;
    if (v_is(word[1], "none"))
        return j->quorum = true;
    return quorum != NULL;
}

struct judgement v_note_judge(const struct checkpoint *c, const char *key,
                              const char *policy)
{
    struct judgement j = {.valid = true, .quorum = policy == NULL};
    struct names names = {.count = 0};

    if (sodium_init() < 0 ||
        (key != NULL &&
         !log_signs(c, (struct text){key, strcspn(key, "\n")}, &j)))
        j.valid = false;
    while (policy != NULL && j.valid && *policy != '\0') {
        struct text word[NAMES_MAX + 3];
        size_t words = 0, line = strcspn(policy, "\n"), at = 0;
        while (at < line && words < NAMES_MAX + 3) {
            at += strspn(policy + at, " \t");
            size_t n = strcspn(policy + at, " \t\n");
            if (n > 0)
                word[words++] = (struct text){policy + at, n};
            at += n;
        }
        j.valid = at >= line && policy[line] == '\n' &&
                  (words == 0 || *word[0].at == '#' ||
                   read_line(c, &names, word, words, &j));
        policy += line + (policy[line] == '\n');
    }
    j.valid = j.valid && (names.quorum || j.quorum);
    return j;
}
