/* The signer's question and the answer's reader. Input: a body; the same bytes
 * as an answer. Whatever is asked, what was signed is never left behind. */
#include "fuzz.h"
#include "lethe/gateway/audit/signer.h"
#include "lethe/gateway/keys/keyfile.h"

#include "../unit/folder.h"

#include <stdlib.h>

static int64_t no_time(void *ctx)
{
    (void)ctx;
    return 0;
}

static const struct clock no_clock = {no_time, no_time, NULL};

/* A signer that has signed a tree of one leaf. */
static struct signer *make_signer(void)
{
    static char dir[] = "/tmp/lethe-fuzz-signer-XXXXXX";
    char why[SIGNER_WHY_MAX];
    struct checkpoint c = {SLICE_INIT("log"), 1, {0}};
    struct tree_proof none = {.count = 0};
    struct signer_reply r;
    struct signer *s = NULL;
    struct buf body;

    check(secrets_init() == ST_OK && mkdtemp(dir) != NULL);
    check(signer_make(dir, SLICE("log")) == ST_OK);
    check(signer_open(dir, SLICE_NONE, &no_clock, &s, why) == ST_OK);
    merkle_leaf("x", 1, c.root);
    buf_init(&body, SIGNER_BODY_MAX);
    signer_put(0, &none, &c, &body);
    signer_answer(s, buf_slice(&body), &r);
    check(r.code == 200);
    buf_free(&r.lines);
    buf_free(&body);
    /* From here on nothing is written that counts. */
    check(folder_remove(dir) == 0);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct signer *s;
    struct slice input = {(const char *)data, size};
    struct signer_reply r;

    if (s == NULL)
        s = make_signer();
    signer_answer(s, input, &r);
    check((r.code == 200) == (r.lines.len > 0));
    check(!r.has_size || r.size >= 1);
    /* Nobody but us knows a second leaf, or guesses the hash of one. */
    if (r.code == 200)
        check(slice_starts(input, SLICE("old 1\n\nlog\n1\n")));
    buf_free(&r.lines);
    if (signer_read_reply(input, &r) == ST_OK)
        check(r.code >= 200 && r.code <= 599 && r.gap_ms >= 0);
    buf_free(&r.lines);
    return 0;
}
