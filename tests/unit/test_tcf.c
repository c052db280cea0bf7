/* TC strings: the standard's own offsets, what must refuse, and 500 strings
 * that npm's @iabtcf/core made (LETHE_TCF_VECTORS names the file that
 * tests/npm/tcf_vectors.mjs wrote; without it that test is skipped). */
#include "tcf_made.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VECTORS    500u
#define LINE_MAX_  16384u
#define FUZZ_CASES 100000u

/* requirements.md R66: version 2, policy 4, purposes 1, 8 and 10, legitimate
 * interest for 9, French. */
#define SAMPLE "CQuFeUAQuFeUAAKADBFRB4EgAIFAAACAAAqIAAAAAAAA"

static struct tcf read_well(const char *text)
{
    struct tcf t;

    assert_int_equal(tcf_read(slice_of(text), &t), ST_OK);
    return t;
}

static enum status read_status(struct slice text)
{
    struct tcf t;

    return tcf_read(text, &t);
}

static void r66_the_core_segment_field_by_field(void **state)
{
    struct tcf t = read_well(SAMPLE);

    (void)state;
    assert_int_equal(t.version, 2);
    assert_int_equal(t.created_ms, t.updated_ms);
    assert_int_equal(t.policy_version, 4);
    assert_true(t.service_specific);
    assert_int_equal(t.consent, 1u << 0 | 1u << 7 | 1u << 9);
    assert_int_equal(t.interest, 1u << 8);
    assert_memory_equal(t.language, "FR", 2);
    assert_false(t.vendor_consent.count != 0 || t.disclosed.there);
    assert_true(tcf_is_valid(&t));
    tcf_wipe(&t);
    assert_int_equal(t.consent, 0);
}

/* ---- strings made here -------------------------------------------------- */

static bool valid(const struct core *c)
{
    struct made m = {.len = 0};

    put_head(&m, c);
    put_no_vendors(&m);
    end_segment(&m);
    m.text[m.len] = '\0';
    struct tcf t = read_well(m.text);
    return tcf_is_valid(&t);
}

static void r67_what_may_not_count(void **state)
{
    struct core c = good;

    (void)state;
    assert_true(valid(&c));
    c.version = 1;
    assert_false(valid(&c));
    c.version = 3;
    assert_false(valid(&c));
    c = good;
    c.specific = 0;
    assert_false(valid(&c));
    c = good;
    c.policy = 3;
    assert_false(valid(&c));
    c.policy = 5;
    assert_true(valid(&c));
    for (unsigned purpose = 1; purpose <= 24; purpose++) {
        c = good;
        c.interest = PURPOSE(purpose);
        assert_int_equal(valid(&c), purpose == 2 || purpose > 6);
    }
}

static void r67_letters_beyond_z_refuse(void **state)
{
    struct core c = good;
    struct made m = {.len = 0};

    (void)state;
    c.language = 26;
    put_head(&m, &c);
    put_no_vendors(&m);
    end_segment(&m);
    assert_int_equal(read_status((struct slice){m.text, m.len}), ST_SYNTAX);
}

static void r67_cut_anywhere_refuses(void **state)
{
    const char *whole = SAMPLE;
    size_t needed = (213 + 17 + 17 + 12 + 5) / 6;

    (void)state;
    for (size_t len = 0; len < needed; len++)
        assert_int_equal(read_status((struct slice){whole, len}), ST_SYNTAX);
    for (size_t len = needed; len <= strlen(whole); len++)
        assert_int_equal(read_status((struct slice){whole, len}), ST_OK);
}

static void r67_garbage_refuses(void **state)
{
    static const char *const bad[] = {
        "",
        ".",
        "AAAA",
        SAMPLE ".",
        "." SAMPLE,
        SAMPLE "=",
        SAMPLE " ",
        SAMPLE "+A",
        SAMPLE "/A",
        SAMPLE "B",          /* not zero behind the end */
        SAMPLE "AAAAAAAA",   /* over-long */
        SAMPLE "." SAMPLE,   /* two cores */
        SAMPLE ".gAAA",      /* segment 4 */
        SAMPLE ".IAA",       /* disclosed, cut */
        SAMPLE ".IAAA.IAAA", /* twice */
        SAMPLE ".YAAAAAAAAAAA.YAAAAAAAAAAA",
        SAMPLE ".IAAA.QAAA.YAAAAAAAAAAA.IAAA",
        "BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA", /* version 1 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(read_status(slice_of(bad[i])), ST_SYNTAX);
    assert_int_equal(read_status(SLICE(SAMPLE ".IAAA")), ST_OK);
    assert_int_equal(read_status(SLICE(SAMPLE ".IAAA.QAAA.YAAAAAAAAAAA")),
                     ST_OK);
}

static struct tcf with_vendors(struct made *m)
{
    struct tcf t;

    end_segment(m);
    assert_int_equal(tcf_read((struct slice){m->text, m->len}, &t), ST_OK);
    return t;
}

static void r66_vendors_as_bits_and_as_ranges(void **state)
{
    struct made m = {.len = 0};

    (void)state;
    put_head(&m, &good);
    put(&m, 9, 16); /* nine bits: 1, 3 and 9 */
    put(&m, 0, 1);
    put(&m, 0x141, 9);
    put(&m, 65535, 16); /* ranges: 755, and 1000 to 65535 */
    put(&m, 1, 1);
    put(&m, 2, 12);
    put(&m, 0, 1);
    put(&m, 755, 16);
    put(&m, 1, 1);
    put(&m, 1000, 16);
    put(&m, 65535, 16);
    put(&m, 0, 12);
    struct tcf t = with_vendors(&m);
    for (unsigned v = 0; v <= 65536; v++) {
        bool consent = v == 1 || v == 3 || v == 9;
        bool interest = v == 755 || (v >= 1000 && v <= 65535);
        assert_int_equal(tcf_has_vendor(&t, &t.vendor_consent, v), consent);
        assert_int_equal(tcf_has_vendor(&t, &t.vendor_interest, v), interest);
        assert_false(tcf_has_vendor(&t, &t.disclosed, v));
    }
}

static void r67_ranges_that_make_no_sense_refuse(void **state)
{
    static const struct {
        unsigned max, first, last;
        enum status want;
    } rows[] = {{10, 2, 10, ST_OK},
                {10, 2, 2, ST_OK},
                {10, 0, 5, ST_SYNTAX},
                {10, 6, 5, ST_SYNTAX},
                {10, 2, 11, ST_SYNTAX}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct made m = {.len = 0};
        put_head(&m, &good);
        put(&m, rows[i].max, 16);
        put(&m, 1, 1);
        put(&m, 1, 12);
        put(&m, 1, 1);
        put(&m, rows[i].first, 16);
        put(&m, rows[i].last, 16);
        put(&m, 0, 17 + 12);
        end_segment(&m);
        assert_int_equal(read_status((struct slice){m.text, m.len}),
                         rows[i].want);
    }
}

static void r66_publisher_restrictions(void **state)
{
    struct made m = {.len = 0};
    struct tcf_restricted r;

    (void)state;
    put_head(&m, &good);
    put(&m, 0, 17 + 17);
    put(&m, 4, 12);
    put_restriction(&m, 8, 0, 755);
    put_restriction(&m, 9, 1, 755);
    put_restriction(&m, 24, 2, 755);
    put_restriction(&m, 10, 0, 12);
    struct tcf t = with_vendors(&m);
    tcf_restrictions(&t, 755, &r);
    assert_int_equal(r.not_allowed, 1u << 7);
    assert_int_equal(r.needs_consent, 1u << 8);
    assert_int_equal(r.needs_interest, 1u << 23);
    tcf_restrictions(&t, 12, &r);
    assert_int_equal(r.not_allowed, 1u << 9);
    assert_int_equal(r.needs_consent | r.needs_interest, 0);
    tcf_restrictions(&t, 13, &r);
    assert_int_equal(r.not_allowed | r.needs_consent | r.needs_interest, 0);
}

static void r67_restrictions_out_of_range_refuse(void **state)
{
    static const struct {
        unsigned purpose, type, vendor;
        enum status want;
    } rows[] = {{1, 0, 1, ST_OK},     {24, 2, 65535, ST_OK},
                {0, 0, 1, ST_SYNTAX}, {25, 0, 1, ST_SYNTAX},
                {2, 3, 1, ST_SYNTAX}, {2, 0, 0, ST_SYNTAX}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct made m = {.len = 0};
        put_head(&m, &good);
        put(&m, 0, 17 + 17);
        put(&m, 1, 12);
        put_restriction(&m, rows[i].purpose, rows[i].type, rows[i].vendor);
        end_segment(&m);
        assert_int_equal(read_status((struct slice){m.text, m.len}),
                         rows[i].want);
    }
}

/* Bits for as many vendors as fit, and one letter more. */
static void the_longest_string_is_taken_and_no_longer(void **state)
{
    struct made m = {.len = 0};
    unsigned vendors = TCF_TEXT_MAX * 6 - 213 - 17 - 17 - 12;

    (void)state;
    put_head(&m, &good);
    put(&m, vendors, 16);
    put(&m, 0, 1);
    for (unsigned i = 0; i < vendors; i++)
        put(&m, 1, 1);
    put(&m, 0, 17 + 12);
    assert_int_equal(m.have, 0);
    assert_int_equal(m.len, TCF_TEXT_MAX);
    struct tcf t = with_vendors(&m);
    assert_true(tcf_has_vendor(&t, &t.vendor_consent, vendors));
    assert_false(tcf_has_vendor(&t, &t.vendor_consent, vendors + 1));
    m.text[m.len++] = 'A';
    assert_int_equal(read_status((struct slice){m.text, m.len}), ST_LIMIT);
}

/* ---- the other implementation ------------------------------------------- */

static char *word(char **rest)
{
    char *w = strsep(rest, " \n");

    assert_non_null(w);
    return w;
}

static unsigned long long number(char **rest, int base)
{
    char *end, *w = word(rest);
    unsigned long long v = strtoull(w, &end, base);

    assert_true(end != w && *end == '\0');
    return v;
}

static void compare_core(const struct tcf *t, char **rest)
{
    assert_int_equal(t->version, 2);
    assert_int_equal(t->created_ms, number(rest, 10));
    assert_int_equal(t->updated_ms, number(rest, 10));
    assert_int_equal(t->cmp, number(rest, 10));
    assert_int_equal(t->cmp_version, number(rest, 10));
    assert_int_equal(t->screen, number(rest, 10));
    assert_memory_equal(t->language, word(rest), 2);
    assert_int_equal(t->list_version, number(rest, 10));
    assert_int_equal(t->policy_version, number(rest, 10));
    assert_int_equal(t->service_specific, number(rest, 10));
    assert_int_equal(t->nonstandard_texts, number(rest, 10));
    assert_int_equal(t->purpose_one_treatment, number(rest, 10));
    assert_memory_equal(t->country, word(rest), 2);
    assert_int_equal(t->features, number(rest, 16));
    assert_int_equal(t->consent, number(rest, 16));
    assert_int_equal(t->interest, number(rest, 16));
    assert_int_equal(t->disclosed.there, number(rest, 10));
    assert_int_equal(t->has_publisher, number(rest, 10));
    unsigned long long consent = number(rest, 16);
    unsigned long long interest = number(rest, 16);
    assert_int_equal(t->publisher_consent, t->has_publisher ? consent : 0);
    assert_int_equal(t->publisher_interest, t->has_publisher ? interest : 0);
}

static void compare_probe(const struct tcf *t, const char *probe)
{
    unsigned v, consent, interest, disclosed, purpose, want, got;
    struct tcf_restricted r;

    assert_int_equal(sscanf(probe, "%u:%u:%u:%u:%u:%u", &v, &consent, &interest,
                            &disclosed, &purpose, &want),
                     6);
    assert_int_equal(tcf_has_vendor(t, &t->vendor_consent, v), consent);
    assert_int_equal(tcf_has_vendor(t, &t->vendor_interest, v), interest);
    if (t->disclosed.there)
        assert_int_equal(tcf_has_vendor(t, &t->disclosed, v), disclosed);
    tcf_restrictions(t, v, &r);
    got = (r.not_allowed >> (purpose - 1) & 1u) |
          (r.needs_consent >> (purpose - 1) & 1u) << 1 |
          (r.needs_interest >> (purpose - 1) & 1u) << 2;
    assert_int_equal(got, want);
}

static void r66_500_strings_of_another_implementation_read_alike(void **state)
{
    const char *path = getenv("LETHE_TCF_VECTORS");
    static char line[LINE_MAX_];
    unsigned lines = 0;

    (void)state;
    if (path == NULL || path[0] == '\0')
        skip();
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f) != NULL) {
        char *rest = line;
        struct tcf t = read_well(word(&rest));
        compare_core(&t, &rest);
        while (rest != NULL && *rest != '\0')
            compare_probe(&t, word(&rest));
        lines++;
    }
    (void)fclose(f);
    assert_int_equal(lines, VECTORS);
}

/* ---- strings that nobody made ------------------------------------------- */

static unsigned next_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* R67: whatever is read says yes to nothing that its bits do not say. */
static void r67_100000_mutations_refuse_or_stay_bounded(void **state)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=~";
    const char *seeds[] = {SAMPLE, SAMPLE ".IAAA",
                           SAMPLE ".YAAAAAAAAAAA.IAAA.QAAA"};
    unsigned seed = 20261125, read = 0;

    (void)state;
    for (unsigned i = 0; i < FUZZ_CASES; i++) {
        char text[128];
        struct tcf t;
        const char *from = seeds[i % 3];
        size_t len = strlen(from);

        memcpy(text, from, len);
        for (unsigned n = 1 + next_random(&seed) % 4; n > 0; n--)
            text[next_random(&seed) % len] =
                letters[next_random(&seed) % (sizeof(letters) - 1)];
        if (next_random(&seed) % 4 == 0)
            len = next_random(&seed) % (len + 1);
        if (tcf_read((struct slice){text, len}, &t) != ST_OK)
            continue;
        read++;
        for (unsigned v = 0; v < 3; v++) {
            struct tcf_restricted r;
            tcf_restrictions(&t, v * 32767, &r);
            (void)tcf_has_vendor(&t, &t.vendor_consent, v * 32767);
            (void)tcf_has_vendor(&t, &t.disclosed, v * 32767);
        }
        assert_true(t.consent < 1u << 24 && t.interest < 1u << 24);
    }
    assert_true(read > 100 && read < FUZZ_CASES);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(r66_the_core_segment_field_by_field),
        cmocka_unit_test(r67_what_may_not_count),
        cmocka_unit_test(r67_letters_beyond_z_refuse),
        cmocka_unit_test(r67_cut_anywhere_refuses),
        cmocka_unit_test(r67_garbage_refuses),
        cmocka_unit_test(r66_vendors_as_bits_and_as_ranges),
        cmocka_unit_test(r67_ranges_that_make_no_sense_refuse),
        cmocka_unit_test(r66_publisher_restrictions),
        cmocka_unit_test(r67_restrictions_out_of_range_refuse),
        cmocka_unit_test(the_longest_string_is_taken_and_no_longer),
        cmocka_unit_test(r66_500_strings_of_another_implementation_read_alike),
        cmocka_unit_test(r67_100000_mutations_refuse_or_stay_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
