/* Every rule kind, through the policy as an officer writes it: a field's rule
 * and a value in, what leaves out. */
#include "story.h"

#include "lethe/policy/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define TEXT_MAX 8192

static struct policy_problems problems;

/* A policy whose one event has `fields`, and whose context is `context`. */
static struct policy *policy_of(const char *fields, const char *context)
{
    static char text[TEXT_MAX];
    struct policy *p = NULL;
    int n = snprintf(
        text, sizeof text,
        "{\"format\":1,\"policy\":\"t\",\"version\":\"1\","
        "\"controller\":{\"name\":\"A\",\"contact\":\"a@b.example\","
        "\"authority\":\"CNIL\"},"
        "\"hosting\":{\"region\":\"EU\",\"processors\":[\"H, DE\"]},"
        "\"purposes\":{\"audience\":{\"basis\":\"legitimate-interest\","
        "\"retention\":\"P13M\",\"text\":{\"en\":\"x\"}},"
        "\"second\":{\"basis\":\"legitimate-interest\","
        "\"retention\":\"P1D\",\"text\":{\"en\":\"x\"}}},"
        "\"unidentified\":\"allow\","
        "\"identifiers\":{\"session\":\"pseudonym\"},"
        "\"pseudonyms\":{\"rotate\":\"P1D\",\"at\":\"04:00Z\",\"bits\":24},"
        "\"context\":{%s},"
        "\"events\":{\"e\":{\"purpose\":[\"audience\"],\"fields\":{%s}}},"
        "\"destinations\":{\"d\":{\"role\":\"controller\",\"country\":\"FR\","
        "\"recipient\":\"ourselves\",\"purposes\":[\"audience\"]}},"
        "\"retention\":{\"spool\":\"PT72H\",\"dead\":\"P7D\","
        "\"audit_rows\":\"P14D\",\"audit_records\":\"P12M\"}}",
        context, fields);

    assert_true(n > 0 && n < (int)sizeof text);
    if (policy_load((struct slice){text, (size_t)n}, "t.json", policy_shipped,
                    NULL, &p, &problems) != ST_OK) {
        for (unsigned i = 0; i < problems.count; i++)
            print_message("%s\n", problems.list[i].text);
        fail_msg("policy refused: %s", fields);
    }
    return p;
}

static struct story open_rule(const char *rule)
{
    char fields[TEXT_MAX / 2];
    struct story s;

    assert_true(snprintf(fields, sizeof fields, "\"f\":%s", rule) <
                (int)sizeof fields);
    story_open(&s, policy_of(fields, ""));
    return s;
}

/* Copy what stands in "details" of the clean hit into `out`. */
static void details(struct story *s, const char *event, char out[TEXT_MAX])
{
    const char *text, *end;

    if (!story_decide(s, slice_of(event)))
        fail_msg("no event: %s", event);
    text = story_clean(s, 0);
    assert_non_null(text);
    text = strstr(text, "\"details\":");
    assert_non_null(text);
    text += 10;
    end = strstr(text, "},\"purpose\"");
    if (end == NULL)
        end = strstr(text, "},\"context\"");
    assert_non_null(end);
    assert_true((size_t)(end - text) < TEXT_MAX - 2);
    memcpy(out, text, (size_t)(end - text) + 1);
    out[end - text + 1] = '\0';
}

/* Under the open rule, `value` (JSON) leaves as `want` (JSON), or not at all
 * if `want` is NULL. */
static void check(struct story *s, const char *value, const char *want)
{
    char event[TEXT_MAX], got[TEXT_MAX], whole[TEXT_MAX];

    (void)snprintf(event, sizeof event,
                   "{\"action\":\"e\",\"details\":{\"f\":%s}}", value);
    details(s, event, got);
    if (want == NULL)
        (void)snprintf(whole, sizeof whole, "{}");
    else
        (void)snprintf(whole, sizeof whole, "{\"f\":%s}", want);
    if (strcmp(got, whole) != 0)
        fail_msg("%s gave %s, not %s", value, got, whole);
}

struct pair {
    const char *value, *want;
};

static void check_all(const char *rule, const struct pair *pairs, size_t n)
{
    struct story s = open_rule(rule);

    for (size_t i = 0; i < n; i++)
        check(&s, pairs[i].value, pairs[i].want);
    story_close(&s);
}

#define CHECK(rule, ...)                                                       \
    do {                                                                       \
        static const struct pair pairs[] = {__VA_ARGS__};                      \
        check_all(rule, pairs, sizeof pairs / sizeof pairs[0]);                \
    } while (0)

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
          {"\"0.12345678901234567890123456789012345678901234567890123456789012"
           "\"",
           "0"},
          {"\"0.123456789012345678901234567890123456789012345678901234567890123"
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

/* R16: 60 shapes of file names and paths; the ending leaves if it is listed,
 * and nothing else ever does. */
static void r16_only_a_listed_ending_leaves(void **state)
{
    (void)state;
    CHECK("{\"extension\":[\"wav\",\"mp3\",\"flac\"]}",
          {"\"mix.wav\"", "\"wav\""}, {"\"MIX.WAV\"", "\"wav\""},
          {"\"Mix.Mp3\"", "\"mp3\""}, {"\"jane doe final.flac\"", "\"flac\""},
          {"\"C:\\\\Users\\\\jane\\\\mix.wav\"", "\"wav\""},
          {"\"C:/Users/jane/mix.wav\"", "\"wav\""},
          {"\"c:mix.wav\"", "\"wav\""},
          {"\"\\\\\\\\srv\\\\jane\\\\mix.wav\"", "\"wav\""},
          {"\"//srv/jane/mix.wav\"", "\"wav\""},
          {"\"/home/jane/mix.wav\"", "\"wav\""},
          {"\"/Users/jane/mix.wav\"", "\"wav\""}, {"\"~/mix.wav\"", "\"wav\""},
          {"\"~jane/mix.wav\"", "\"wav\""},
          {"\"file:///home/jane/mix.wav\"", "\"wav\""},
          {"\"file://C:/jane/mix.wav\"", "\"wav\""},
          {"\"../../jane/mix.wav\"", "\"wav\""},
          {"\"..\\\\jane\\\\mix.wav\"", "\"wav\""},
          {"\"./mix.wav\"", "\"wav\""}, {"\" mix.wav \"", "\"wav\""},
          {"\"mix.jane.wav\"", "\"wav\""}, {"\"mix.wav.mp3\"", "\"mp3\""},
          {"\"mix.exe.wav\"", "\"wav\""}, {"\"a.b.c.d.e.flac\"", "\"flac\""},
          {"\"\\u65e5\\u672c.wav\"", "\"wav\""},
          {"\"ren\\u00e9e.WAV\"", "\"wav\""},
          {"\"\\ud83d\\ude00.wav\"", "\"wav\""},
          {"\"jane%20doe.wav\"", "\"wav\""},
          {"\"C%3A%5CUsers%5Cjane%5Cmix.wav\"", "\"wav\""},
          {"\"%2Fhome%2Fjane%2Fmix.wav\"", "\"wav\""},
          {"\"https://x.test/jane/mix.wav\"", "\"wav\""},
          /* not listed, no ending, or no name before it */
          {"\"mix.wav.exe\"", NULL}, {"\"mix.jane\"", NULL},
          {"\"mix.tar.gz\"", NULL}, {"\"mix\"", NULL}, {"\"mix.\"", NULL},
          {"\".wav\"", NULL}, {"\"/home/jane/.wav\"", NULL},
          {"\"C:\\\\jane\\\\.wav\"", NULL}, {"\"\"", NULL}, {"\".\"", NULL},
          {"\"..\"", NULL}, {"\"wav\"", NULL}, {"\"/wav\"", NULL},
          {"\"mix.wav/\"", NULL}, {"\"mix.wav\\\\\"", NULL},
          {"\"mix.wav/jane\"", NULL}, {"\"mix.wav\\\\jane\"", NULL},
          {"\"mix.wav?user=jane\"", NULL}, {"\"mix.wav#jane\"", NULL},
          {"\"mix%2Ewav\"", NULL}, {"\"mix.w%61v\"", NULL},
          {"\"mix.wav%00\"", NULL}, {"\"mix.wav%2Fjane\"", NULL},
          {"\"mix.wa v\"", NULL}, {"\"mix.\\u0077av\\u200b\"", NULL},
          {"\"mix\\uff0ewav\"", NULL}, {"\"mix.wav;jane\"", NULL},
          {"\"mix.wav:jane\"", NULL}, {"\"mix.wavjane\"", NULL},
          {"\"jane@x.test\"", NULL}, {"7", NULL}, {"{\"n\":\"a.wav\"}", NULL},
          {"[\"a.wav\"]", NULL}, {"true", NULL});
    CHECK("{\"extension\":[\"wav\"]}", {"\"a.WAV\"", "\"wav\""});
}

#define URL_RULE                                                               \
    "{\"url\":{\"paths\":[\"/\",\"/upload\",\"/result/:id\",\"/a/:x/edit\"],"  \
    "\"other\":\"/other\"}}"
#define OTHER "\"/other\""

/* R8: a URL leaves as the officer's template or as `other`. */
static void r8_urls_leave_as_templates(void **state)
{
    (void)state;
    CHECK(URL_RULE, {"\"https://m.example/upload\"", "\"/upload\""},
          {"\"http://m.example/upload\"", "\"/upload\""},
          {"\"HTTPS://M.EXAMPLE/upload\"", "\"/upload\""},
          {"\"//m.example/upload\"", "\"/upload\""},
          {"\"/upload\"", "\"/upload\""}, {"\" /upload \"", "\"/upload\""},
          {"\"https://m.example\"", "\"/\""},
          {"\"https://m.example/\"", "\"/\""},
          {"\"https://m.example?u=jane\"", "\"/\""},
          {"\"https://m.example#jane\"", "\"/\""},
          {"\"https://m.example/upload?u=jane@x.test\"", "\"/upload\""},
          {"\"https://m.example/upload#jane\"", "\"/upload\""},
          {"\"https://m.example/upload;p=jane\"", "\"/upload\""},
          {"\"https://m.example/upload;p=jane?x#y\"", "\"/upload\""},
          {"\"https://m.example/a;p=1/7;q=2/edit;r\"", "\"/a/:x/edit\""},
          {"\"https://jane:pw@m.example/upload\"", "\"/upload\""},
          {"\"https://m.example:8443/upload\"", "\"/upload\""},
          {"\"https://[::1]:8443/upload\"", "\"/upload\""},
          {"\"https://m.example/upload/\"", "\"/upload\""},
          {"\"https://m.example/%75pload\"", "\"/upload\""},
          {"\"https://m.example/upl%6Fad\"", "\"/upload\""},
          {"\"https://m.example/result/4711\"", "\"/result/:id\""},
          {"\"https://m.example/result/jane%40x.test\"", "\"/result/:id\""},
          {"\"https://m.example/result/%E2%82%AC\"", "\"/result/:id\""},
          {"\"https://m.example/result/..jane\"", "\"/result/:id\""},
          {"\"https://m.example/a/jane/edit\"", "\"/a/:x/edit\""});
    CHECK(URL_RULE, {"\"https://m.example/jane\"", OTHER},
          {"\"https://m.example/Upload\"", OTHER},
          {"\"https://m.example/uploads\"", OTHER},
          {"\"https://m.example/upload/jane\"", OTHER},
          {"\"https://m.example/result/\"", OTHER},
          {"\"https://m.example/result\"", OTHER},
          {"\"https://m.example/result/a/b\"", OTHER},
          {"\"https://m.example/upload//\"", OTHER},
          {"\"https://m.example//upload\"", OTHER},
          {"\"https://m.example/x/../upload\"", OTHER},
          {"\"https://m.example/./upload\"", OTHER},
          {"\"https://m.example/result/..\"", OTHER},
          {"\"https://m.example/result/%2e%2E\"", OTHER},
          {"\"https://m.example/result/%2e\"", OTHER},
          {"\"https://m.example/result/a%2Fb\"", OTHER},
          {"\"https://m.example/result/a%5Cb\"", OTHER},
          {"\"https://m.example/result/a\\\\b\"", OTHER},
          {"\"https://m.example\\\\upload\"", OTHER},
          {"\"https:\\\\\\\\m.example/upload\"", OTHER},
          {"\"https://m.example/upload%3Fu=jane\"", OTHER},
          {"\"https://m.example/result/%3Fu\"", OTHER},
          {"\"https://m.example/result/%23u\"", OTHER},
          {"\"https://m.example/result/%3Bu\"", OTHER},
          {"\"https://m.example/%2575pload\"", OTHER},
          {"\"https://m.example/result/%\"", OTHER},
          {"\"https://m.example/result/%4\"", OTHER},
          {"\"https://m.example/result/%zz\"", OTHER},
          {"\"https://m.example/result/%00\"", OTHER},
          {"\"https://m.example/result/%0a\"", OTHER},
          {"\"https://m.example/result/a b\"", OTHER},
          {"\"https://m.example/result/a\\nb\"", OTHER},
          {"\"https:///upload\"", OTHER}, {"\"https:/upload\"", OTHER},
          {"\"https:upload\"", OTHER}, {"\"upload\"", OTHER},
          {"\"m.example/upload\"", OTHER}, {"\"file:///upload\"", OTHER},
          {"\"javascript:/upload\"", OTHER}, {"\"data:,/upload\"", OTHER},
          {"\"mailto:jane@x.test\"", OTHER}, {"\"?u=jane\"", OTHER},
          {"\"\"", OTHER}, {"\"C:\\\\jane\"", OTHER}, {"7", NULL},
          {"{\"a\":1}", NULL});
    CHECK("{\"url\":{\"paths\":[\"/upload\"]}}",
          {"\"https://m.example/upload\"", "\"/upload\""},
          {"\"https://m.example/jane\"", NULL});
}

static void r8_a_path_at_and_beyond_the_limit(void **state)
{
    struct story s = open_rule(URL_RULE);
    char value[URL_PATH_MAX + 64];

    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        static const char head[] = "\"/result/";
        size_t n = sizeof head - 1;

        memcpy(value, head, n);
        while (n < URL_PATH_MAX + 1 + extra)
            value[n++] = 'x';
        memcpy(value + n, "\"", 2);
        check(&s, value, extra == 0 ? "\"/result/:id\"" : OTHER);
    }
    story_close(&s);
}

/* R7, pragmatic: the host and nothing else; an address is no host name. */
static void r7_host_is_a_lower_case_name_alone(void **state)
{
    (void)state;
    CHECK("\"host\"", {"\"https://News.Example/a?b#c\"", "\"news.example\""},
          {"\"https://jane:pw@news.example:8443/a\"", "\"news.example\""},
          {"\"https://a@b@news.example/\"", "\"news.example\""},
          {"\"//news.example\"", "\"news.example\""},
          {"\"https://news.example.\"", "\"news.example\""},
          {"\"https://xn--bcher-kva.example\"", "\"xn--bcher-kva.example\""},
          {"\"https://10.0.0.7/\"", NULL}, {"\"https://[2001:db8::1]/\"", NULL},
          {"\"https://0x7f.1/\"", NULL}, {"\"https://2130706433/\"", NULL},
          {"\"https://news.example%2Ejane/\"", NULL},
          {"\"https://news_jane.example/\"", NULL},
          {"\"https://jane doe.example/\"", NULL},
          {"\"https://b\\u00fccher.example/\"", NULL},
          {"\"https://a..example/\"", NULL}, {"\"https://.example/\"", NULL},
          {"\"https:///a\"", NULL}, {"\"/upload\"", NULL},
          {"\"android-app://com.example\"", NULL}, {"\"news.example\"", NULL},
          {"\"https://evil.example\\\\@news.example/\"", NULL}, {"7", NULL});
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

#define WIN "(Windows NT 10.0; Win64; x64)"
#define MAC "(Macintosh; Intel Mac OS X 10_15_7)"
#define KIT "AppleWebKit/537.36 (KHTML, like Gecko)"

/* R11: few families, major versions and systems; what is rare is Other. */
static void r11_user_agents_become_classes(void **state)
{
    static const struct pair rows[] = {
        {"Mozilla/5.0 " WIN " " KIT " Chrome/120.0.6099.71 Safari/537.36",
         "Chrome 120 / Windows"},
        {"Mozilla/5.0 " WIN " " KIT
         " Chrome/120.0.0.0 Safari/537.36 Edg/121.0.2277.83",
         "Edge 121 / Windows"},
        {"Mozilla/5.0 " MAC " AppleWebKit/605.1.15 (KHTML, like Gecko) "
         "Version/17.1 Safari/605.1.15",
         "Safari 17 / macOS"},
        {"Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 "
         "Firefox/115.0",
         "Firefox 115 / Linux"},
        {"Mozilla/5.0 (Linux; Android 13; SM-S911B) " KIT
         " SamsungBrowser/23.0 Chrome/115.0.0.0 Mobile Safari/537.36",
         "Samsung Internet 23 / Android"},
        {"Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) "
         "AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/119.0.6045.109 "
         "Mobile/15E148 Safari/604.1",
         "Chrome 119 / iOS"},
        {"Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) "
         "AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/119.0 "
         "Mobile/15E148 Safari/605.1.15",
         "Firefox 119 / iOS"},
        {"Mozilla/5.0 " WIN " " KIT
         " Chrome/119.0.0.0 Safari/537.36 OPR/105.0.0.0",
         "Opera 105 / Windows"},
        {"Mozilla/5.0 (compatible; Googlebot/2.1; "
         "+http://www.google.com/bot.html)",
         "Bot"},
        {"curl/7.88.1", "Bot"},
        {"Mozilla/5.0 " WIN " " KIT " HeadlessChrome/120.0.0.0", "Bot"},
        {"python-requests/2.31", "Bot"},
        {"Mozilla/5.0 (Linux; Android 13; Jane's phone) " KIT
         " Version/4.0 Chrome/119.0.0.0 Mobile Safari/537.36",
         "Chrome 119 / Android"},
        {"Mozilla/5.0 (PlayStation 5 3.03) Gecko", "Other"},
        {"jane@x.test", "Other"},
        {"Chrome/", "Other"},
        {"Chrome/janedoe", "Other"},
        {"Chrome/1234.0", "Other"},
        {"Version/17.1", "Other"},
        {" ", "Other"},
    };
    char got[AGENT_TEXT_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        got[user_agent_class(slice_of(rows[i].value), got)] = '\0';
        assert_string_equal(got, rows[i].want);
    }
    got[user_agent_class(SLICE_NONE, got)] = '\0';
    assert_string_equal(got, "Other");
}

/* Whatever a client writes, few texts come out. */
static void r11_the_number_of_classes_is_bounded(void **state)
{
    static const char *const parts[] = {"Chrome/",  "Edg/",    "Version/",
                                        "Firefox/", "999",     "1",
                                        "jane",     "Android", "X11"};
    char got[AGENT_TEXT_MAX], text[AGENT_SCAN_MAX * 2];
    unsigned seed = 1;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        size_t n = 0, len;

        for (unsigned k = 0; k < 12; k++) {
            seed = seed * 1103515245u + 12345u;
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s",
                                  parts[seed / 65536 % 9],
                                  seed / 65536 % 3 == 0 ? " " : "");
        }
        len = user_agent_class((struct slice){text, n}, got);
        assert_true(len <= AGENT_TEXT_MAX);
        for (size_t k = 0; k + 4 <= len; k++)
            assert_memory_not_equal(got + k, "jane", 4);
    }
    memset(text, 'x', sizeof text);
    memcpy(text + AGENT_SCAN_MAX - 11, " Chrome/120", 11);
    assert_int_equal(user_agent_class((struct slice){text, sizeof text}, got),
                     sizeof "Chrome 120 / Other" - 1);
    memset(text, 'x', sizeof text);
    memcpy(text + AGENT_SCAN_MAX, " Chrome/120", 11);
    assert_int_equal(user_agent_class((struct slice){text, sizeof text}, got),
                     sizeof "Other" - 1);
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
        cmocka_unit_test(r16_only_a_listed_ending_leaves),
        cmocka_unit_test(r8_urls_leave_as_templates),
        cmocka_unit_test(r8_a_path_at_and_beyond_the_limit),
        cmocka_unit_test(r7_host_is_a_lower_case_name_alone),
        cmocka_unit_test(constant_replaces_whatever_is_there),
        cmocka_unit_test(field_pseudonyms_differ_by_field),
        cmocka_unit_test(lists_keep_what_their_elements_may),
        cmocka_unit_test(lists_are_read_up_to_their_limit),
        cmocka_unit_test(the_first_place_that_is_there_feeds_a_field),
        cmocka_unit_test(a_rule_for_another_purpose_sends_nothing),
        cmocka_unit_test(r9_wildcards_and_unknown_keys_never_leave),
        cmocka_unit_test(time_floor_is_below_also_before_1970),
        cmocka_unit_test(r11_user_agents_become_classes),
        cmocka_unit_test(r11_the_number_of_classes_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
