#include "lethe/gateway/policy_versions.h"

#include "lethe/gateway/conf.h"
#include "lethe/gateway/file.h"
#include "lethe/gateway/state.h"
#include "lethe/policy/json_tree.h"
#include "lethe/policy/policy.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_BYTES  32u
#define TIME_MS_END 253402300800e3 /* the year 10000 */

struct known {
    char site[STATE_SITE_MAX + 1];
    char version[POLICY_NAME_MAX + 1];
    uint8_t hash[HASH_BYTES];
    int64_t since_ms;
};

struct policy_versions {
    char path[CONF_PATH_MAX];
    struct known list[POLICY_VERSIONS_MAX];
    unsigned count;
};

static bool put_text(char *out, size_t size, struct slice s)
{
    if (s.at == NULL || s.len >= size)
        return false;
    memcpy(out, s.at, s.len);
    out[s.len] = '\0';
    return true;
}

/* ---- reading ------------------------------------------------------------ */

static struct slice text_of(const struct json_value *object, const char *name)
{
    const struct json_value *v = json_get(object, name);

    return v == NULL ? SLICE_NONE : json_string(v);
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hash(struct slice hex, uint8_t out[HASH_BYTES])
{
    if (hex.len != 2 * (size_t)HASH_BYTES)
        return false;
    for (size_t i = 0; i < HASH_BYTES; i++) {
        int high = digit_of(hex.at[2 * i]), low = digit_of(hex.at[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

/* 0: a file of before times were noted. */
static bool read_since(const struct json_value *v, int64_t *out)
{
    *out = 0;
    if (v == NULL)
        return true;
    if (json_kind_of(v) != JSON_KIND_NUMBER)
        return false;
    double ms = json_number(v);
    *out = ms >= 0 && ms < TIME_MS_END ? (int64_t)ms : -1;
    return *out >= 0;
}

static bool read_known(const struct json_value *v, struct known *out)
{
    return read_since(json_get(v, "since"), &out->since_ms) &&
           put_text(out->site, sizeof(out->site), text_of(v, "site")) &&
           put_text(out->version, sizeof(out->version),
                    text_of(v, "version")) &&
           read_hash(text_of(v, "hash"), out->hash);
}

static enum status read_list(struct policy_versions *v, struct slice text)
{
    struct json_tree *tree = NULL;
    struct json_complaint complaint;
    enum status st = json_tree_read(text, false, &tree, &complaint);

    if (st == ST_NOMEM)
        return st;
    if (st != ST_OK)
        return ST_CORRUPT;
    const struct json_value *at = json_get(json_tree_root(tree), "policies");
    if (at == NULL || json_kind_of(at) != JSON_KIND_ARRAY ||
        json_size(at) > POLICY_VERSIONS_MAX)
        st = ST_CORRUPT;
    else
        for (at = json_child(at); st == ST_OK && at != NULL;
             at = json_sibling(at))
            st = read_known(at, &v->list[v->count++]) ? ST_OK : ST_CORRUPT;
    json_tree_free(tree);
    return st;
}

enum status policy_versions_open(const char *path, struct policy_versions **out)
{
    struct policy_versions *v = calloc(1, sizeof(*v));
    struct buf text;

    if (v == NULL)
        return ST_NOMEM;
    enum status st = put_text(v->path, sizeof(v->path), slice_of(path))
                         ? file_read(path, JSON_FILE_MAX, &text)
                         : ST_LIMIT;
    if (st == ST_OK)
        st = read_list(v, buf_slice(&text));
    else if (st == ST_IO && errno == ENOENT)
        st = ST_OK;
    if (v->path[0] != '\0')
        buf_free(&text);
    if (st != ST_OK) {
        free(v);
        return st;
    }
    *out = v;
    return ST_OK;
}

void policy_versions_close(struct policy_versions *v)
{
    free(v);
}

/* ---- asking and noting -------------------------------------------------- */

static const struct known *find(const struct policy_versions *v,
                                const struct policy_version *p)
{
    for (unsigned i = 0; i < v->count; i++)
        if (slice_eq(slice_of(v->list[i].site), p->site) &&
            slice_eq(slice_of(v->list[i].version), p->version))
            return &v->list[i];
    return NULL;
}

/* The version of this one's site that is in force, or NULL. */
static const struct known *in_force(const struct policy_versions *v,
                                    const struct policy_version *p)
{
    for (unsigned i = v->count; i > 0; i--)
        if (slice_eq(slice_of(v->list[i - 1].site), p->site))
            return &v->list[i - 1];
    return NULL;
}

int64_t policy_versions_since(const struct policy_versions *v,
                              const struct policy_version *p)
{
    const struct known *k = in_force(v, p);

    return k != NULL && slice_eq(slice_of(k->version), p->version) ? k->since_ms
                                                                   : 0;
}

bool policy_versions_hold(const struct policy_versions *v,
                          const struct policy_version *p)
{
    const struct known *k = find(v, p);

    return k == NULL || memcmp(k->hash, p->hash, HASH_BYTES) == 0;
}

static void drop(struct policy_versions *v, size_t at)
{
    v->count--;
    memmove(&v->list[at], &v->list[at + 1],
            (v->count - at) * sizeof(v->list[0]));
}

static void add(struct policy_versions *v, const struct policy_version *p,
                int64_t now_ms)
{
    if (v->count == POLICY_VERSIONS_MAX)
        drop(v, 0);
    struct known *k = &v->list[v->count++];
    k->since_ms = now_ms;
    bool fits = put_text(k->site, sizeof(k->site), p->site) &&
                put_text(k->version, sizeof(k->version), p->version);
    assert(fits); /* config and policy have checked them */
    memcpy(k->hash, p->hash, HASH_BYTES);
}

/* It was in force once, and is again. */
static void again(struct policy_versions *v, size_t at, int64_t now_ms)
{
    struct known same = v->list[at];

    drop(v, at);
    same.since_ms = now_ms;
    v->list[v->count++] = same;
}

static enum status save(const struct policy_versions *v)
{
    struct buf b;

    buf_init(&b, JSON_FILE_MAX);
    buf_put(&b, SLICE("{\"policies\":["));
    for (unsigned i = 0; i < v->count; i++) {
        const struct known *k = &v->list[i];
        buf_printf(&b, "%s\n{\"site\":\"%s\",\"version\":", i > 0 ? "," : "",
                   k->site);
        buf_put_json_string(&b, slice_of(k->version));
        buf_put(&b, SLICE(",\"hash\":\""));
        for (size_t n = 0; n < HASH_BYTES; n++)
            buf_printf(&b, "%02x", k->hash[n]);
        buf_printf(&b, "\",\"since\":%lld}", (long long)k->since_ms);
    }
    buf_put(&b, SLICE("\n]}\n"));
    enum status st = b.failed ? ST_NOMEM : file_replace(v->path, buf_slice(&b));
    buf_free(&b);
    return st;
}

enum status policy_versions_note(struct policy_versions *v,
                                 const struct policy_version *list,
                                 unsigned count, int64_t now_ms)
{
    struct policy_versions *next = NULL;
    enum status st = ST_OK;

    for (unsigned i = 0; i < count; i++) {
        const struct policy_versions *seen = next == NULL ? v : next;
        const struct known *k = find(seen, &list[i]);
        if (k != NULL && k == in_force(seen, &list[i]))
            continue;
        size_t at = k == NULL ? seen->count : (size_t)(k - seen->list);
        if (next == NULL) {
            next = malloc(sizeof(*next));
            if (next == NULL)
                return ST_NOMEM;
            *next = *v;
        }
        if (k != NULL)
            again(next, at, now_ms);
        else
            add(next, &list[i], now_ms);
    }
    if (next != NULL)
        st = save(next);
    if (next != NULL && st == ST_OK)
        *v = *next;
    free(next);
    return st;
}
