/* Whatever is planted in an event of Mixbot's, wherever and in whatever shape:
 * no trace of it is in any clean hit. */
#include "story.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { STORE, FILE_, ANY, MP, GA, COUNT };

static int open_story(void **state)
{
    static struct story s;

    story_open(&s, story_mixbot());
    *state = &s;
    return 0;
}

static int close_story(void **state)
{
    story_close(*state);
    return 0;
}

static const char *run(struct story *s, const char *event, unsigned d)
{
    assert_true(story_decide(s, slice_of(event)));
    return story_clean(s, d);
}

#define CANARY_LEN 16

static unsigned seed = 20261122;

static unsigned next_random(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

/* Letters, digits and a few bytes that escapes would change. */
static void canary_make(char out[CANARY_LEN + 1])
{
    static const char letters[] = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstu"
                                  "vwxyz0123456789@%+~";

    for (unsigned i = 0; i < CANARY_LEN; i++)
        out[i] = letters[next_random() % (sizeof letters - 1)];
    out[CANARY_LEN] = '\0';
}

static void percent(const char *in, char out[CANARY_LEN * 3 + 1])
{
    size_t n = 0;

    for (; *in != '\0'; in++)
        n += (size_t)snprintf(out + n, 4, "%%%02X", (unsigned)*in & 0xffu);
}

static void lower(char *s)
{
    for (; *s != '\0'; s++)
        *s = (char)(*s >= 'A' && *s <= 'Z' ? *s + 32 : *s);
}

/* No form of the canary stands in `text`: as it is, in lower or upper case,
 * percent-encoded, hex, base64 at each of three offsets, reversed, or hashed.
 */
static void assert_no_trace(const char *text, const char *canary)
{
    char form[256], low[4096];
    uint8_t digest[64];
    size_t len = strlen(canary);

    (void)snprintf(low, sizeof low, "%s", text);
    lower(low);
    (void)snprintf(form, sizeof form, "%s", canary);
    lower(form);
    assert_null(strstr(low, form));
    percent(canary, form);
    lower(form);
    assert_null(strstr(low, form));
    sodium_bin2hex(form, sizeof form, (const uint8_t *)canary, len);
    assert_null(strstr(low, form));
    for (unsigned skip = 0; skip < 3; skip++) {
        sodium_bin2base64(form, sizeof form, (const uint8_t *)canary + skip,
                          (len - skip) / 3 * 3, sodium_base64_VARIANT_URLSAFE);
        assert_null(strstr(text, form));
    }
    for (size_t i = 0; i < len; i++)
        form[i] = canary[len - 1 - i];
    form[len] = '\0';
    assert_null(strstr(text, form));
    crypto_hash_sha256(digest, (const uint8_t *)canary, len);
    sodium_bin2hex(form, sizeof form, digest, 32);
    assert_null(strstr(low, form));
    crypto_generichash_blake2b(digest, 32, (const uint8_t *)canary, len, NULL,
                               0);
    sodium_bin2hex(form, sizeof form, digest, 32);
    assert_null(strstr(low, form));
}

static const char *const actions[] = {
    "page_view",       "File Uploaded",       "daw_selection",
    "genre_detection", "analysis_completion", "feedback_download"};
static const char *const keys[] = {
    "file_size",  "file_type",  "file_name", "daw",    "genre",
    "confidence", "duration_s", "success",   "format", "email"};
/* Shapes a value may hide in; %s is the canary. */
static const char *const shapes[] = {"\"%s\"",
                                     "\"audio/wav %s\"",
                                     "\"C:\\\\%s\\\\x.wav\"",
                                     "\"%s.wav\"",
                                     "\"x.%s\"",
                                     "\"https://h.example/%s?%s\"",
                                     "[\"%s\"]",
                                     "{\"a\":{\"%s\":\"%s\"}}",
                                     "\"1%s\"",
                                     "\" Pop \\u0001%s\"",
                                     "\"Ableton Live%s\""};

struct canaries {
    char at[64][CANARY_LEN + 1];
    unsigned count;
};

static const char *plant(struct canaries *c)
{
    canary_make(c->at[c->count]);
    return c->at[c->count++];
}

static size_t put_details(struct canaries *c, char *out, size_t size)
{
    size_t n = 0;

    for (unsigned i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *canary = plant(c);

        n += (size_t)snprintf(out + n, size - n, "%s\"%s\":", i > 0 ? "," : "",
                              keys[i]);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        n += (size_t)snprintf(
            out + n, size - n,
            shapes[next_random() % (sizeof shapes / sizeof shapes[0])], canary,
            canary);
#pragma GCC diagnostic pop
    }
    n += (size_t)snprintf(out + n, size - n, ",\"%s\":1", plant(c));
    return n;
}

static size_t put_rest(struct canaries *c, char *out, size_t size)
{
    size_t n = (size_t)snprintf(
        out, size,
        "},\"session_id\":\"%s\",\"user_id\":\"%s\",\"device_id\":\"%s\","
        "\"group_id\":\"%s\",\"id\":\"%s\",\"consent\":{\"product\":true,"
        "\"%s\":true},\"extra\":\"%s\",\"context\":{\"gpc\":\"%s\"",
        plant(c), plant(c), plant(c), plant(c), plant(c), plant(c), plant(c),
        plant(c));

    for (unsigned k = 0; k < CTX_COUNT; k++)
        n += (size_t)snprintf(out + n, size - n, ",\"%s\":\"%s%s\"",
                              context_key_name((enum context_key)k),
                              k == CTX_URL
                                  ? "https://m.example/upload/"
                                  : (k == CTX_USER_AGENT ? "Chrome/120 " : ""),
                              plant(c));
    return n + (size_t)snprintf(out + n, size - n, "}}");
}

/* R4, R7-R12, R16, R17: whatever is planted wherever, no byte of it leaves. */
static void r4_r17_no_canary_ever_leaves(void **state)
{
    struct story *s = *state;
    unsigned cleaned = 0;

    for (unsigned round = 0; round < 400; round++) {
        struct canaries c = {.count = 0};
        char event[8192];
        size_t n = (size_t)snprintf(event, sizeof event,
                                    "{\"action\":\"%s\",\"details\":{",
                                    actions[round % 6]);

        n += put_details(&c, event + n, sizeof event - n);
        n += put_rest(&c, event + n, sizeof event - n);
        assert_true(story_decide(s, (struct slice){event, n}));
        assert_int_equal(s->v.cleared, 0x1f);
        for (unsigned d = 0; d < COUNT; d++) {
            const char *text = story_clean(s, d);

            cleaned++;
            for (unsigned i = 0; i < c.count; i++)
                assert_no_trace(text, c.at[i]);
        }
    }
    assert_int_equal(cleaned, 400 * COUNT);
}

/* R1: an address in any spelling and place. */
static void r1_no_address_leaves(void **state)
{
    static const char *const forms[] = {
        "203.0.113.77",       "2001:db8::77",      "::ffff:203.0.113.77",
        "[2001:db8::77]:443", "203.0.113.77:8080", "3405803853",
        "0xcb00714d"};
    struct story *s = *state;

    for (unsigned i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        char event[1024];

        (void)snprintf(event, sizeof event,
                       "{\"action\":\"file_upload\",\"session_id\":\"%s\","
                       "\"details\":{\"ip\":\"%s\",\"$ip\":\"%s\","
                       "\"uip\":\"%s\",\"file_name\":\"%s\","
                       "\"file_type\":\"%s\"},\"consent\":{\"product\":true},"
                       "\"context\":{\"ip\":\"%s\",\"url\":\"http://%s/\","
                       "\"place\":\"%s\",\"user_agent\":\"%s\"}}",
                       forms[i], forms[i], forms[i], forms[i], forms[i],
                       forms[i], forms[i], forms[i], forms[i], forms[i]);
        assert_true(story_decide(s, slice_of(event)));
        for (unsigned d = 0; d < COUNT; d++) {
            const char *text = story_clean(s, d);

            assert_non_null(text);
            assert_null(strstr(text, forms[i]));
        }
    }
}

/* R6, R14: the clock inside a GA client id does not survive. */
static void r6_a_client_id_s_clock_does_not_survive(void **state)
{
    struct story *s = *state;

    for (unsigned i = 0; i < 1000; i++) {
        char event[256], clock[16];

        (void)snprintf(clock, sizeof clock, "%u", 1760240992u + i * 977u);
        (void)snprintf(event, sizeof event,
                       "{\"action\":\"page_view\",\"device_id\":"
                       "\"315691213.%s\",\"consent\":{\"product\":true}}",
                       clock);
        for (unsigned d = 0; d < COUNT; d++)
            assert_null(strstr(run(s, event, d), clock));
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_story, close_story)
    static const struct CMUnitTest tests[] = {
        TEST(r4_r17_no_canary_ever_leaves),
        TEST(r1_no_address_leaves),
        TEST(r6_a_client_id_s_clock_does_not_survive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
