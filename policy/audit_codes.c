#include "lethe/audit_codes.h"

#include "lethe/policy/base/buf.h"
#include "lethe/policy/pseudonym.h"

#include <stddef.h>
#include <stdio.h>

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

static void put_table(struct buf *out, const char *name,
                      const struct code *table, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "%s %u %s\n", name, table[i].number, table[i].text);
}
#define PUT_TABLE(out, name, table)                                            \
    put_table(out, name, table, sizeof(table) / sizeof(table[0]))

void audit_codes_hash(char out[65])
{
    struct buf all;
    uint8_t hash[32];

    buf_init(&all, 65536);
    PUT_TABLE(&all, "act", acts);
    PUT_TABLE(&all, "reason", reasons);
    PUT_TABLE(&all, "refusal", refusals);
    PUT_TABLE(&all, "source", sources);
    PUT_TABLE(&all, "class", classes);
    sha256_hash(all.data, all.len, hash);
    for (size_t i = 0; i < sizeof(hash); i++)
        (void)snprintf(out + 2 * i, 3, "%02x", hash[i]);
    buf_free(&all);
}
