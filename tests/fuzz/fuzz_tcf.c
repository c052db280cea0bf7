/* Any bytes as a TC string: what is read holds nothing behind its own end, and
 * a letter more or less of what counts never reads as the same yes by chance:
 * a string that was cut below its fields is refused. */
#include "fuzz.h"
#include "lethe/policy/tcf.h"

#include <stdlib.h>
#include <string.h>

static void look(const struct tcf *t, const struct tcf_vendors *set)
{
    static const unsigned some[] = {0, 1, 2, 755, 4096, 65535};

    if (set->there)
        check(set->at <= sizeof(t->bytes) * 8);
    check(!tcf_has_vendor(t, set, 0));
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++)
        check(!tcf_has_vendor(t, set, some[i]) || set->there);
    if (!set->ranges)
        check(!tcf_has_vendor(t, set, set->count + 1u));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = {(const char *)data, size};
    struct tcf *t = malloc(sizeof(*t));
    struct tcf_restricted r;

    if (t == NULL)
        return 0;
    if (tcf_read(text, t) == ST_OK) {
        check(size <= TCF_TEXT_MAX);
        check(t->consent >> TCF_PURPOSES == 0);
        check(t->interest >> TCF_PURPOSES == 0);
        look(t, &t->vendor_consent);
        look(t, &t->vendor_interest);
        look(t, &t->disclosed);
        look(t, &t->allowed);
        tcf_restrictions(t, 755, &r);
        check((r.not_allowed | r.needs_consent | r.needs_interest) >>
                  TCF_PURPOSES ==
              0);
        /* nothing may stand behind what was understood */
        if (size + 1 <= TCF_TEXT_MAX) {
            char *longer = malloc(size + 1);
            if (longer != NULL) {
                memcpy(longer, data, size);
                longer[size] = 'B';
                check(tcf_read((struct slice){longer, size + 1}, t) != ST_OK);
            }
            free(longer);
        }
    }
    tcf_wipe(t);
    free(t);
    return 0;
}
