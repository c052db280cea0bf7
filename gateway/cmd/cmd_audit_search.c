/* cmd_audit_search.c - `audit search` and `audit export`: it is written down
 * (cmd_note_reading) before anything is shown. */
#include "audit_query.h"

#include "lethe/gateway/conf.h"
#include "lethe/gateway/control.h"
#include "lethe/gateway/file.h"
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/state.h"
#include "lethe/policy/base/clock.h"
#include "lethe/policy/json_tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BY_MAX        160u
#define PLACE_MAX     40u
#define MARKS_MAX     (AUDIT_PERSON_IDS * AUDIT_DAY_KEYS_MAX)
#define IDS_BYTES_MAX (AUDIT_PERSON_IDS * 1100u)
#define ARGS_MAX      (AUDIT_PERSON_IDS * 1024u * 6u + 4096u)

/* One run of the command. */
struct searching {
    const struct cmd_line *l;
    const struct conf *c;
    struct audit_query q;
    struct audit_mark marks[MARKS_MAX];
    int code; /* of record() */
};

static bool record(void *ctx, const struct audit_found *found)
{
    struct searching *s = ctx;
    struct buf by;

    buf_init(&by, BY_MAX);
    audit_query_put_by(&s->q, &by);
    s->code = cmd_note_reading(
        s->l, s->c,
        &(struct cmd_reading){.rows = s->q.rows,
                              .taken_away = audit_query_is_export(s->l),
                              .counted = true,
                              .count = found->count,
                              .by = buf_slice(&by)});
    buf_free(&by);
    return s->code == CMD_OK;
}

/* What was done before is in the files, where a gateway runs. */
static int settle(const struct searching *s)
{
    struct control_answer answer;
    char socket[CONF_PATH_MAX], *token = NULL;
    int code = cmd_read_token(s->l, &token);

    if (code != CMD_OK)
        return code;
    control_answer_init(&answer);
    enum status st = state_path(s->c, "control.sock", socket)
                         ? control_ask_as(socket, "audit settle", SLICE("{}"),
                                          token, &answer)
                         : ST_LIMIT;
    if (st == ST_OK ? answer.exit != CMD_OK : st != ST_UNKNOWN || token != NULL)
        code = cmd_fail(CMD_WRONG, "the gateway would not record this search, "
                                   "so nothing is shown");
    control_answer_free(&answer);
    secret_free(token);
    return code;
}

/* ---- a person --------------------------------------------------------------
 */

static int put_ids(const struct searching *s, struct slice text,
                   struct buf *out)
{
    const char *site = s->q.site;
    unsigned count = 0;

    buf_put_char(out, '{');
    if (site != NULL) {
        buf_put(out, SLICE("\"site\":"));
        buf_put_json_string(out, slice_of(site));
        buf_put_char(out, ',');
    }
    buf_put(out, SLICE("\"ids\":["));
    while (text.len > 0) {
        size_t end = slice_find(text, '\n');
        struct slice id = slice_trim(slice_head(text, end));
        text = slice_skip(text, end + 1);
        if (id.len == 0)
            continue;
        if (count++ > 0)
            buf_put_char(out, ',');
        buf_put_json_string(out, id);
    }
    buf_put(out, SLICE("]}"));
    if (count == 0 || count > AUDIT_PERSON_IDS || out->failed)
        return cmd_fail(CMD_USAGE,
                        "give 1 to %u identifiers, one a line, up to 1024 "
                        "bytes each",
                        AUDIT_PERSON_IDS);
    return CMD_OK;
}

static bool take_hex(struct slice text, uint64_t *out)
{
    const char *digits = "0123456789abcdef";
    uint64_t v = 0;

    for (size_t i = 0; i < text.len; i++) {
        const char *at = strchr(digits, text.at[i]);
        if (at == NULL || text.at[i] == '\0')
            return false;
        v = v << 4 | (uint64_t)(at - digits);
    }
    *out = v;
    return text.len == 16;
}

/* {"marks":[{"tag":"2026-11-22","sub":"16 digits"},...]} */
static bool take_marks(struct searching *s, struct slice data)
{
    struct json_complaint complaint;
    struct json_tree *tree = NULL;
    bool good = json_tree_read(data, false, &tree, &complaint) == ST_OK;
    const struct json_value *list =
        good ? json_get(json_tree_root(tree), "marks") : NULL;

    good = good && list != NULL;
    for (const struct json_value *v = good ? json_child(list) : NULL;
         good && v != NULL; v = json_sibling(v)) {
        const struct json_value *tag = json_get(v, "tag");
        const struct json_value *sub = json_get(v, "sub");
        if (tag == NULL || sub == NULL || s->q.mark_count == MARKS_MAX ||
            json_string(tag).len >= AUDIT_TAG_MAX) {
            good = false;
            break;
        }
        struct audit_mark *m = &s->marks[s->q.mark_count++];
        good = take_hex(json_string(sub), &m->sub);
        (void)snprintf(m->tag, sizeof(m->tag), "%.*s",
                       SLICE_ARG(json_string(tag)));
    }
    json_tree_free(tree);
    s->q.marks = s->marks;
    return good;
}

static int ask_marks(struct searching *s, struct slice args)
{
    struct control_answer answer;
    char socket[CONF_PATH_MAX], *token = NULL;
    int code = cmd_read_token(s->l, &token);

    if (code != CMD_OK)
        return code;
    control_answer_init(&answer);
    enum status st =
        state_path(s->c, "control.sock", socket)
            ? control_ask_as(socket, "audit person", args, token, &answer)
            : ST_LIMIT;
    if (st == ST_UNKNOWN)
        code = cmd_fail(CMD_WRONG, "no gateway is running, and only it has the "
                                   "day keys: cannot identify");
    else if (st != ST_OK)
        code = cmd_fail(CMD_WRONG, "the running gateway did not answer");
    else if (answer.exit != CMD_OK)
        code = cmd_fail(answer.exit, "%.*s",
                        SLICE_ARG(slice_trim(buf_slice(&answer.text))));
    else if (!take_marks(s, buf_slice(&answer.data)))
        code = cmd_fail(CMD_WRONG, "the running gateway's answer cannot be "
                                   "read");
    control_answer_free(&answer);
    secret_free(token);
    return code;
}

static int find_marks(struct searching *s)
{
    struct buf text, args;
    int code = CMD_WRONG;

    buf_init(&args, ARGS_MAX);
    if (file_read(cmd_value(s->l, "--ids"), IDS_BYTES_MAX, &text) != ST_OK)
        code = cmd_fail(CMD_WRONG, "the identifiers cannot be read");
    else
        code = put_ids(s, buf_slice(&text), &args);
    if (code == CMD_OK)
        code = ask_marks(s, buf_slice(&args));
    buf_wipe(&args);
    buf_free(&args);
    buf_wipe(&text);
    buf_free(&text);
    return code;
}

/* ---- the answer ------------------------------------------------------------
 */

static bool print_line(void *ctx, struct slice line)
{
    (void)ctx;
    return fwrite(line.at, 1, line.len, stdout) == line.len &&
           fputc('\n', stdout) != EOF;
}

/* What was asked for and is not in the answer, on standard error. */
static int say_gaps(const struct audit_found *found)
{
    static const char *const texts[AUDIT_GAP_KINDS] = {
        "records (%llu, %s) are not there: pruned, or removed; `lethe audit "
        "verify` tells which",
        "rows of decisions (%llu, %s) are not there: pruned, or removed",
        "decisions without a row (%llu, %s), as audit.rows says: they cannot "
        "be searched one by one",
        "cannot identify: decisions (%llu, %s) are under day keys that are "
        "gone",
        "decisions (%llu, %s) of policies whose records are pruned: their "
        "destinations have no names any more",
    };
    int code = CMD_OK;

    for (unsigned i = 0; i < AUDIT_GAP_KINDS; i++) {
        const struct audit_gap *g = &found->gaps[i];
        char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX], when[96];
        if (g->count == 0)
            continue;
        (void)time_format(g->from_ms, true, from);
        (void)time_format(g->to_ms, true, to);
        if (g->from_ms == 0)
            (void)snprintf(when, sizeof(when), "before %s", to);
        else
            (void)snprintf(when, sizeof(when), "from %s to %s", from, to);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        code = cmd_fail(CMD_INCOMPLETE, texts[i], (unsigned long long)g->count,
                        when);
#pragma GCC diagnostic pop
    }
    return code;
}

static int answer(const struct searching *s, const struct audit_found *found)
{
    struct buf place;

    if (s->q.count_only && s->l->json)
        (void)printf("{\"count\":%" PRIu64 "}\n", found->count);
    else if (s->q.count_only)
        (void)printf("%" PRIu64 "\n", found->count);
    if (fflush(stdout) != 0)
        return cmd_fail(CMD_WRONG, "the answer cannot be written");
    if (found->stopped) {
        buf_init(&place, PLACE_MAX);
        audit_query_put_place(&s->q, found, &place);
        (void)cmd_fail(CMD_OK, "there may be more: --after %.*s",
                       SLICE_ARG(buf_slice(&place)));
        buf_free(&place);
    }
    return say_gaps(found);
}

static int search(struct searching *s)
{
    const struct audit_reader to = {record, print_line, s};
    struct audit_found found;
    char folder[CONF_PATH_MAX];

    int code = cmd_audit_folder(s->c, folder);

    if (code == CMD_OK)
        code = settle(s);
    if (code == CMD_OK && s->q.person)
        code = find_marks(s);
    if (code != CMD_OK)
        return code;
    enum status st = audit_search(folder, &s->q, &to, &found);
    if (st == ST_OK)
        return answer(s, &found);
    return st == ST_DENIED
               ? s->code
               : cmd_fail(CMD_WRONG, "the audit log cannot be read: %s%s",
                          status_name(st),
                          st == ST_CORRUPT ? "; `lethe audit verify` says where"
                                           : "");
}

int cmd_audit_search(const struct cmd *self, int argc, char **argv)
{
    static struct searching s;
    const char *config;
    struct conf_complaint complaint;
    struct conf *c = NULL;
    struct cmd_line l;
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    code = audit_query_read(&l, &s.q);
    if (code != CMD_OK)
        return code;
    config = cmd_value(&l, "--config");
    if (config == NULL)
        return cmd_fail(CMD_USAGE, "%s needs --config FILE", self->words);
    if (conf_load(config, &c, &complaint) != ST_OK)
        return cmd_fail(CMD_WRONG, "%s", complaint.text);
    s.l = &l;
    s.c = c;
    code = search(&s);
    conf_free(c);
    return code;
}
