/* Rules of texts that clients write freely: file names, URLs, hosts and user
 * agents. */
#include "rule_story.h"

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
}

static void r8_other_urls_match_nothing(void **state)
{
    (void)state;
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
        cmocka_unit_test(r16_only_a_listed_ending_leaves),
        cmocka_unit_test(r8_urls_leave_as_templates),
        cmocka_unit_test(r8_other_urls_match_nothing),
        cmocka_unit_test(r8_a_path_at_and_beyond_the_limit),
        cmocka_unit_test(r7_host_is_a_lower_case_name_alone),
        cmocka_unit_test(r11_user_agents_become_classes),
        cmocka_unit_test(r11_the_number_of_classes_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
