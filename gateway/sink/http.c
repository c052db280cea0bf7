/* Batches over HTTP: libcurl's multi interface on libevent. What a backend
 * answers is counted, never kept (R18). */
#include "lethe/gateway/sink/http_inner.h"

#include "http_wire.h"
#include "lethe/gateway/sink/http_pin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ANSWER_BYTES_MAX   65536u /* of a body we throw away */
#define BODY_CAP           (64u << 20)
#define RETRY_AFTER_MAX_MS (24 * MS_PER_H)

struct net_sink {
    struct net_loop *loop;
    struct net_wire wire;
    char *ca;
    long timeout_ms, max_age_s;
    bool plain_http;
    struct curl_slist *headers, *gpc_headers;
    struct curl_slist bearer_node, gpc_bearer_node;
    struct net_transfer *transfers;
};

struct net_transfer {
    struct net_transfer *next;
    struct net_transfer **link; /* what points at this one */
    struct net_sink *sink;
    CURL *easy;
    struct buf body;
    unsigned count;
    struct buf answer; /* kept only where it is read */
    size_t answer_bytes;
    int64_t retry_after_ms;
    net_done_fn *done;
    void *ctx;
};

/* ---- the end of a transfer ---- */

/* Login, place and redirects are the destination's matter, whatever events a
 * batch holds: what waits must not turn into dead letters one by one. */
static bool is_of_the_destination(long status)
{
    return (status >= 300 && status < 400) || status == 401 || status == 403 ||
           status == 404 || status == 405 || status == 407;
}

static enum net_result result_of(CURLcode code, long status)
{
    if (http_is_tls_failure(code))
        return NET_TLS_FAILED;
    /* CURLE_WRITE_ERROR: we stopped reading a long answer. */
    if (code != CURLE_OK && code != CURLE_WRITE_ERROR)
        return NET_RETRY;
    if (status >= 200 && status < 300)
        return NET_ACCEPTED;
    if (status == 0 || status == 408 || status == 429 || status >= 500 ||
        is_of_the_destination(status))
        return NET_RETRY;
    return NET_REFUSED;
}

static void transfer_free(struct net_transfer *t)
{
    *t->link = t->next;
    if (t->next != NULL)
        t->next->link = t->link;
    (void)curl_multi_remove_handle(t->sink->loop->multi, t->easy);
    curl_easy_cleanup(t->easy);
    buf_wipe(&t->body);
    buf_free(&t->body);
    buf_free(&t->answer);
    free(t);
}

/* What the body of the answer changes. `failed` has room for all. */
static void judge(struct net_transfer *t, unsigned *failed,
                  struct net_outcome *outcome)
{
    if (failed != NULL)
        net_wire_judge(&t->sink->wire, t->answer.data, t->answer.len, t->count,
                       failed, outcome);
}

void net_finish(struct net_transfer *t, CURLcode code)
{
    long status = 0;
    net_done_fn *done = t->done;
    void *ctx = t->ctx;

    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    struct net_outcome outcome = {.result = result_of(code, status),
                                  .status = (int)status,
                                  .retry_after_ms = t->retry_after_ms};
    unsigned *failed = calloc(t->count + 1u, sizeof(*failed));
    if (outcome.result == NET_TLS_FAILED)
        outcome.status = 0;
    judge(t, failed, &outcome);
    done(ctx, t, &outcome);
    free(failed);
    transfer_free(t);
}

/* ---- one destination ---- */

static bool add_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *more = curl_slist_append(*list, line);

    if (more != NULL)
        *list = more;
    return more != NULL;
}

static enum status make_headers(struct net_sink *s)
{
    const char *line = s->wire.content_type;
    bool fine = add_header(&s->headers, line) &&
                add_header(&s->headers, "Expect:") &&
                add_header(&s->gpc_headers, line) &&
                add_header(&s->gpc_headers, "Expect:") &&
                add_header(&s->gpc_headers, "Sec-GPC: 1");

    if (!fine)
        return ST_NOMEM;
    /* In front of the lists, so that the secret is in locked memory only. */
    s->bearer_node = (struct curl_slist){s->wire.bearer, s->headers};
    s->gpc_bearer_node = (struct curl_slist){s->wire.bearer, s->gpc_headers};
    return ST_OK;
}

enum status net_sink_open(struct net_loop *l, const struct conf_destination *d,
                          bool testing, struct net_sink **out)
{
    struct net_sink *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return ST_NOMEM;
    s->loop = l;
    s->timeout_ms = (long)d->timeout_ms;
    s->max_age_s = (long)((d->max_age_ms + 999) / 1000);
    s->ca = d->ca == NULL ? NULL : strdup(d->ca);
    enum status r = d->ca != NULL && s->ca == NULL
                        ? ST_NOMEM
                        : http_check_url(d->url, &s->plain_http);
    if (r == ST_OK)
        r = net_wire_open(d, testing, &s->wire);
    if (r == ST_OK)
        r = make_headers(s);
    if (r != ST_OK) {
        net_sink_close(s);
        return r;
    }
    *out = s;
    return ST_OK;
}

/* ---- one transfer ---- */

static size_t on_body(char *at, size_t size, size_t count, void *ctx)
{
    struct net_transfer *t = ctx;

    t->answer_bytes += size * count;
    if (!net_wire_reads_answers(&t->sink->wire))
        return t->answer_bytes > ANSWER_BYTES_MAX ? 0 : size * count;
    buf_put_bytes(&t->answer, at, size * count);
    return t->answer.failed ? 0 : size * count;
}

/* Seconds or a date; anything else counts as not given. */
static int64_t parse_retry_after(struct slice value)
{
    unsigned long long seconds;
    char text[64];

    if (slice_to_u64(value, &seconds))
        return seconds > (unsigned long long)(RETRY_AFTER_MAX_MS / MS_PER_S)
                   ? RETRY_AFTER_MAX_MS
                   : (int64_t)seconds * MS_PER_S;
    if (value.len == 0 || value.len >= sizeof(text))
        return 0;
    memcpy(text, value.at, value.len);
    text[value.len] = '\0';
    time_t at = curl_getdate(text, NULL);
    int64_t wait = at < 0 ? 0 : ((int64_t)at - (int64_t)time(NULL)) * MS_PER_S;
    return wait < 0 ? 0 : wait > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : wait;
}

static size_t on_header(char *at, size_t size, size_t count, void *ctx)
{
    struct net_transfer *t = ctx;
    struct slice line = {at, size * count};
    const struct slice name = SLICE("retry-after:");

    if (line.len > name.len && slice_eq_fold(slice_head(line, name.len), name))
        t->retry_after_ms =
            parse_retry_after(slice_trim(slice_skip(line, name.len)));
    return size * count;
}

static struct curl_slist *headers_of(struct net_sink *s, bool gpc)
{
    if (s->wire.bearer != NULL)
        return gpc ? &s->gpc_bearer_node : &s->bearer_node;
    return gpc ? s->gpc_headers : s->headers;
}

static enum status prepare(struct net_transfer *t, bool gpc)
{
    CURL *e = t->easy;
    const struct net_sink *s = t->sink;
    CURLcode c = http_pin(e, s->plain_http, s->ca, s->timeout_ms);

    if (s->max_age_s > 0)
        c |= curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, s->max_age_s);
    c |= curl_easy_setopt(e, CURLOPT_URL, t->sink->wire.url);
    if (t->sink->wire.user != NULL) { /* and an empty password */
        c |= curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        c |= curl_easy_setopt(e, CURLOPT_USERNAME, t->sink->wire.user);
        c |= curl_easy_setopt(e, CURLOPT_PASSWORD, "");
    }
    c |= curl_easy_setopt(e, CURLOPT_POST, 1L);
    c |= curl_easy_setopt(e, CURLOPT_POSTFIELDS, t->body.data);
    c |= curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE,
                          (curl_off_t)t->body.len);
    c |= curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers_of(t->sink, gpc));
    c |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    c |= curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    c |= curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    c |= curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    c |= curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    return c == CURLE_OK ? ST_OK : ST_NOMEM;
}

enum status net_send(struct net_sink *s, const struct fragment *f,
                     unsigned count, bool gpc, net_done_fn *done, void *ctx,
                     struct net_transfer **out)
{
    struct net_transfer *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return ST_NOMEM;
    t->sink = s;
    t->done = done;
    t->ctx = ctx;
    t->count = count;
    buf_init(&t->answer, NET_ANSWER_MAX);
    buf_init(&t->body, BODY_CAP);
    net_wire_join(&s->wire, f, count, &t->body);
    t->easy = curl_easy_init();
    enum status r = t->easy == NULL || t->body.failed ? ST_NOMEM : ST_OK;
    if (r == ST_OK)
        r = prepare(t, gpc);
    if (r == ST_OK &&
        curl_multi_add_handle(s->loop->multi, t->easy) != CURLM_OK)
        r = ST_NOMEM;
    if (r != ST_OK) {
        if (t->easy != NULL)
            curl_easy_cleanup(t->easy);
        buf_free(&t->body);
        free(t);
        return r;
    }
    t->next = s->transfers;
    t->link = &s->transfers;
    if (t->next != NULL)
        t->next->link = &t->next;
    s->transfers = t;
    *out = t;
    return ST_OK;
}

bool net_is_sent(const struct net_transfer *t)
{
    curl_off_t sent = 0;

    (void)curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    return sent >= (curl_off_t)t->body.len;
}

void net_cut(struct net_transfer *t, bool *out_sent)
{
    *out_sent = net_is_sent(t);
    transfer_free(t);
}

void net_sink_close(struct net_sink *s)
{
    if (s == NULL)
        return;
    while (s->transfers != NULL)
        transfer_free(s->transfers);
    curl_slist_free_all(s->headers);
    curl_slist_free_all(s->gpc_headers);
    net_wire_close(&s->wire);
    free(s->ca);
    free(s);
}
