#include "http_wire.h"

#include "lethe/gateway/keys/keyfile.h"
#include "lethe/policy/base/arena.h"
#include "lethe/policy/base/log.h"
#include "lethe/policy/json_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_MAX      4096u
#define SECRET_TEXT_MAX (8u * SECRET_MAX) /* with a URL and escapes */
#define ANSWER_NODES    (8u << 20)        /* bytes of an answer's tree */

/* ---- opening ------------------------------------------------------------ */

static enum status load_secret(const char *path, char **out)
{
    enum key_fault fault = KEY_FAULT_NONE;

    *out = NULL;
    if (path == NULL)
        return ST_OK;
    enum status st = secret_text_load(path, SECRET_MAX, out, &fault);
    if (st != ST_OK)
        log_error(LOG_SINK, "a destination's secret is refused",
                  LOG_NAME("why", key_fault_text(fault)));
    return st;
}

/* The bytes of `b` as a text in secret memory; `b` is wiped. */
static char *keep_secret(struct buf *b)
{
    char *text = b->failed ? NULL : secret_alloc(b->len + 1);

    if (text != NULL && b->len > 0)
        memcpy(text, b->data, b->len);
    buf_wipe(b);
    buf_free(b);
    return text; /* secret_alloc() gives zeros */
}

static enum status open_http(const struct conf_destination *d,
                             const char *secret, struct net_wire *w)
{
    static const char hole[] = "{events}";
    const char *at = d->body == NULL ? NULL : strstr(d->body, hole);
    struct buf line, url;

    if (d->body == NULL) {
        w->before = strdup("[");
        w->after = strdup("]");
    } else if (at == NULL) {
        return ST_SYNTAX;
    } else {
        w->before = strndup(d->body, (size_t)(at - d->body));
        w->after = strdup(at + sizeof(hole) - 1);
    }
    buf_init(&url, SECRET_TEXT_MAX);
    buf_put(&url, slice_of(d->url));
    w->url = keep_secret(&url);
    if (secret == NULL)
        return ST_OK;
    buf_init(&line, SECRET_TEXT_MAX);
    buf_printf(&line, "Authorization: Bearer %s", secret);
    w->bearer = keep_secret(&line);
    return w->bearer == NULL ? ST_NOMEM : ST_OK;
}

/* The vendor's host and prefix, without a slash at its end. */
static void put_base(struct buf *b, const char *url)
{
    struct slice base = slice_of(url);

    while (base.len > 0 && base.at[base.len - 1] == '/')
        base.len--;
    buf_put(b, base);
}

/* ip=0: the gateway's own address must not become a place either (R2). */
static enum status open_mixpanel(const struct conf_destination *d,
                                 const char *secret, struct net_wire *w)
{
    bool import = d->api == MIXPANEL_IMPORT;
    struct buf item, url, user;

    buf_init(&url, SECRET_TEXT_MAX);
    put_base(&url, d->url);
    buf_put(&url, import ? SLICE("/import?strict=1&ip=0")
                         : SLICE("/track?verbose=1&ip=0"));
    w->url = keep_secret(&url);
    buf_init(&item, SECRET_TEXT_MAX);
    buf_put(&item, SLICE("{\"properties\":{"));
    if (!import) {
        buf_put(&item, SLICE("\"token\":"));
        buf_put_json_string(&item, slice_of(secret));
        buf_put_char(&item, ',');
    }
    w->item_before = keep_secret(&item);
    if (import) {
        buf_init(&user, SECRET_TEXT_MAX);
        buf_put(&user, slice_of(secret));
        w->user = keep_secret(&user);
    }
    w->before = strdup("[");
    w->after = strdup("]");
    return w->item_before == NULL || (import && w->user == NULL) ? ST_NOMEM
                                                                 : ST_OK;
}

static void put_escaped(struct buf *b, const char *text)
{
    for (; *text != '\0'; text++) {
        char c = *text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
        if (plain)
            buf_put_char(b, c);
        else
            buf_printf(b, "%%%02X", (unsigned)(unsigned char)c);
    }
}

/* R15: what Google may do with it is what we say, not what a client said. */
static enum status open_ga4(const struct conf_destination *d,
                            const char *secret, struct net_wire *w)
{
    struct buf url;

    buf_init(&url, SECRET_TEXT_MAX);
    put_base(&url, d->url);
    buf_printf(&url, "%s/mp/collect?measurement_id=%s&api_secret=",
               w->testing ? "/debug" : "", d->measurement_id);
    put_escaped(&url, secret);
    w->url = keep_secret(&url);
    w->before = strdup(",\"non_personalized_ads\":true,\"consent\":{"
                       "\"ad_user_data\":\"DENIED\","
                       "\"ad_personalization\":\"DENIED\"},\"events\":[");
    w->after = strdup("]}");
    return ST_OK;
}

enum status net_wire_open(const struct conf_destination *d, bool testing,
                          struct net_wire *out)
{
    struct net_wire w = {.type = d->type, .api = d->api, .testing = testing};
    const char *type =
        d->content_type == NULL ? "application/json" : d->content_type;
    char *secret = NULL;

    enum status st = load_secret(d->secret_file, &secret);
    if (st != ST_OK)
        return st;
    if (d->type == DESTINATION_MIXPANEL)
        st = open_mixpanel(d, secret, &w);
    else
        st = d->type == DESTINATION_GA4 ? open_ga4(d, secret, &w)
                                        : open_http(d, secret, &w);
    secret_free(secret);
    if (asprintf(&w.content_type, "Content-Type: %s", type) < 0)
        w.content_type = NULL;
    if (st == ST_OK && (w.url == NULL || w.before == NULL || w.after == NULL ||
                        w.content_type == NULL))
        st = ST_NOMEM;
    if (st != ST_OK) {
        net_wire_close(&w);
        return st;
    }
    *out = w;
    return ST_OK;
}

void net_wire_close(struct net_wire *w)
{
    secret_free(w->url);
    secret_free(w->item_before);
    secret_free(w->bearer);
    secret_free(w->user);
    free(w->before);
    free(w->after);
    free(w->content_type);
    *w = (struct net_wire){.type = w->type};
}

/* ---- one upload --------------------------------------------------------- */

/* An empty upload (a probe) has no group; nobody's client id is "1.1". */
static void put_ga4_head(struct slice group, struct buf *out)
{
    struct wire_ga4_group g = {.client_id = SLICE("1.1")};

    if (group.len > 0)
        wire_ga4_group_read(group, &g);
    buf_put(out, SLICE("{\"client_id\":"));
    buf_put_json_string(out, g.client_id);
    if (g.user_id.at != NULL) {
        buf_put(out, SLICE(",\"user_id\":"));
        buf_put_json_string(out, g.user_id);
    }
    if (g.time_micros.at != NULL) {
        buf_put(out, SLICE(",\"timestamp_micros\":"));
        buf_put(out, g.time_micros);
    }
}

void net_wire_join(const struct net_wire *w, const struct fragment *f,
                   unsigned count, struct buf *out)
{
    if (w->type == DESTINATION_GA4)
        put_ga4_head(count > 0 ? f[0].group : SLICE_NONE, out);
    buf_put(out, slice_of(w->before));
    for (unsigned i = 0; i < count; i++) {
        if (i > 0)
            buf_put_char(out, ',');
        if (w->item_before != NULL)
            buf_put(out, slice_of(w->item_before));
        buf_put(out, f[i].body);
    }
    if (w->testing && w->type == DESTINATION_GA4)
        buf_put(out, SLICE("{\"name\":\"lethe_test\",\"params\":{}}"));
    buf_put(out, slice_of(w->after));
}

/* ---- answers ------------------------------------------------------------ */

bool net_wire_reads_answers(const struct net_wire *w)
{
    return w->type == DESTINATION_MIXPANEL ||
           (w->testing && w->type == DESTINATION_GA4);
}

static int compare(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

    return x < y ? -1 : x > y;
}

/* Positions out of /import's "failed_records", ascending, each once. An entry
 * that makes no sense spoils the whole list: 0. */
static unsigned read_failed(const struct json_node *root, unsigned count,
                            unsigned *failed)
{
    const struct json_node *list = json_member(root, SLICE("failed_records"));
    unsigned n = 0, kept = 0;

    if (list == NULL || list->type != JSON_ARRAY || list->count > count)
        return 0;
    for (const struct json_node *e = json_first(list); e != NULL;
         e = json_next(list, e)) {
        const struct json_node *at = json_member(e, SLICE("index"));
        unsigned long long index;
        if (at == NULL || at->type != JSON_NUMBER ||
            !slice_to_u64(at->text, &index) || index >= count)
            return 0;
        failed[n++] = (unsigned)index;
    }
    qsort(failed, n, sizeof(*failed), compare);
    for (unsigned i = 0; i < n; i++)
        if (i == 0 || failed[i] != failed[i - 1])
            failed[kept++] = failed[i];
    return kept;
}

/* /track says 0, or {"status":0}, to what it does not take. */
static bool says_no(const struct json_node *root)
{
    const struct json_node *status = json_member(root, SLICE("status"));

    if (root->type == JSON_NUMBER)
        return slice_eq(root->text, SLICE("0"));
    return status != NULL && status->type == JSON_NUMBER &&
           slice_eq(status->text, SLICE("0"));
}

/* GA4's validation address lists what is wrong with an upload. */
static bool has_faults(const struct json_node *root)
{
    const struct json_node *list =
        json_member(root, SLICE("validationMessages"));

    return list != NULL && list->count > 0;
}

void net_wire_judge(const struct net_wire *w, char *body, size_t len,
                    unsigned count, unsigned *failed, struct net_outcome *io)
{
    bool mixpanel = w->type == DESTINATION_MIXPANEL;
    bool partial = mixpanel && w->api == MIXPANEL_IMPORT && io->status == 400;
    bool maybe_no = io->result == NET_ACCEPTED && len > 0 &&
                    (!mixpanel || w->api == MIXPANEL_TRACK);

    const struct json_node *root = NULL;

    if (!net_wire_reads_answers(w) || (!partial && !maybe_no))
        return;
    struct arena *a = arena_new(ANSWER_NODES);
    if (a == NULL)
        return;
    if (json_read(a, body, len, &root, NULL) == ST_OK) {
        unsigned n = partial ? read_failed(root, count, failed) : 0;
        if (n > 0 && n < count) {
            io->result = NET_PARTIAL;
            io->failed = failed;
            io->failed_count = n;
        } else if (maybe_no && (mixpanel ? says_no(root) : has_faults(root))) {
            io->result = NET_REFUSED;
        }
    }
    arena_free(a);
}
