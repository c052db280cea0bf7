#include "tls.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct tls_context {
    unsigned refs; /* atomic: tls_context_ref/tls_context_free */
    SSL_CTX *ctx;
};

struct tls_session {
    SSL *ssl;
};

/* A key with a pass phrase cannot be opened by a daemon; never ask a
 * terminal. */
static int no_pass_phrase(char *out, int size, int writing, void *ctx)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1;
}

static int choose_http11(SSL *ssl, const unsigned char **out,
                         unsigned char *out_len, const unsigned char *in,
                         unsigned in_len, void *ctx)
{
    static const unsigned char ours[] = "\x08http/1.1";

    (void)ssl;
    (void)ctx;
    for (unsigned i = 0; i < in_len; i += 1u + in[i])
        if (in_len - i >= 9 && memcmp(in + i, ours, 9) == 0) {
            *out = in + i + 1;
            *out_len = 8;
            return SSL_TLSEXT_ERR_OK;
        }
    return SSL_TLSEXT_ERR_NOACK;
}

/* OpenSSL writes to the socket without MSG_NOSIGNAL: a client that has gone
 * must not end the process. Whoever set a handler keeps it. */
static void ignore_sigpipe(void)
{
    struct sigaction now;

    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL) {
        now.sa_handler = SIG_IGN;
        (void)sigaction(SIGPIPE, &now, NULL);
    }
}

static bool load(SSL_CTX *ctx, const struct conf_tls *conf)
{
    int min = conf->min_version == 13 ? TLS1_3_VERSION : TLS1_2_VERSION;

    SSL_CTX_set_default_passwd_cb(ctx, no_pass_phrase);
    return SSL_CTX_set_min_proto_version(ctx, min) == 1 &&
           SSL_CTX_use_certificate_chain_file(ctx, conf->certificate) == 1 &&
           /* also checks that the key is the certificate's */
           SSL_CTX_use_PrivateKey_file(ctx, conf->key, SSL_FILETYPE_PEM) == 1 &&
           SSL_CTX_set_num_tickets(ctx, 0) == 1;
}

enum status tls_context_new(const struct conf_tls *conf,
                            struct tls_context **out)
{
    struct tls_context *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return ST_NOMEM;
    t->refs = 1;
    t->ctx = SSL_CTX_new(TLS_server_method());
    if (t->ctx == NULL || conf->certificate == NULL || conf->key == NULL ||
        !load(t->ctx, conf)) {
        ERR_clear_error();
        tls_context_free(t);
        return ST_CRYPTO;
    }
    (void)SSL_CTX_set_options(
        t->ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                    SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_mode(t->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                       SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(t->ctx, choose_http11, NULL);
    ignore_sigpipe();
    *out = t;
    return ST_OK;
}

struct tls_context *tls_context_ref(struct tls_context *t)
{
    (void)__atomic_add_fetch(&t->refs, 1, __ATOMIC_RELAXED);
    return t;
}

void tls_context_free(struct tls_context *t)
{
    if (t == NULL || __atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    SSL_CTX_free(t->ctx);
    free(t);
}

struct tls_session *tls_session_new(struct tls_context *t, int fd)
{
    struct tls_session *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->ssl = SSL_new(t->ctx);
    if (s->ssl == NULL || SSL_set_fd(s->ssl, fd) != 1) {
        ERR_clear_error();
        tls_session_free(s);
        return NULL;
    }
    SSL_set_accept_state(s->ssl);
    return s;
}

/* The error queue is the thread's: leave nothing of this one for the next. */
static ssize_t wait_for(struct tls_session *s, int rc)
{
    int why = SSL_get_error(s->ssl, rc);

    ERR_clear_error();
    switch (why) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_END;
    default:
        return TLS_FAILED;
    }
}

ssize_t tls_handshake(struct tls_session *s)
{
    int rc = SSL_do_handshake(s->ssl);

    return rc == 1 ? 1 : wait_for(s, rc);
}

ssize_t tls_read(struct tls_session *s, void *out, size_t len)
{
    int rc = SSL_read(s->ssl, out, len < INT_MAX ? (int)len : INT_MAX);

    return rc > 0 ? rc : wait_for(s, rc);
}

ssize_t tls_write(struct tls_session *s, const void *bytes, size_t len)
{
    int rc = SSL_write(s->ssl, bytes, len < INT_MAX ? (int)len : INT_MAX);

    return rc > 0 ? rc : wait_for(s, rc);
}

void tls_goodbye(struct tls_session *s)
{
    if (SSL_is_init_finished(s->ssl))
        (void)SSL_shutdown(s->ssl);
    ERR_clear_error();
}

void tls_session_free(struct tls_session *s)
{
    if (s == NULL)
        return;
    SSL_free(s->ssl);
    free(s);
}
