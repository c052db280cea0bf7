#include "lethe/gateway/tokens.h"

#include "lethe/gateway/file.h"
#include "lethe/policy/dialect.h"
#include "lethe/policy/json_tree.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX       DIALECT_TOKEN_START
#define PREFIX_BYTES 4u
#define RANDOM_BYTES 32u
#define TEXT_BYTES   (PREFIX_BYTES + 43u)
#define HASH_BYTES   32u
#define FILE_MAX     (1u << 20)
#define VARIANT      sodium_base64_VARIANT_URLSAFE_NO_PADDING

struct token {
    struct token_facts facts;
    uint8_t hash[HASH_BYTES];
};

struct tokens {
    pthread_mutex_t lock;
    char path[PATH_MAX];
    struct token list[TOKENS_MAX];
    unsigned count;
};

static const struct {
    unsigned role;
    const char *name;
} roles[] = {
    {ROLE_AUDITOR, "auditor"},   {ROLE_OFFICER, "officer"},
    {ROLE_OPERATOR, "operator"}, {ROLE_OWNER, "owner"},
    {ROLE_APP, "app"},           {ROLE_DEVELOPER, "developer"},
};
#define ROLES (sizeof(roles) / sizeof(roles[0]))

unsigned token_role_of(struct slice name)
{
    for (size_t i = 0; i < ROLES; i++)
        if (slice_eq(name, slice_of(roles[i].name)))
            return roles[i].role;
    return 0;
}

const char *token_role_name(unsigned role)
{
    for (size_t i = 0; i < ROLES; i++)
        if (roles[i].role == role)
            return roles[i].name;
    return role == ROLE_LOCAL ? "local" : "unknown";
}

/* The token is 256 random bits: one fast hash keeps it as safe as a slow one
 * would. */
static void hash_of(struct slice text, uint8_t out[HASH_BYTES])
{
    static const char label[] = "lethe.token.v1";

    (void)crypto_generichash(out, HASH_BYTES, (const uint8_t *)text.at,
                             text.len, (const uint8_t *)label,
                             sizeof(label) - 1);
}

/* `s` into a text of `size` bytes with its NUL; false if it does not fit. */
static bool put_text(char *out, size_t size, struct slice s)
{
    if (s.len >= size || (s.len > 0 && memchr(s.at, '\0', s.len) != NULL))
        return false;
    memcpy(out, s.at == NULL ? "" : s.at, s.len);
    out[s.len] = '\0';
    return true;
}

static bool read_number(const struct json_value *v, int64_t *out)
{
    if (v == NULL || json_kind_of(v) != JSON_KIND_NUMBER ||
        !(json_number(v) >= 0 && json_number(v) < 9007199254740992.0))
        return false;
    *out = (int64_t)json_number(v);
    return true;
}

static bool read_sites(const struct json_value *v, struct token_facts *out)
{
    if (v == NULL || json_kind_of(v) != JSON_KIND_ARRAY)
        return false;
    for (v = json_child(v); v != NULL; v = json_sibling(v)) {
        if (out->site_count == TOKEN_SITES_MAX ||
            json_kind_of(v) != JSON_KIND_STRING ||
            !put_text(out->sites[out->site_count++], sizeof(out->sites[0]),
                      json_string(v)))
            return false;
    }
    return true;
}

static struct slice text_of(const struct json_value *object, const char *name)
{
    const struct json_value *v = json_get(object, name);

    return v == NULL ? SLICE_NONE : json_string(v);
}

static bool read_token(const struct json_value *v, struct token *out)
{
    struct slice hash = text_of(v, "hash");
    size_t len = 0;

    memset(out, 0, sizeof(*out));
    out->facts.role = token_role_of(text_of(v, "role"));
    return out->facts.role != 0 && hash.len == 2 * (size_t)HASH_BYTES &&
           sodium_hex2bin(out->hash, HASH_BYTES, hash.at, hash.len, NULL, &len,
                          NULL) == 0 &&
           len == HASH_BYTES && text_of(v, "id").len == 12 &&
           put_text(out->facts.id, sizeof(out->facts.id), text_of(v, "id")) &&
           put_text(out->facts.label, sizeof(out->facts.label),
                    text_of(v, "label")) &&
           read_number(json_get(v, "made_ms"), &out->facts.made_ms) &&
           read_number(json_get(v, "expires_ms"), &out->facts.expires_ms) &&
           read_sites(json_get(v, "sites"), &out->facts);
}

static enum status read_all(struct tokens *t, struct slice text)
{
    struct json_tree *tree = NULL;
    struct json_complaint complaint;
    enum status st = json_tree_read(text, false, &tree, &complaint);

    if (st == ST_NOMEM)
        return st;
    if (st != ST_OK)
        return ST_CORRUPT;
    const struct json_value *list = json_get(json_tree_root(tree), "tokens");
    if (list == NULL || json_kind_of(list) != JSON_KIND_ARRAY ||
        json_size(list) > TOKENS_MAX)
        st = ST_CORRUPT;
    else
        for (list = json_child(list); st == ST_OK && list != NULL;
             list = json_sibling(list))
            st = read_token(list, &t->list[t->count++]) ? ST_OK : ST_CORRUPT;
    json_tree_free(tree);
    return st;
}

/* Ours alone to write: whoever can write it can make himself an officer. */
static enum status open_file(const char *path, int *out_fd)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return errno == ENOENT  ? ST_UNKNOWN
               : errno == ELOOP ? ST_DENIED
                                : ST_IO;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
        (st.st_mode & 077) != 0 || st.st_size > (off_t)FILE_MAX) {
        (void)close(fd);
        return ST_DENIED;
    }
    *out_fd = fd;
    return ST_OK;
}

static enum status load(struct tokens *t)
{
    int fd = -1;
    size_t len = 0;
    enum status st = open_file(t->path, &fd);

    if (st != ST_OK)
        return st == ST_UNKNOWN ? ST_OK : st; /* none made yet */
    char *text = malloc(FILE_MAX);
    st = text == NULL ? ST_NOMEM : ST_OK;
    while (st == ST_OK && len < FILE_MAX) {
        ssize_t n = read(fd, text + len, FILE_MAX - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            st = ST_IO;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    (void)close(fd);
    if (st == ST_OK)
        st = read_all(t, (struct slice){text, len});
    free(text);
    return st;
}

enum status tokens_open(const char *path, struct tokens **out)
{
    struct tokens *t = calloc(1, sizeof(*t));
    struct slice p = slice_of(path);

    if (t == NULL)
        return ST_NOMEM;
    if (p.len + sizeof(".new") > sizeof(t->path)) {
        free(t);
        return ST_LIMIT;
    }
    memcpy(t->path, p.at, p.len);
    enum status st = load(t);
    if (st == ST_OK && pthread_mutex_init(&t->lock, NULL) != 0)
        st = ST_NOMEM;
    if (st != ST_OK) {
        free(t);
        return st;
    }
    *out = t;
    return ST_OK;
}

void tokens_close(struct tokens *t)
{
    if (t == NULL)
        return;
    (void)pthread_mutex_destroy(&t->lock);
    free(t);
}

static void write_token(const struct token *token, struct buf *out)
{
    const struct token_facts *f = &token->facts;
    char hex[2 * HASH_BYTES + 1];

    (void)sodium_bin2hex(hex, sizeof(hex), token->hash, HASH_BYTES);
    buf_printf(out, "{\"id\":\"%s\",\"hash\":\"%s\",\"role\":\"%s\",\"label\":",
               f->id, hex, token_role_name(f->role));
    buf_put_json_string(out, slice_of(f->label));
    buf_printf(out, ",\"made_ms\":%lld,\"expires_ms\":%lld,\"sites\":[",
               (long long)f->made_ms, (long long)f->expires_ms);
    for (unsigned i = 0; i < f->site_count; i++) {
        if (i > 0)
            buf_put_char(out, ',');
        buf_put_json_string(out, slice_of(f->sites[i]));
    }
    buf_put(out, SLICE("]}"));
}

static enum status save(const struct tokens *t)
{
    struct buf b;

    buf_init(&b, FILE_MAX);
    buf_put(&b, SLICE("{\"tokens\":["));
    for (unsigned i = 0; i < t->count; i++) {
        if (i > 0)
            buf_put_char(&b, ',');
        buf_put_char(&b, '\n');
        write_token(&t->list[i], &b);
    }
    buf_put(&b, SLICE("\n]}\n"));
    enum status st = b.failed ? ST_NOMEM : file_replace(t->path, buf_slice(&b));
    buf_free(&b);
    return st;
}

/* People's own words: no control characters, and not longer than kept. */
static bool label_fits(struct slice label)
{
    for (size_t i = 0; i < label.len; i++)
        if ((unsigned char)label.at[i] < 0x20 ||
            (unsigned char)label.at[i] >= 0x7f)
            return false;
    return label.len < sizeof(((struct token_facts *)0)->label);
}

static void make_text(char out[TOKEN_TEXT_MAX])
{
    uint8_t raw[RANDOM_BYTES];

    randombytes_buf(raw, sizeof(raw));
    memcpy(out, PREFIX, PREFIX_BYTES);
    (void)sodium_bin2base64(out + PREFIX_BYTES, TOKEN_TEXT_MAX - PREFIX_BYTES,
                            raw, sizeof(raw), VARIANT);
    sodium_memzero(raw, sizeof(raw));
}

static enum status fill(struct token *token, unsigned role,
                        const char *const *sites, unsigned site_count,
                        const char *label)
{
    struct token_facts *f = &token->facts;

    if (token_role_of(slice_of(token_role_name(role))) != role || role == 0 ||
        !label_fits(slice_of(label)))
        return ST_TYPE;
    if (site_count > TOKEN_SITES_MAX)
        return ST_LIMIT;
    f->role = role;
    (void)put_text(f->label, sizeof(f->label), slice_of(label));
    for (unsigned i = 0; i < site_count; i++)
        if (!label_fits(slice_of(sites[i])) ||
            !put_text(f->sites[i], sizeof(f->sites[i]), slice_of(sites[i])))
            return ST_TYPE;
    f->site_count = site_count;
    return ST_OK;
}

enum status tokens_add(struct tokens *t, unsigned role,
                       const char *const *sites, unsigned site_count,
                       const char *label, int64_t expires_ms, int64_t now_ms,
                       char out_text[TOKEN_TEXT_MAX], char out_id[13])
{
    char text[TOKEN_TEXT_MAX];
    uint8_t id[6];
    struct token token = {0};
    enum status st = fill(&token, role, sites, site_count, label);

    if (st != ST_OK)
        return st;
    if (expires_ms < 0 || now_ms < 0)
        return ST_TYPE;
    token.facts.made_ms = now_ms;
    token.facts.expires_ms = expires_ms;
    randombytes_buf(id, sizeof(id));
    (void)sodium_bin2hex(token.facts.id, sizeof(token.facts.id), id,
                         sizeof(id));
    make_text(text);
    hash_of((struct slice){text, TEXT_BYTES}, token.hash);
    (void)pthread_mutex_lock(&t->lock);
    st = t->count == TOKENS_MAX ? ST_LIMIT : ST_OK;
    if (st == ST_OK) {
        t->list[t->count++] = token;
        st = save(t);
        if (st != ST_OK)
            t->count--;
    }
    (void)pthread_mutex_unlock(&t->lock);
    if (st == ST_OK) {
        memcpy(out_text, text, sizeof(text));
        memcpy(out_id, token.facts.id, sizeof(token.facts.id));
    }
    sodium_memzero(text, sizeof(text));
    return st;
}

enum status tokens_revoke(struct tokens *t, const char *id)
{
    unsigned at = 0;
    enum status st = ST_UNKNOWN;

    (void)pthread_mutex_lock(&t->lock);
    while (at < t->count &&
           !slice_eq(slice_of(t->list[at].facts.id), slice_of(id)))
        at++;
    if (at < t->count) {
        /* Out of force at once, also when the file cannot be written: then
         * the error tells that it would come back with a restart. */
        memmove(&t->list[at], &t->list[at + 1],
                (t->count - at - 1) * sizeof(t->list[0]));
        t->count--;
        st = save(t);
    }
    (void)pthread_mutex_unlock(&t->lock);
    return st;
}

enum status tokens_check(struct tokens *t, struct slice text, int64_t now_ms,
                         struct token_facts *out)
{
    uint8_t hash[HASH_BYTES];
    unsigned found = TOKENS_MAX;

    if (text.len != TEXT_BYTES)
        return ST_UNKNOWN;
    hash_of(text, hash);
    (void)pthread_mutex_lock(&t->lock);
    /* Every one is compared, whole: the time tells nothing. */
    for (unsigned i = 0; i < t->count; i++)
        if (sodium_memcmp(hash, t->list[i].hash, HASH_BYTES) == 0)
            found = i;
    bool good =
        found < TOKENS_MAX && (t->list[found].facts.expires_ms == 0 ||
                               now_ms < t->list[found].facts.expires_ms);
    if (good)
        *out = t->list[found].facts;
    (void)pthread_mutex_unlock(&t->lock);
    return good ? ST_OK : ST_UNKNOWN;
}

unsigned tokens_list(struct tokens *t, struct token_facts *out, unsigned max)
{
    (void)pthread_mutex_lock(&t->lock);
    unsigned count = t->count < max ? t->count : max;
    for (unsigned i = 0; i < count; i++)
        out[i] = t->list[i].facts;
    (void)pthread_mutex_unlock(&t->lock);
    return count;
}

bool token_covers(const struct token_facts *facts, const char *site_id)
{
    for (unsigned i = 0; i < facts->site_count; i++)
        if (slice_eq(slice_of(facts->sites[i]), slice_of(site_id)))
            return true;
    return facts->site_count == 0;
}
