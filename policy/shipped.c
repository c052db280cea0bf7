/* The shipped profiles, taken into the binary as they are: what an officer
 * reads in policy/profiles/ is what `extends` gives. */
#include "lethe/policy/policy.h"

#define TAKE(name, file)                                                       \
    __asm__(".pushsection .rodata\n" #name "_start:\n"                         \
            ".incbin \"policy/profiles/" file "\"\n" #name "_end:\n"           \
            ".popsection\n");                                                  \
    extern const char name##_start[] __attribute__((visibility("hidden")));    \
    extern const char name##_end[] __attribute__((visibility("hidden")))

TAKE(lethe_cnil_strict, "cnil-strict.json");
TAKE(lethe_cnil_pragmatic, "cnil-pragmatic.json");
TAKE(lethe_cnil_exempt, "cnil-exempt.json");
TAKE(lethe_mixbot, "mixbot.json");

static const struct {
    const char *name, *start, *end;
} shipped[] = {
    {"cnil-strict", lethe_cnil_strict_start, lethe_cnil_strict_end},
    {"cnil-pragmatic", lethe_cnil_pragmatic_start, lethe_cnil_pragmatic_end},
    {"cnil-exempt", lethe_cnil_exempt_start, lethe_cnil_exempt_end},
    {"mixbot", lethe_mixbot_start, lethe_mixbot_end},
};

enum status policy_shipped(void *unused, struct slice name,
                           struct slice *out_text)
{
    (void)unused;
    for (size_t i = 0; i < sizeof(shipped) / sizeof(shipped[0]); i++)
        if (slice_eq(name, slice_of(shipped[i].name))) {
            *out_text = (struct slice){
                shipped[i].start, (size_t)(shipped[i].end - shipped[i].start)};
            return ST_OK;
        }
    return ST_UNKNOWN;
}
