#include "page.h"
#include "lethe/policy/privacy_page.h"

#include <stdarg.h>

static const struct privacy_words *const all_words[PRIVACY_LANGUAGES] = {
    [PRIVACY_EN] = &privacy_words_en,
    [PRIVACY_FR] = &privacy_words_fr,
    [PRIVACY_DE] = &privacy_words_de,
};

/* Its SHA-256 is in PRIVACY_CSP. */
const char privacy_style[] =
    ":root{color-scheme:light dark;--ink:#1b1b1f;--paper:#fff;--soft:#5b5b66;"
    "--line:#d5d5dd;--act:#1f4fbf;--tint:#eef2fb}"
    "@media(prefers-color-scheme:dark){:root{--ink:#ececf1;--paper:#17171b;"
    "--soft:#a9a9b6;--line:#3a3a44;--act:#8fb0ff;--tint:#20263a}}"
    "*{box-sizing:border-box}"
    "body{margin:0;font:1rem/1.55 system-ui,sans-serif;color:var(--ink);"
    "background:var(--paper)}"
    "main,nav{max-width:42rem;margin:0 auto;padding:0 1.25rem}"
    "main{padding-bottom:4rem}nav{padding-top:1rem;text-align:right}"
    "h1{font-size:1.75rem;line-height:1.2;margin:1rem 0}"
    "h2{font-size:1.2rem;margin:2.25rem 0 .5rem}"
    "h3{font-size:1rem;margin:1.25rem 0 .25rem}"
    "p,ul,dl{margin:.5rem 0}ul{padding-left:1.25rem}li{margin:.2rem 0}"
    "a{color:var(--act)}nav a{margin-left:.75rem}"
    ".box{border:1px solid var(--line);border-radius:.5rem;"
    "background:var(--tint);padding:1rem 1.25rem}"
    ".box>h2:first-child{margin-top:0}"
    "button{font:inherit;font-weight:600;padding:.7rem 1.4rem;border-radius:"
    ".4rem;border:2px solid var(--act);background:var(--act);"
    "color:var(--paper);cursor:pointer;max-width:100%}"
    "button.quiet{background:transparent;color:var(--act)}"
    ":focus-visible{outline:3px solid var(--act);outline-offset:3px}"
    ".done{font-weight:600}.soft{color:var(--soft);font-size:.9rem}"
    "code{overflow-wrap:anywhere;user-select:all;font-size:.95em}";

/* ---- writing ------------------------------------------------------------ */

void page_escape(struct buf *out, struct slice s)
{
    size_t start = 0;

    for (size_t i = 0; i < s.len; i++) {
        struct slice entity = SLICE_NONE;
        switch (s.at[i]) {
        case '&':
            entity = SLICE("&amp;");
            break;
        case '<':
            entity = SLICE("&lt;");
            break;
        case '>':
            entity = SLICE("&gt;");
            break;
        case '"':
            entity = SLICE("&quot;");
            break;
        case '\'':
            entity = SLICE("&#39;");
            break;
        default:
            continue;
        }
        buf_put_bytes(out, s.at + start, i - start);
        buf_put(out, entity);
        start = i + 1;
    }
    buf_put_bytes(out, s.at + start, s.len - start);
}

void page_fill(const struct page *p, enum text_id id, struct slice first,
               struct slice second)
{
    struct slice rest = slice_of(p->words->text[id]);

    while (rest.len > 0) {
        size_t hole = slice_find(rest, '{');
        page_escape(p->out, slice_head(rest, hole));
        rest = slice_skip(rest, hole);
        if (rest.len == 0)
            break;
        page_escape(p->out, rest.at[1] == '0' ? first : second);
        rest = slice_skip(rest, 3); /* "{0}" */
    }
}

void page_text(const struct page *p, enum text_id id)
{
    page_fill(p, id, SLICE_NONE, SLICE_NONE);
}

void page_tagged(const struct page *p, const char *tag, enum text_id id)
{
    buf_printf(p->out, "<%s>", tag);
    page_text(p, id);
    buf_printf(p->out, "</%s>\n", tag);
}

void page_duration(const struct page *p, struct duration d, struct buf *out)
{
    const bool days = d.ms % MS_PER_DAY == 0;
    const int64_t rest = days ? 0 : d.ms;
    const int64_t parts[] = {
        [UNIT_MONTH] = d.months,
        [UNIT_DAY] = days ? d.ms / MS_PER_DAY : 0,
        [UNIT_HOUR] = rest / MS_PER_H,
        [UNIT_MINUTE] = rest % MS_PER_H / MS_PER_MIN,
        [UNIT_SECOND] = rest % MS_PER_MIN / MS_PER_S,
    };
    bool first = true;

    for (unsigned i = 0; i <= UNIT_SECOND; i++) {
        if (parts[i] == 0)
            continue;
        buf_put(out, first ? SLICE("") : SLICE(" "));
        buf_put_i64_text(out, parts[i]);
        buf_printf(out, " %s", p->words->unit[i][parts[i] == 1 ? 0 : 1]);
        first = false;
    }
    if (first)
        buf_printf(out, "0 %s", p->words->unit[UNIT_SECOND][1]);
}

/* ---- languages ---------------------------------------------------------- */

const char *privacy_language_code(enum privacy_language l)
{
    return all_words[l]->code;
}

static bool is_language(struct slice tag, enum privacy_language l)
{
    struct slice primary = slice_head(tag, slice_find(tag, '-'));

    return slice_eq_fold(slice_trim(primary), slice_of(all_words[l]->code));
}

/* "q=0.8" in thousandths; what is not understood weighs as little as can be. */
static unsigned weight(struct slice parameter)
{
    unsigned value = 0, digit = 1000;
    struct slice s = slice_trim(parameter);

    if (!slice_starts(s, SLICE("q=")) || s.len < 3 || s.at[2] < '0' ||
        s.at[2] > '1')
        return 1;
    value = (unsigned)(s.at[2] - '0') * digit;
    for (size_t i = 4; i < s.len && i < 7 && s.at[3] == '.'; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return 1;
        digit /= 10;
        value += (unsigned)(s.at[i] - '0') * digit;
    }
    return value > 1000 ? 1000 : value;
}

enum privacy_language privacy_language_choose(struct slice wanted,
                                              struct slice accept_language)
{
    enum privacy_language best = PRIVACY_EN;
    unsigned best_weight = 0;

    for (unsigned l = 0; l < PRIVACY_LANGUAGES; l++)
        if (slice_eq(wanted, slice_of(all_words[l]->code)))
            return (enum privacy_language)l;
    while (accept_language.len > 0) {
        size_t end = slice_find(accept_language, ',');
        struct slice one = slice_head(accept_language, end);
        size_t semicolon = slice_find(one, ';');
        unsigned w = semicolon == one.len
                         ? 1000
                         : weight(slice_skip(one, semicolon + 1));
        accept_language = slice_skip(accept_language, end + 1);
        for (unsigned l = 0; l < PRIVACY_LANGUAGES; l++)
            if (w > best_weight && is_language(slice_head(one, semicolon),
                                               (enum privacy_language)l)) {
                best = (enum privacy_language)l;
                best_weight = w;
            }
    }
    return best;
}

/* ---- the page ----------------------------------------------------------- */

static void put_languages(const struct page *p)
{
    for (unsigned l = 0; l < PRIVACY_LANGUAGES; l++) {
        const struct privacy_words *w = all_words[l];
        buf_printf(p->out, "<a href=\"?lang=%s", w->code);
        if (p->view->step == PRIVACY_LINK) {
            buf_put(p->out, SLICE("&amp;link="));
            page_escape(p->out, p->view->link);
        }
        buf_printf(p->out, "\" hreflang=\"%s\" lang=\"%s\"%s>%s</a>\n", w->code,
                   w->code, w == p->words ? " aria-current=\"true\"" : "",
                   w->own_name);
    }
}

static void put_head(const struct page *p, struct slice who)
{
    buf_printf(p->out,
               "<!doctype html>\n<html lang=\"%s\">\n<head>\n"
               "<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
               "content=\"width=device-width,initial-scale=1\">\n"
               "<meta name=\"robots\" content=\"noindex\">\n<title>",
               p->words->code);
    page_fill(p, T_TITLE, who, SLICE_NONE);
    buf_put(p->out, SLICE("</title>\n<style>"));
    buf_put(p->out, slice_of(privacy_style));
    buf_put(p->out, SLICE("</style>\n</head>\n<body>\n<nav aria-label=\""));
    page_text(p, T_LANGUAGES);
    buf_put(p->out, SLICE("\">"));
    put_languages(p);
    buf_put(p->out, SLICE("</nav>\n<main>\n<h1>"));
    page_fill(p, T_TITLE, who, SLICE_NONE);
    buf_put(p->out, SLICE("</h1>\n"));
    page_tagged(p, "p", T_INTRO);
}

enum status privacy_page(const struct privacy_view *v, struct buf *out)
{
    const struct json_value *root = json_tree_root(v->policy->resolved);
    const struct page p = {v, all_words[v->language], root, out};

    put_head(&p, json_string(json_get(json_get(root, "controller"), "name")));
    page_choice(&p);
    page_facts(&p);
    buf_put(out, SLICE("</main>\n</body>\n</html>\n"));
    return out->failed ? ST_LIMIT : ST_OK;
}
