/* signer_fixture.h - a signer in a folder of its own, asked without a socket.
 */
#ifndef TESTS_UNIT_SIGNER_FIXTURE_H
#define TESTS_UNIT_SIGNER_FIXTURE_H

#include "lethe/gateway/audit/signer.h"
#include "lethe/gateway/keys/keyfile.h"

#include "folder.h"

#define SIGNER_ORIGIN "gw1.example.eu/audit"

struct signer_world {
    char dir[64];
    int64_t now; /* wall clock of the signer */
    struct clock clock;
    struct signer *signer;
    char why[SIGNER_WHY_MAX];
    _Atomic enum status fail; /* what asking gives instead of an answer */
    _Atomic unsigned asked;
};

static inline int64_t signer_world_now(void *ctx)
{
    return ((struct signer_world *)ctx)->now;
}

static inline enum status signer_world_open(struct signer_world *w,
                                            struct slice origin)
{
    signer_close(w->signer);
    w->signer = NULL;
    return signer_open(w->dir, origin, &w->clock, &w->signer, w->why);
}

static inline bool signer_world_make(struct signer_world *w)
{
    *w = (struct signer_world){.now = INT64_C(4000000000000)};
    memcpy(w->dir, "/tmp/lethe-signer-XXXXXX", 25);
    w->clock = (struct clock){signer_world_now, signer_world_now, w};
    return secrets_init() == ST_OK && mkdtemp(w->dir) != NULL &&
           signer_make(w->dir, SLICE(SIGNER_ORIGIN)) == ST_OK &&
           signer_world_open(w, SLICE_NONE) == ST_OK;
}

static inline void signer_world_drop(struct signer_world *w)
{
    signer_close(w->signer);
    (void)folder_remove(w->dir);
}

/* An audit_signing.ask. */
static inline enum status signer_world_ask(void *ctx, struct slice body,
                                           struct signer_reply *out)
{
    struct signer_world *w = ctx;

    w->asked++;
    if (w->fail != ST_OK) {
        *out = (struct signer_reply){.code = 0};
        buf_init(&out->lines, 1);
        return w->fail;
    }
    signer_answer(w->signer, body, out);
    return ST_OK;
}

#endif
