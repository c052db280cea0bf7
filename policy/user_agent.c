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

/* Products by rank: every browser also claims to be those below it. */
static const struct product {
    struct slice text;
    enum family family;
    unsigned rank;
} products[] = {
    {SLICE_INIT("Edg/"), FAMILY_EDGE, 5},
    {SLICE_INIT("EdgA/"), FAMILY_EDGE, 5},
    {SLICE_INIT("EdgiOS/"), FAMILY_EDGE, 5},
    {SLICE_INIT("Edge/"), FAMILY_EDGE, 5},
    {SLICE_INIT("OPR/"), FAMILY_OPERA, 5},
    {SLICE_INIT("SamsungBrowser/"), FAMILY_SAMSUNG, 5},
    {SLICE_INIT("Firefox/"), FAMILY_FIREFOX, 4},
    {SLICE_INIT("FxiOS/"), FAMILY_FIREFOX, 4},
    {SLICE_INIT("Chrome/"), FAMILY_CHROME, 3},
    {SLICE_INIT("CriOS/"), FAMILY_CHROME, 3},
    {SLICE_INIT("Version/"), FAMILY_SAFARI, 2},
};

/* Systems by rank: Android says Linux too, an iPhone "like Mac OS X". */
static const struct system {
    struct slice text;
    enum os os;
    unsigned rank;
} systems[] = {
    {SLICE_INIT("iPhone"), OS_IOS, 3},
    {SLICE_INIT("iPad"), OS_IOS, 3},
    {SLICE_INIT("iPod"), OS_IOS, 3},
    {SLICE_INIT("Android"), OS_ANDROID, 3},
    {SLICE_INIT("Windows"), OS_WINDOWS, 2},
    {SLICE_INIT("Macintosh"), OS_MACOS, 2},
    {SLICE_INIT("Linux"), OS_LINUX, 1},
    {SLICE_INIT("X11"), OS_LINUX, 1},
};

static const struct slice bot_words[] = {
    SLICE_INIT("bot"),      SLICE_INIT("crawl"),   SLICE_INIT("curl/"),
    SLICE_INIT("headless"), SLICE_INIT("http"),    SLICE_INIT("lighthouse"),
    SLICE_INIT("python"),   SLICE_INIT("preview"), SLICE_INIT("slurp"),
    SLICE_INIT("spider"),   SLICE_INIT("scraper"), SLICE_INIT("wget/"),
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

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

/* First letters of what the tables hold: most tokens are none of ours. */
static bool may_be_ours(char first)
{
    switch (first) {
    case 'A':
    case 'C':
    case 'E':
    case 'F':
    case 'L':
    case 'M':
    case 'O':
    case 'S':
    case 'V':
    case 'W':
    case 'X':
    case 'i':
        return true;
    default:
        return false;
    }
}

static bool begins(struct slice s, struct slice word)
{
    return s.len >= word.len && s.at[0] == word.at[0] &&
           memcmp(s.at, word.at, word.len) == 0;
}

static void read_token(struct agent *a, struct slice s)
{
    if (!may_be_ours(s.at[0]))
        return;
    a->safari |= begins(s, SLICE("Safari/"));
    for (size_t i = 0; i < COUNT(products); i++) {
        const struct product *p = &products[i];

        if (!begins(s, p->text) || p->rank <= a->family_rank)
            continue;
        a->family = p->family;
        a->family_rank = p->rank;
        a->major = read_major(slice_skip(s, p->text.len));
    }
    for (size_t i = 0; i < COUNT(systems); i++) {
        const struct system *y = &systems[i];

        if (!begins(s, y->text) || y->rank <= a->os_rank)
            continue;
        a->os = y->os;
        a->os_rank = y->rank;
    }
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

/* Bots name themselves at the start of a word ("HeadlessChrome", "+http:"),
 * or end in "bot". */
static bool may_start_bot(const char *at, size_t i)
{
    char c = at[i];

    if (c == 'b')
        return true;
    if (is_lower(c))
        return i == 0 || !is_lower((char)(at[i - 1] | 0x20));
    return c >= 'A' && c <= 'Z';
}

/* A bot's word begins at s.at[0], in any case. */
static bool is_bot_word(struct slice s)
{
    char first = (char)(s.at[0] | 0x20);

    for (size_t i = 0; i < COUNT(bot_words); i++) {
        if (bot_words[i].at[0] == first && s.len > 1 &&
            (s.at[1] | 0x20) == bot_words[i].at[1] &&
            slice_eq_fold(slice_head(s, bot_words[i].len), bot_words[i]))
            return true;
    }
    return false;
}

static bool starts_token(struct slice s, size_t i)
{
    return i == 0 || s.at[i - 1] == ' ' || s.at[i - 1] == '(' ||
           s.at[i - 1] == ';';
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

        if (may_start_bot(s.at, i) && is_bot_word(rest))
            return put(out, 0, family_names[FAMILY_BOT]);
        if (starts_token(s, i))
            read_token(&a, rest);
    }
    if (a.family == FAMILY_SAFARI && !a.safari)
        a.family = FAMILY_OTHER;
    if (a.family == FAMILY_OTHER || a.major == 0)
        return put(out, 0, family_names[FAMILY_OTHER]);
    return print_agent(&a, out);
}
