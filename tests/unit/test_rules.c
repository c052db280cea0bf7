/* Rules of numbers, words and lists, through the policy as an officer writes
 * it: a field's rule and a value in, what leaves out. */
#include "rule_story.h"

static void bool_takes_the_eight_forms_alone(void **state)
{
    (void)state;
    CHECK("\"bool\"", {"true", "true"}, {"false", "false"}, {"1", "true"},
          {"0", "false"}, {"\"true\"", "true"}, {"\"false\"", "false"},
          {"\"1\"", "true"}, {"\"0\"", "false"}, {"\"yes\"", NULL},
          {"\"TRUE\"", NULL}, {"2", NULL}, {"1.0", NULL}, {"-0", NULL},
          {"null", NULL}, {"[true]", NULL}, {"{}", NULL}, {"\"\"", NULL});
}

static void number_rounds_to_the_nearest_ties_up(void **state)
{
    (void)state;
    CHECK("{\"number\":{\"round\":0.1}}", {"0.14", "0.1"}, {"0.15", "0.2"},
          {"0.25", "0.3"}, {"0.35", "0.4"}, {"0.05", "0.1"}, {"0.049", "0.0"},
          {"-0.05", "0.0"}, {"-0.15", "-0.1"}, {"-0.16", "-0.2"},
          {"-0.150000000000000000000000000001", "-0.2"},
          {"0.1499999999999999999999999999999", "0.1"}, {"1e-400", "0.0"},
          {"-0.0", "0.0"}, {"1", "1.0"}, {"12E-1", "1.2"}, {"1.2e+1", "12.0"},
          {"0.95", "1.0"}, {"99.95", "100.0"});
    CHECK("{\"number\":{\"round\":10}}", {"5", "10"}, {"4.999", "0"},
          {"-5", "0"}, {"-5.001", "-10"}, {"\"14\"", "10"}, {"15", "20"});
    CHECK("{\"number\":{\"round\":2.5}}", {"1.25", "2.5"}, {"1.24", "0.0"},
          {"3.75", "5.0"}, {"7.4", "7.5"});
}

static void number_loses_no_digit_of_64_bits(void **state)
{
    (void)state;
    CHECK("{\"number\":{\"round\":1}}",
          {"9223372036854775807", "9223372036854775807"},
          {"18446744073709551615", "18446744073709551615"},
          {"-9223372036854775808", "-9223372036854775808"},
          {"9007199254740993", "9007199254740993"},
          {"\"9007199254740993\"", "9007199254740993"},
          {"9007199254740993.5", "9007199254740994"},
          {"1e25", "10000000000000000000000000"}, {"1e300", NULL},
          {"-1e300", NULL}, {"1e999999999999", NULL});
    CHECK("{\"number\":{\"round\":1024}}",
          {"9223372036854775807", "9223372036854775808"},
          {"9223372036854775295", "9223372036854774784"});
}

static void number_takes_exact_text_of_numbers_alone(void **state)
{
    (void)state;
    CHECK("{\"number\":{\"round\":1}}", {"\"7\"", "7"}, {"\"-7.4\"", "-7"},
          {"\"07\"", NULL}, {"\"+7\"", NULL}, {"\" 7\"", NULL},
          {"\"7 \"", NULL}, {"\"0x7\"", NULL}, {"\"7e\"", NULL},
          {"\"7.\"", NULL}, {"\".7\"", NULL}, {"\"\"", NULL}, {"\"-\"", NULL},
          {"\"NaN\"", NULL}, {"\"Infinity\"", NULL}, {"\"1,5\"", NULL},
          {"\"7\\u0007\"", NULL}, {"true", NULL}, {"[7]", NULL},
          {"{\"a\":7}", NULL},
          {"\"1234567890123456789012345678901234567890123456789012345678901234"
           "\"",
           NULL},
          {"\"0.1234567890123456789012345678901234567890123456789012345678"
           "901234567890123456789012345678901234567890123456789012345678"
           "90123456"
           "\"",
           "0"},
          {"\"0.1234567890123456789012345678901234567890123456789012345678"
           "901234567890123456789012345678901234567890123456789012345678"
           "901234567"
           "\"",
           NULL});
}

static void number_ends_drop_or_clamp(void **state)
{
    (void)state;
    CHECK("{\"number\":{\"round\":0.1,\"min\":0,\"max\":1}}", {"0", "0.0"},
          {"1", "1.0"}, {"1.01", NULL}, {"-0.01", NULL}, {"0.1", "0.1"});
    CHECK("{\"number\":{\"round\":0.1,\"min\":0.1,\"max\":600,"
          "\"outside\":\"clamp\"}}",
          {"0.1", "0.1"}, {"0.09", "0.1"}, {"600.04", "600.0"},
          {"1e308", "600.0"}, {"-1e308", "0.1"});
    CHECK("{\"number\":{\"round\":1048576,\"min\":0,\"max\":2147483648,"
          "\"outside\":\"clamp\"}}",
          {"3000000000", "2147483648"}, {"-1", "0"}, {"524288", "1048576"},
          {"524287", "0"});
}

/* Both ends and no step: the ends bound it, and a fraction is cut to six
 * digits, so that no number carries a name. */
static void number_without_a_step_keeps_six_decimals(void **state)
{
    (void)state;
    CHECK("{\"number\":{\"min\":0,\"max\":100}}", {"50", "50"}, {"0.5", "0.5"},
          {"0.12345678901234567890", "0.123457"}, {"99.0000000001", "99"},
          {"100.5", NULL}, {"10", "10"}, {"0", "0"});
}

static void number_buckets_are_half_open(void **state)
{
    (void)state;
    CHECK("{\"number\":{\"buckets\":[10,20.5]}}", {"9.99", "\"<10\""},
          {"10", "\"10-20.5\""}, {"20.49", "\"10-20.5\""},
          {"20.5", "\">=20.5\""}, {"-1e300", "\"<10\""},
          {"1e300", "\">=20.5\""}, {"\"x\"", NULL});
}

static void enum_trims_folds_maps_and_has_an_other(void **state)
{
    (void)state;
    CHECK("{\"enum\":[\"audio/wav\",\"audio/mpeg\"],"
          "\"map\":{\"audio/x-wav\":\"audio/wav\"},\"other\":\"other\"}",
          {"\"audio/wav\"", "\"audio/wav\""},
          {"\"  audio/wav\\t\"", "\"audio/wav\""},
          {"\"audio/x-wav\"", "\"audio/wav\""}, {"\"AUDIO/WAV\"", "\"other\""},
          {"\"\"", "\"other\""}, {"\"jane@x.test\"", "\"other\""}, {"3", NULL},
          {"true", NULL}, {"null", NULL}, {"[\"audio/wav\"]", NULL});
    CHECK("{\"enum\":[\"Drum & Bass\",\"Hip-Hop\",\"Zouk\",\"[x]\",\"_y\"],"
          "\"fold\":true}",
          {"\"drum & bass\"", "\"Drum & Bass\""},
          {"\"HIP-HOP\"", "\"Hip-Hop\""}, {"\"ZOUK\"", "\"Zouk\""},
          {"\"[X]\"", "\"[x]\""}, {"\"_Y\"", "\"_y\""}, {"\"zouk2\"", NULL},
          {"\"zou\"", NULL});
    CHECK("{\"enum\":[\"a\\\"b\"]}", {"\"a\\\"b\"", "\"a\\\"b\""});
}

/* Every word of a long list is found, and no other. */
static void enum_finds_each_of_many_words(void **state)
{
    static char rule[TEXT_MAX / 2];
    size_t n = 0;
    struct story s;

    (void)state;
    n += (size_t)snprintf(rule, sizeof rule, "{\"enum\":[");
    for (unsigned i = 0; i < 400; i++)
        n += (size_t)snprintf(rule + n, sizeof rule - n, "%s\"w%u\"",
                              i > 0 ? "," : "", i * 7);
    (void)snprintf(rule + n, sizeof rule - n, "]}");
    s = open_rule(rule);
    for (unsigned i = 0; i < 2800; i++) {
        char word[16];

        (void)snprintf(word, sizeof word, "\"w%u\"", i);
        check(&s, word, i % 7 == 0 ? word : NULL);
    }
    story_close(&s);
}

static void constant_replaces_whatever_is_there(void **state)
{
    (void)state;
    CHECK("{\"constant\":\"x\"}", {"\"jane\"", "\"x\""}, {"7", "\"x\""},
          {"null", NULL});
}

static void field_pseudonyms_differ_by_field(void **state)
{
    char got[TEXT_MAX], again[TEXT_MAX];
    struct story s;

    (void)state;
    story_open(&s, policy_of("\"a\":{\"pseudonym\":{}},"
                             "\"b\":{\"pseudonym\":{}}",
                             ""));
    details(&s, "{\"action\":\"e\",\"details\":{\"a\":\"7\",\"b\":\"7\"}}",
            got);
    details(&s, "{\"action\":\"e\",\"details\":{\"a\":7,\"b\":7}}", again);
    assert_string_equal(got, again); /* a number's exact text */
    assert_int_equal(strlen(got), strlen("{\"a\":\"\",\"b\":\"\"}") + 52);
    assert_memory_not_equal(got + 6, got + 6 + 26 + 7, 26);
    details(&s, "{\"action\":\"e\",\"details\":{\"a\":\"\",\"b\":true}}", got);
    assert_string_equal(got, "{}");
    story_close(&s);
}

static void lists_keep_what_their_elements_may(void **state)
{
    char got[TEXT_MAX];
    struct story s;

    (void)state;
    story_open(&s, policy_of("\"tags[]\":{\"enum\":[\"a\",\"b\"]},"
                             "\"items[].price\":{\"number\":{\"round\":1},"
                             "\"from\":[\"products[].cost\"]},"
                             "\"cart.total\":{\"number\":{\"round\":10}}",
                             ""));
    details(
        &s,
        "{\"action\":\"e\",\"details\":{\"tags\":[\"a\",\"jane\",3,\"b\"],"
        "\"items\":[{\"price\":1.4,\"name\":\"x\"},7,{\"price\":\"2\"},"
        "{\"price\":\"jane\"}],\"cart\":{\"total\":14,\"owner\":\"jane\"}}}",
        got);
    assert_non_null(strstr(got, "[\"a\",\"b\"]"));
    assert_non_null(strstr(got, "[1,2]"));
    assert_non_null(strstr(got, ":10"));
    assert_null(strstr(got, "jane"));
    assert_int_equal(s.view.unknown_fields, 3); /* name, 7, owner */
    assert_true(s.view.classes >> CLASS_UNKNOWN_FIELD & 1);
    assert_true(s.clean.classes >> CLASS_NUMBER & 1);
    /* the second place, and the wrong shapes */
    details(&s,
            "{\"action\":\"e\",\"details\":{\"products\":[{\"cost\":5}],"
            "\"tags\":\"a\",\"cart\":[{\"total\":1}]}}",
            got);
    assert_non_null(strstr(got, "[5]"));
    assert_null(strstr(got, "\"a\""));
    details(&s,
            "{\"action\":\"e\",\"details\":{\"items\":[{\"price\":1}],"
            "\"products\":[{\"cost\":5}],\"tags\":[\"jane\"]}}",
            got);
    assert_non_null(strstr(got, "[1]"));
    assert_null(strstr(got, "5"));
    assert_null(strstr(got, "[]"));
    story_close(&s);
}

static void lists_are_read_up_to_their_limit(void **state)
{
    struct story s;

    (void)state;
    story_open(&s, policy_of("\"t[]\":\"bool\"", ""));
    for (unsigned extra = 0; extra < 2; extra++) {
        char event[TEXT_MAX];
        size_t n = (size_t)snprintf(event, sizeof event,
                                    "{\"action\":\"e\",\"details\":{\"t\":[1");

        for (unsigned i = 1; i < MINIMISE_LIST_MAX + extra; i++)
            n += (size_t)snprintf(event + n, sizeof event - n, ",1");
        (void)snprintf(event + n, sizeof event - n, "]}}");
        assert_true(story_decide(&s, slice_of(event)));
        assert_non_null(story_clean(&s, 0));
        assert_int_equal(s.clean.fields[0].item_count, MINIMISE_LIST_MAX);
        assert_int_equal(s.clean.classes >> CLASS_VALUE & 1, extra);
    }
    story_close(&s);
}

static void the_first_place_that_is_there_feeds_a_field(void **state)
{
    char got[TEXT_MAX];
    struct story s;

    (void)state;
    story_open(&s, policy_of("\"f\":{\"number\":{\"round\":1},"
                             "\"from\":[\"g\",\"h.i\"]}",
                             ""));
    details(&s,
            "{\"action\":\"e\",\"details\":{\"h\":{\"i\":3},\"g\":2,\"f\":1}}",
            got);
    assert_string_equal(got, "{\"f\":1}");
    details(&s, "{\"action\":\"e\",\"details\":{\"h\":{\"i\":3},\"g\":2}}",
            got);
    assert_string_equal(got, "{\"f\":2}");
    details(&s, "{\"action\":\"e\",\"details\":{\"h\":{\"i\":3},\"f\":null}}",
            got);
    assert_string_equal(got, "{\"f\":3}");
    assert_int_equal(s.view.unknown_fields, 0);
    story_close(&s);
}

static void a_rule_for_another_purpose_sends_nothing(void **state)
{
    char got[TEXT_MAX];
    struct story s;

    (void)state;
    story_open(&s, policy_of("\"f\":{\"number\":{\"round\":1},"
                             "\"for\":\"second\"},"
                             "\"g\":{\"number\":{\"round\":1},"
                             "\"for\":\"audience\"}",
                             ""));
    details(&s, "{\"action\":\"e\",\"details\":{\"f\":1,\"g\":2}}", got);
    assert_string_equal(got, "{\"g\":2}");
    story_close(&s);
}

static void r9_wildcards_and_unknown_keys_never_leave(void **state)
{
    char event[TEXT_MAX * 4], got[TEXT_MAX];
    size_t n;
    struct story s;

    (void)state;
    story_open(&s, policy_of("\"f\":\"bool\",\"click_*\":\"drop\"", ""));
    n = (size_t)snprintf(event, sizeof event,
                         "{\"action\":\"e\",\"details\":{\"f\":true,"
                         "\"click_x\":\"jane\"");
    for (unsigned i = 0; i < 1000; i++)
        n += (size_t)snprintf(event + n, sizeof event - n,
                              ",\"canary%u\":\"jane%u\"", i, i);
    (void)snprintf(event + n, sizeof event - n, "}}");
    details(&s, event, got);
    assert_string_equal(got, "{\"f\":true}");
    assert_int_equal(s.view.unknown_fields, 1000);
    story_close(&s);
}

static void time_floor_is_below_also_before_1970(void **state)
{
    (void)state;
    assert_true(time_floor(59999, 60000) == 0);
    assert_true(time_floor(60000, 60000) == 60000);
    assert_true(time_floor(0, 60000) == 0);
    assert_true(time_floor(-1, 60000) == -60000);
    assert_true(time_floor(-60000, 60000) == -60000);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(bool_takes_the_eight_forms_alone),
        cmocka_unit_test(number_rounds_to_the_nearest_ties_up),
        cmocka_unit_test(number_loses_no_digit_of_64_bits),
        cmocka_unit_test(number_takes_exact_text_of_numbers_alone),
        cmocka_unit_test(number_ends_drop_or_clamp),
        cmocka_unit_test(number_without_a_step_keeps_six_decimals),
        cmocka_unit_test(number_buckets_are_half_open),
        cmocka_unit_test(enum_trims_folds_maps_and_has_an_other),
        cmocka_unit_test(enum_finds_each_of_many_words),
        cmocka_unit_test(constant_replaces_whatever_is_there),
        cmocka_unit_test(field_pseudonyms_differ_by_field),
        cmocka_unit_test(lists_keep_what_their_elements_may),
        cmocka_unit_test(lists_are_read_up_to_their_limit),
        cmocka_unit_test(the_first_place_that_is_there_feeds_a_field),
        cmocka_unit_test(a_rule_for_another_purpose_sends_nothing),
        cmocka_unit_test(r9_wildcards_and_unknown_keys_never_leave),
        cmocka_unit_test(time_floor_is_below_also_before_1970),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
