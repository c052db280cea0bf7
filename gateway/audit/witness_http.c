/* witness_http.c - one POST to a witness, by libcurl, on the caller's thread.
 */
#include "witness_internal.h"

#include "lethe/gateway/audit/tlog/witness.h"
#include "lethe/gateway/sink/http_pin.h"

enum status witness_http_check(const char *url, bool *out_plain)
{
    enum status st = http_client_start();

    return st == ST_OK ? http_check_url(url, out_plain) : st;
}

static size_t on_body(char *at, size_t size, size_t count, void *ctx)
{
    struct buf *b = ctx;

    buf_put_bytes(b, at, size * count);
    return b->failed ? 0 : size * count;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c,
                       curl_off_t d)
{
    const _Atomic bool *stop = ctx;

    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return *stop ? 1 : 0;
}

static CURLcode prepare(CURL *e, struct slice body, struct curl_slist *headers,
                        const _Atomic bool *stop, struct buf *answer)
{
    CURLcode c = curl_easy_setopt(e, CURLOPT_POST, 1L);

    c |= curl_easy_setopt(e, CURLOPT_POSTFIELDS, body.at);
    c |= curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    c |= curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
    c |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    c |= curl_easy_setopt(e, CURLOPT_WRITEDATA, answer);
    c |= curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L);
    c |= curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress);
    c |= curl_easy_setopt(e, CURLOPT_XFERINFODATA, stop);
    return c;
}

static CURLcode set_url(CURL *e, const char *prefix)
{
    struct buf url;

    buf_init(&url, 8192);
    buf_printf(&url, "%s" WITNESS_PATH, prefix);
    buf_put_char(&url, '\0');
    CURLcode c = url.failed ? CURLE_OUT_OF_MEMORY
                            : curl_easy_setopt(e, CURLOPT_URL, url.data);
    buf_free(&url);
    return c;
}

void witness_http_post(const struct conf_witness *w, bool plain,
                       int64_t timeout_ms, struct slice body,
                       const _Atomic bool *stop, struct witness_answer *out)
{
    struct curl_slist expect = {(char[]){"Expect:"}, NULL};
    struct curl_slist headers = {
        (char[]){"Content-Type: text/plain; charset=utf-8"}, &expect};
    CURL *e = curl_easy_init();
    long status = 0;

    *out = (struct witness_answer){.status = 0};
    buf_init(&out->body, WITNESS_ANSWER_MAX);
    if (e == NULL)
        return;
    CURLcode c = http_pin(e, plain, w->ca, (long)timeout_ms);
    c |= set_url(e, w->url);
    c |= prepare(e, body, &headers, stop, &out->body);
    if (c == CURLE_OK)
        c = curl_easy_perform(e);
    if (c == CURLE_OK)
        (void)curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &status);
    out->status = (int)status;
    out->tls_failed = http_is_tls_failure(c);
    curl_easy_cleanup(e);
}
