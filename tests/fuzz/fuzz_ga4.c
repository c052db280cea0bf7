/* GA4 and Universal Analytics: the fields are one well-formed object without a
 * name twice, and the answers are constants. */
#include "fuzz_dialect.h"

static void look(const struct hit *h, struct arena *a)
{
    uint32_t members = 0;

    (void)a;
    for (unsigned i = 0; i < CONSENT_TYPE_COUNT; i++)
        check(h->signals.mode.said[i] <= CONSENT_DENIED);
    if (h->fields == NULL)
        return;
    check(h->fields->type == JSON_OBJECT);
    for (const struct json_node *n = json_first(h->fields); n != NULL;
         n = json_next(h->fields, n)) {
        members++;
        check(json_member(h->fields, n->key) == n);
    }
    check(members == h->fields->count);
}

static void answer(const struct reply *r)
{
    check(r->status == 200 || (r->status == 204 && r->body.len == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"/g/collect", "/mp/collect", "/collect",
                                        "/batch"};
    struct fuzz_dialect f = {
        .paths = paths, .path_count = 4, .look = look, .answer = answer};

    return fuzz_dialect_run(&f, data, size);
}
