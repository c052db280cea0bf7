/* Mixpanel: an identifier's canonical form is its own, and the answer is one of
 * two constants. */
#include "fuzz_dialect.h"

static void look(const struct hit *h, struct arena *a)
{
    struct slice again;

    check(h->fields != NULL && h->fields->type == JSON_OBJECT);
    for (unsigned i = 0; i < h->identifier_count; i++) {
        const struct identifier *id = &h->identifiers[i];
        check(dialect_canonical(id->exact, a, &again) == ST_OK);
        check(slice_eq(again, id->canonical));
    }
}

static void answer(const struct reply *r)
{
    check(r->status == 200 &&
          (slice_eq(r->body, SLICE("1")) ||
           slice_eq(r->body, SLICE("{\"status\":1,\"error\":null}"))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"/track", "/engage/", "/import",
                                        "/groups"};
    struct fuzz_dialect f = {
        .paths = paths, .path_count = 4, .look = look, .answer = answer};

    return fuzz_dialect_run(&f, data, size);
}
