/* log_record.c - the text of a record, and the grammar it must obey. */
#include "log_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define DEPTH_MAX 8u
#define NAME_MAX  64u /* of a who's name */
#define WHY_MAX   32u
#define U53_MAX   ((UINT64_C(1) << 53) - 1)

static const char *const act_names[RECORD_ACT_COUNT] = {
#define X(id, text) [RECORD_##id] = text,
    AUDIT_RECORD_ACTS(X)
#undef X
};

const char *audit_record_act_name(enum audit_record_act act)
{
    assert((unsigned)act < RECORD_ACT_COUNT);
    return act_names[act];
}

static const char *outcome_name(enum audit_outcome out)
{
    static const char *const names[] = {"ok", "denied", "failed"};

    return names[out];
}

const char *rows_mode_name(enum conf_rows rows)
{
    static const char *const names[] = {"all", "dropped", "none"};

    return names[rows];
}

static bool is_name(struct slice s, size_t max)
{
    if (s.len == 0 || s.len > max)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
            return false;
    }
    return true;
}

bool record_who_ok(struct slice s)
{
    return (slice_starts(s, SLICE("gw:")) || slice_starts(s, SLICE("api:")) ||
            slice_starts(s, SLICE("adm:"))) &&
           is_name(slice_skip(s, slice_find(s, ':') + 1), NAME_MAX);
}

bool record_why_ok(struct slice s)
{
    static const struct slice classes[] = {
        SLICE_INIT("pol:"), SLICE_INIT("rule:"), SLICE_INIT("req:"),
        SLICE_INIT("art:"), SLICE_INIT("tkt:"),  SLICE_INIT("ticket:"),
        SLICE_INIT("chg:"), SLICE_INIT("ret:"),
    };

    if (slice_eq(s, SLICE("boot")) || slice_eq(s, SLICE("timer")))
        return true;
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
        if (slice_starts(s, classes[i]))
            return is_name(slice_skip(s, classes[i].len), WHY_MAX);
    return false;
}

static bool skip_value(struct slice *s, unsigned depth);

static bool skip_char(struct slice *s, char c)
{
    if (s->len == 0 || s->at[0] != c)
        return false;
    *s = slice_skip(*s, 1);
    return true;
}

static bool skip_string(struct slice *s)
{
    if (!skip_char(s, '"'))
        return false;
    while (s->len > 0 && s->at[0] != '"') {
        if (s->at[0] < 0x20 || s->at[0] > 0x7E || s->at[0] == '\\')
            return false;
        *s = slice_skip(*s, 1);
    }
    return skip_char(s, '"');
}

static bool skip_number(struct slice *s)
{
    unsigned long long v;
    size_t n = 0;

    (void)skip_char(s, '-');
    while (n < s->len && s->at[n] >= '0' && s->at[n] <= '9')
        n++;
    if (!slice_to_u64(slice_head(*s, n), &v) || v > U53_MAX ||
        (n > 1 && s->at[0] == '0'))
        return false;
    *s = slice_skip(*s, n);
    return true;
}

static bool skip_word(struct slice *s)
{
    static const struct slice words[] = {SLICE_INIT("null"), SLICE_INIT("true"),
                                         SLICE_INIT("false")};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (slice_starts(*s, words[i])) {
            *s = slice_skip(*s, words[i].len);
            return true;
        }
    }
    return false;
}

/* Members or items up to `end`; the opening bracket is past. */
static bool skip_list(struct slice *s, char end, unsigned depth)
{
    if (depth == 0)
        return false;
    if (skip_char(s, end))
        return true;
    do {
        if (end == '}' && (!skip_string(s) || !skip_char(s, ':')))
            return false;
        if (!skip_value(s, depth - 1))
            return false;
    } while (skip_char(s, ','));
    return skip_char(s, end);
}

static bool skip_value(struct slice *s, unsigned depth)
{
    if (s->len > 0 && s->at[0] == '"')
        return skip_string(s);
    if (skip_char(s, '{'))
        return skip_list(s, '}', depth);
    if (skip_char(s, '['))
        return skip_list(s, ']', depth);
    return skip_word(s) || skip_number(s);
}

bool record_d_ok(struct slice s)
{
    return s.len > 0 && s.len <= AUDIT_RECORD_MAX && s.at[0] == '{' &&
           skip_value(&s, DEPTH_MAX) && s.len == 0;
}

int64_t record_time(struct audit_log *l)
{
    int64_t now = l->config.clock->wall_ms(l->config.clock->ctx);

    /* Records never go back in time, whatever the clock does. */
    return now > l->last_t ? now : l->last_t;
}

void record_put(struct audit_log *l, const struct record_head *h,
                struct slice d)
{
    char t[TIME_TEXT_MAX];
    struct buf *b = &l->seg_out;
    size_t from = b->len;

    (void)time_format(h->t_ms, true, t);
    buf_printf(b, "{\"v\":1,\"i\":%" PRIu64 ",\"t\":\"%s\",\"act\":\"%s\"",
               l->next_index, t, audit_record_act_name(h->act));
    buf_put(b, SLICE(",\"who\":\""));
    if (h->who.len > 0)
        buf_put(b, h->who);
    else
        buf_printf(b, "gw:%s", l->node);
    buf_put(b, SLICE("\",\"why\":\""));
    buf_put(b, h->why);
    buf_printf(b, "\",\"out\":\"%s\",\"d\":", outcome_name(h->out));
    buf_put(b, d);
    buf_put(b, SLICE("}\n"));
    if (b->failed) {
        log_break(l, ST_NOMEM);
        return;
    }
    assert(b->len - from <= AUDIT_RECORD_MAX + 1);
    l->last_t = h->t_ms;
    l->next_index++;
}

void put_base64(struct buf *b, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t v = (uint32_t)bytes[i] << 16;
        v |= n > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        v |= n > 2 ? bytes[i + 2] : 0;
        buf_put_char(b, digits[v >> 18]);
        buf_put_char(b, digits[v >> 12 & 63]);
        buf_put_char(b, n > 1 ? digits[v >> 6 & 63] : '=');
        buf_put_char(b, n > 2 ? digits[v & 63] : '=');
    }
}
