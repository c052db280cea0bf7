/* user_agent.c - a user agent as one of few classes (R11). One pass over the
 * product tokens; what this table lacks is "Other", and so are versions that
 * hardly anybody has. */
#include "lethe/policy/rules.h"

#include <string.h>

enum family {
    FAMILY_OTHER,
    FAMILY_CHROME,
    FAMILY_EDGE,
    FAMILY_FIREFOX,
    FAMILY_SAFARI,
    FAMILY_OPERA,
    FAMILY_SAMSUNG,
    FAMILY_BOT
};

enum os { OS_OTHER, OS_WINDOWS, OS_MACOS, OS_LINUX, OS_ANDROID, OS_IOS };

static const char *const family_names[] = {
    [FAMILY_OTHER] = "Other",
    [FAMILY_CHROME] = "Chrome",
    [FAMILY_EDGE] = "Edge",
    [FAMILY_FIREFOX] = "Firefox",
    [FAMILY_SAFARI] = "Safari",
    [FAMILY_OPERA] = "Opera",
    [FAMILY_SAMSUNG] = "Samsung Internet",
    [FAMILY_BOT] = "Bot",
};

static const char *const os_names[] = {
    [OS_OTHER] = "Other", [OS_WINDOWS] = "Windows", [OS_MACOS] = "macOS",
    [OS_LINUX] = "Linux", [OS_ANDROID] = "Android", [OS_IOS] = "iOS",
};

struct agent {
    enum family family;
    unsigned family_rank;
    unsigned major;
    enum os os;
    unsigned os_rank;
    bool safari; /* the token that makes "Version/" a Safari's */
};

/* Up to three digits; 0 for none or more: nobody's version. */
static unsigned read_major(struct slice s)
{
    unsigned v = 0;
    size_t i = 0;

    for (; i < s.len && s.at[i] >= '0' && s.at[i] <= '9'; i++) {
        if (i == 3)
            return 0;
        v = v * 10 + (unsigned)(s.at[i] - '0');
    }
    return v;
}

static bool begins(struct slice s, struct slice word)
{
    return s.len >= word.len && memcmp(s.at, word.at, word.len) == 0;
}

/* Products have ranks: every browser also claims to be those below it. */
static void product(struct agent *a, struct slice s, struct slice text,
                    enum family family, unsigned rank)
{
    if (rank <= a->family_rank || !begins(s, text))
        return;
    a->family = family;
    a->family_rank = rank;
    a->major = read_major(slice_skip(s, text.len));
}

/* So have systems: Android says Linux too, an iPhone "like Mac OS X". */
static void system_name(struct agent *a, struct slice s, struct slice text,
                        enum os os, unsigned rank)
{
    if (rank <= a->os_rank || !begins(s, text))
        return;
    a->os = os;
    a->os_rank = rank;
}

static void read_token(struct agent *a, struct slice s)
{
    switch (s.at[0]) {
    case 'A':
        system_name(a, s, SLICE("Android"), OS_ANDROID, 3);
        break;
    case 'C':
        product(a, s, SLICE("Chrome/"), FAMILY_CHROME, 3);
        product(a, s, SLICE("CriOS/"), FAMILY_CHROME, 3);
        break;
    case 'E':
        product(a, s, SLICE("Edg/"), FAMILY_EDGE, 5);
        product(a, s, SLICE("EdgA/"), FAMILY_EDGE, 5);
        product(a, s, SLICE("EdgiOS/"), FAMILY_EDGE, 5);
        product(a, s, SLICE("Edge/"), FAMILY_EDGE, 5);
        break;
    case 'F':
        product(a, s, SLICE("Firefox/"), FAMILY_FIREFOX, 4);
        product(a, s, SLICE("FxiOS/"), FAMILY_FIREFOX, 4);
        break;
    case 'L':
        system_name(a, s, SLICE("Linux"), OS_LINUX, 1);
        break;
    case 'M':
        system_name(a, s, SLICE("Macintosh"), OS_MACOS, 2);
        break;
    case 'O':
        product(a, s, SLICE("OPR/"), FAMILY_OPERA, 5);
        break;
    case 'S':
        product(a, s, SLICE("SamsungBrowser/"), FAMILY_SAMSUNG, 5);
        a->safari |= begins(s, SLICE("Safari/"));
        break;
    case 'V':
        product(a, s, SLICE("Version/"), FAMILY_SAFARI, 2);
        break;
    case 'W':
        system_name(a, s, SLICE("Windows"), OS_WINDOWS, 2);
        break;
    case 'X':
        system_name(a, s, SLICE("X11"), OS_LINUX, 1);
        break;
    case 'i':
        system_name(a, s, SLICE("iPhone"), OS_IOS, 3);
        system_name(a, s, SLICE("iPad"), OS_IOS, 3);
        system_name(a, s, SLICE("iPod"), OS_IOS, 3);
        break;
    default:
        break;
    }
}

/* `word` (lower case) stands at the start of `s` in any case. */
static bool says(struct slice s, struct slice word)
{
    if (s.len < word.len)
        return false;
    for (size_t i = 1; i < word.len; i++) {
        if ((s.at[i] | 0x20) != word.at[i])
            return false;
    }
    return true;
}

static bool is_letter(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* Bots name themselves in a word that begins at s.at[0] ("HeadlessChrome",
 * "+http:"; `start`), or end in "bot". */
static bool is_bot_word(struct slice s, bool start)
{
    switch (s.at[0] | 0x20) {
    case 'b':
        return says(s, SLICE("bot"));
    case 'c':
        return start && (says(s, SLICE("crawl")) || says(s, SLICE("curl/")));
    case 'h':
        return start && (says(s, SLICE("headless")) || says(s, SLICE("http")));
    case 'l':
        return start && says(s, SLICE("lighthouse"));
    case 'p':
        return start && (says(s, SLICE("python")) || says(s, SLICE("preview")));
    case 's':
        return start && (says(s, SLICE("slurp")) || says(s, SLICE("spider")) ||
                         says(s, SLICE("scraper")));
    case 'w':
        return start && says(s, SLICE("wget/"));
    default:
        return false;
    }
}

static size_t put(char *out, size_t n, const char *text)
{
    struct slice s = slice_of(text);

    memcpy(out + n, s.at, s.len);
    return n + s.len;
}

static size_t print_agent(const struct agent *a, char out[AGENT_TEXT_MAX])
{
    size_t n = put(out, 0, family_names[a->family]);
    unsigned v = a->major;

    out[n++] = ' ';
    if (v >= 100)
        out[n++] = (char)('0' + v / 100);
    if (v >= 10)
        out[n++] = (char)('0' + v / 10 % 10);
    out[n++] = (char)('0' + v % 10);
    n = put(out, n, " / ");
    return put(out, n, os_names[a->os]);
}

size_t user_agent_class(struct slice agent, char out[AGENT_TEXT_MAX])
{
    struct slice s = slice_head(agent, AGENT_SCAN_MAX);
    struct agent a = {0};

    for (size_t i = 0; i < s.len; i++) {
        struct slice rest = {s.at + i, s.len - i};
        char before = i == 0 ? ' ' : s.at[i - 1];

        if (!is_letter(s.at[i]))
            continue;
        if (is_bot_word(rest, !is_letter(before) || is_upper(s.at[i])))
            return put(out, 0, family_names[FAMILY_BOT]);
        if (before == ' ' || before == '(' || before == ';')
            read_token(&a, rest);
    }
    if (a.family == FAMILY_SAFARI && !a.safari)
        a.family = FAMILY_OTHER;
    if (a.family == FAMILY_OTHER || a.major == 0)
        return put(out, 0, family_names[FAMILY_OTHER]);
    return print_agent(&a, out);
}
