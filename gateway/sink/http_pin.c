#include "lethe/gateway/sink/http_pin.h"

#include "lethe/gateway/version.h"
#include "lethe/policy/base/slice.h"

#include <pthread.h>
#include <signal.h>

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;

static void curl_start(void)
{
    /* With CURLOPT_NOSIGNAL curl leaves SIGPIPE to us; a backend that hangs
     * up must not end the process. */
    (void)signal(SIGPIPE, SIG_IGN);
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

enum status http_client_start(void)
{
    return pthread_once(&curl_once, curl_start) == 0 && curl_ready == CURLE_OK
               ? ST_OK
               : ST_NOMEM;
}

static bool is_loopback(const char *host)
{
    struct slice h = slice_of(host);

    return slice_eq_fold(h, SLICE("localhost")) ||
           slice_eq(h, SLICE("[::1]")) || slice_eq(h, SLICE("127.0.0.1"));
}

enum status http_check_url(const char *url, bool *out_plain)
{
    CURLU *u = curl_url();
    char *scheme = NULL, *host = NULL, *user = NULL;
    enum status r = ST_SYNTAX;

    if (u == NULL)
        return ST_NOMEM;
    if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK)
        goto out;
    *out_plain = slice_eq(slice_of(scheme), SLICE("http"));
    if (*out_plain)
        r = is_loopback(host) ? ST_OK : ST_DENIED;
    else if (slice_eq(slice_of(scheme), SLICE("https")))
        r = ST_OK;
out:
    curl_free(scheme);
    curl_free(host);
    curl_free(user);
    curl_url_cleanup(u);
    return r;
}

CURLcode http_pin(CURL *e, bool plain_http, const char *ca, long timeout_ms)
{
    CURLcode c = curl_easy_setopt(e, CURLOPT_PROXY, "");

    c |= curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    c |= curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    c |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR,
                          plain_http ? "http" : "https");
    c |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    c |= curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    c |= curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    c |= curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (ca != NULL)
        c |= curl_easy_setopt(e, CURLOPT_CAINFO, ca);
    if (ca != NULL) /* that file and no other */
        c |= curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
    c |=
        curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    c |= curl_easy_setopt(e, CURLOPT_USERAGENT, "lethe/" LETHE_VERSION);
    c |= curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, timeout_ms);
    c |= curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms);
    return c;
}

bool http_is_tls_failure(CURLcode code)
{
    switch ((unsigned)code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return true;
    default:
        return false;
    }
}
