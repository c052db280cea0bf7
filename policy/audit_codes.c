#include "lethe/audit_codes.h"

#include <stddef.h>

struct code {
    unsigned number;
    const char *text;
};

#define X(n, id, text) {n, text},
static const struct code acts[] = {AUDIT_ACTS(X)};
static const struct code reasons[] = {AUDIT_REASONS(X)};
static const struct code refusals[] = {AUDIT_REFUSALS(X)};
static const struct code sources[] = {AUDIT_SOURCES(X)};
static const struct code classes[] = {AUDIT_CLASSES(X)};
#undef X

#define LOOK_UP(table, number)                                                 \
    look_up(table, sizeof(table) / sizeof(table[0]), number)

static const char *look_up(const struct code *table, size_t count,
                           unsigned number)
{
    for (size_t i = 0; i < count; i++)
        if (table[i].number == number)
            return table[i].text;
    return "unknown";
}

const char *audit_act_name(unsigned act)
{
    return LOOK_UP(acts, act);
}

const char *audit_reason_name(unsigned reason)
{
    return LOOK_UP(reasons, reason);
}

const char *audit_refusal_name(unsigned refusal)
{
    return LOOK_UP(refusals, refusal);
}

const char *audit_source_name(unsigned source)
{
    return LOOK_UP(sources, source);
}

const char *audit_class_name(unsigned bit)
{
    return LOOK_UP(classes, bit);
}
