/* cmd_state.c - subject, site and token: asked of the running gateway, or, for
 * opt-outs and what only reads, done on the state itself under its lock when
 * none runs (storage.md section 1). */
#include "lethe/gateway/calls.h"
#include "lethe/gateway/cmd/cmd.h"
#include "lethe/gateway/conf.h"
#include "lethe/gateway/file.h"
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/pending.h"
#include "lethe/gateway/rights/optout_receipt.h"
#include "lethe/gateway/state.h"
#include "lethe/gateway/system_clock.h"
#include "lethe/gateway/tokens.h"
#include "lethe/policy/base/arena.h"
#include "lethe/policy/dialect.h"
#include "lethe/policy/pseudonym.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDS_BYTES_MAX (8u << 20)
#define IDS_AT_ONCE   8u /* of one call: the service's RIGHTS_IDS_MAX */
#define ANSWERS_MAX   (256u << 20)
#define ARGS_MAX      (IDS_AT_ONCE * 1024u * 6u + 4096u)

/* ---- the state without a gateway ---------------------------------------- */

struct offline {
    struct conf *conf;
    struct state *state;
    uint8_t *optout_key;
    struct optouts *optouts;
};

static void offline_close(struct offline *o)
{
    if (o->optouts != NULL)
        optout_close(o->optouts);
    secret_free(o->optout_key);
    state_close(o->state);
    conf_free(o->conf);
}

static int offline_open(const struct cmd_line *l, struct offline *o)
{
    struct conf_complaint complaint;
    enum state_fault state_fault;

    *o = (struct offline){0};
    if (secrets_init() != ST_OK)
        return cmd_fail(CMD_WRONG, "libsodium cannot be initialised");
    if (conf_load(cmd_value(l, "--config"), &o->conf, &complaint) != ST_OK)
        return cmd_fail(CMD_WRONG, "%s", complaint.text);
    if (state_open(o->conf->state_dir, &o->state, &state_fault) != ST_OK)
        return cmd_fail(CMD_WRONG, "%s: %s", o->conf->state_dir,
                        state_fault_text(state_fault));
    return CMD_OK;
}

static int offline_optouts(struct offline *o)
{
    enum key_fault fault = KEY_FAULT_NONE;
    char path[CONF_PATH_MAX];
    const uint8_t none[32] = {0};

    assert(o->conf != NULL);
    if (keyfile_load(o->conf->optout_key_file, o->conf->state_dir,
                     &o->optout_key, &fault) != ST_OK)
        return cmd_fail(CMD_WRONG, "optout_key: %s", key_fault_text(fault));
    if (!state_path(o->conf, "optout.db", path) ||
        optout_open(o->conf->optout_journal, path, o->optout_key, 0, none,
                    &o->optouts) != ST_OK)
        return cmd_fail(CMD_WRONG, "the opt-out list cannot be opened");
    if (optout_health_of(o->optouts) != OPTOUT_SOUND)
        return cmd_fail(CMD_WRONG, "the opt-out list cannot be trusted (%s)",
                        optout_health_name(optout_health_of(o->optouts)));
    return CMD_OK;
}

/* ---- subject ------------------------------------------------------------ */

/* With --json: an answer a line, made into one at the end. */
static struct buf *subject_answers;

static struct slice next_line(struct slice *rest)
{
    size_t end = slice_find(*rest, '\n');
    struct slice line = slice_trim(slice_head(*rest, end));

    *rest = slice_skip(*rest, end + 1);
    return line;
}

static const struct conf_site *offline_site(const struct cmd_line *l,
                                            const struct conf *c)
{
    const char *name = cmd_value(l, "--site");

    if (name != NULL)
        return conf_find_site(c, name);
    return c->site_count == 1 ? &c->sites[0] : NULL;
}

/* For the log, by the next start (pending.h). */
static int note(const struct offline *o, enum audit_record_act act,
                const char *why, const char *members)
{
    assert(o->conf != NULL);
    enum status st = pending_add(o->conf->state_dir, act, why, members,
                                 system_clock()->wall_ms(NULL));

    return st == ST_OK ? CMD_OK
                       : cmd_fail(CMD_WRONG,
                                  "this cannot be noted for the audit log (%s)",
                                  status_name(st));
}

static bool is_status(const struct cmd_line *l)
{
    return strcmp(l->cmd->words, "subject status") == 0;
}

/* Who asks about people is written down before anything is told. */
static int note_reading(const struct offline *o, struct slice text)
{
    char members[40];
    unsigned ids = 0;

    while (text.len > 0)
        ids += next_line(&text).len > 0;
    (void)snprintf(members, sizeof(members), "\"ids\":%u", ids);
    return note(o, RECORD_SUBJECT_READ, "art:15", members);
}

static int offline_set(struct offline *o, const struct conf_site *s,
                       struct slice id)
{
    char sub[OPTOUT_COMMITMENT_TEXT], members[80];
    struct optout_result result;

    if (optout_set(o->optouts, slice_of(s->id), id,
                   system_clock()->wall_ms(NULL), &result) != ST_OK)
        return cmd_fail(CMD_WRONG, "the opt-out could not be written");
    if (subject_answers != NULL)
        buf_printf(subject_answers, "{\"receipts\":[\"%s\"]}\n",
                   result.receipt);
    else
        (void)printf("opted out; receipt %s\n", result.receipt);
    optout_commitment_text(result.commitment, sub);
    (void)snprintf(members, sizeof(members), "\"sub\":\"%s\",\"sent\":0", sub);
    return note(o, RECORD_OPTOUT_SET, "art:21", members);
}

static int offline_one(const struct cmd_line *l, struct offline *o,
                       const struct conf_site *s, struct slice line,
                       unsigned number)
{
    struct arena *a = arena_new(65536);
    struct slice canonical;
    uint8_t tag[TAG_BYTES];
    int code = CMD_OK;

    if (a == NULL || dialect_canonical(line, a, &canonical) != ST_OK)
        code = cmd_fail(CMD_WRONG, "out of memory");
    else if (!is_status(l))
        code = offline_set(o, s, canonical);
    else {
        optout_tag_make(o->optout_key, slice_of(s->id), canonical, tag);
        bool out = optout_lookup(o->optouts, tag, 0, 0) == OPTOUT_ANSWER_OUT;
        if (subject_answers != NULL)
            buf_printf(subject_answers, "{\"opted_out\":[%s]}\n",
                       out ? "true" : "false");
        else
            (void)printf("identifier %u: %s\n", number,
                         out ? "opted out" : "not opted out");
    }
    arena_free(a);
    return code;
}

/* Identifiers of `text`, one a line. The running gateway would also sweep
 * what waits; without one the next start does that from the list's numbers. */
static int offline_subject_text(const struct cmd_line *l, struct slice text)
{
    struct offline o;
    unsigned number = 0;
    int code = offline_open(l, &o);

    if (code == CMD_OK)
        code = offline_optouts(&o);
    const struct conf_site *s = code == CMD_OK ? offline_site(l, o.conf) : NULL;
    if (code == CMD_OK && s == NULL)
        code = cmd_fail(CMD_USAGE, "say which site with --site");
    assert(code != CMD_OK || s != NULL);
    if (code == CMD_OK)
        code = state_enter_site(o.state, slice_of(s->id)) == ST_OK
                   ? CMD_OK
                   : cmd_fail(CMD_WRONG, "the state cannot be written");
    if (code == CMD_OK && is_status(l))
        code = note_reading(&o, text);
    while (code == CMD_OK && text.len > 0) {
        struct slice line = next_line(&text);
        if (line.len > 0)
            code = offline_one(l, &o, s, line, ++number);
    }
    offline_close(&o);
    return code;
}

static struct slice next_id(struct slice *rest)
{
    struct slice line = SLICE_NONE;

    while (line.len == 0 && rest->len > 0)
        line = next_line(rest);
    return line;
}

/* The call for the next of `rest`; `done` of them have been asked. */
static int put_args(const struct cmd_line *l, struct slice *rest, unsigned done,
                    struct buf *out)
{
    const char *site = cmd_value(l, "--site");

    buf_printf(out, "{\"from\":%u,", done);
    if (site != NULL) {
        buf_put(out, SLICE("\"site\":"));
        buf_put_json_string(out, slice_of(site));
        buf_put_char(out, ',');
    }
    if (cmd_value(l, "--receipt") != NULL) {
        buf_put(out, SLICE("\"receipt\":"));
        buf_put_json_string(out, next_id(rest));
        buf_put(out, SLICE("}"));
        return out->failed ? cmd_fail(CMD_USAGE, "a receipt is too long")
                           : CMD_OK;
    }
    buf_put(out, SLICE("\"ids\":["));
    for (unsigned i = 0; i < IDS_AT_ONCE && rest->len > 0; i++) {
        struct slice id = next_id(rest);
        if (id.len == 0)
            break;
        if (i > 0)
            buf_put_char(out, ',');
        buf_put_json_string(out, id);
    }
    buf_put(out, SLICE("]}"));
    return out->failed ? cmd_fail(CMD_USAGE, "an identifier is too long")
                       : CMD_OK;
}

/* Set while cmd_ask may call offline_subject: the text that was read. */
static struct slice subject_text;
static bool went_offline; /* then all of it is done */

static int offline_subject(const struct cmd_line *l)
{
    if (strcmp(l->cmd->words, "subject optin") == 0)
        return cmd_fail(CMD_WRONG, "no gateway is running; lifting an opt-out "
                                   "needs one, for its audit record");
    went_offline = true;
    return offline_subject_text(l, subject_text);
}

/* Few at a time, so that others get turns; stops at the first failure. */
static int ask_subjects(const struct cmd_line *l, struct slice rest)
{
    struct buf args;
    unsigned done = 0;
    int code = CMD_OK;

    buf_init(&args, ARGS_MAX);
    do {
        buf_wipe(&args);
        buf_reset(&args);
        subject_text = rest; /* all that is left, if no gateway runs */
        code = put_args(l, &rest, done, &args);
        if (code == CMD_OK)
            code = cmd_ask(l, buf_slice(&args), offline_subject);
        done += IDS_AT_ONCE;
    } while (code == CMD_OK && slice_trim(rest).len > 0 && !went_offline);
    buf_wipe(&args);
    buf_free(&args);
    return code;
}

/* {"receipts":[..]}, {"opted_out":[..]} or {"lifted":n} of all calls as one;
 * an error stands beside what was done before it. */
static void print_answers(struct slice answers)
{
    static const char *const lists[] = {"{\"receipts\":[", "{\"opted_out\":["};
    const char *key = NULL, *between = "";
    unsigned long long lifted = 0, n;
    struct slice error = SLICE_NONE;

    while (answers.len > 0) {
        struct slice line = next_line(&answers);
        const struct slice lift = SLICE("{\"lifted\":");
        for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
            size_t len = strlen(lists[i]);
            if (!slice_starts(line, slice_of(lists[i])))
                continue;
            struct slice items =
                slice_head(slice_skip(line, len), line.len - len - 2);
            (void)printf("%s%.*s", key == NULL ? lists[i] : between,
                         SLICE_ARG(items));
            key = lists[i];
            between = items.len > 0 ? "," : between;
        }
        if (slice_starts(line, SLICE("{\"error\":")))
            error = line;
        else if (slice_starts(line, lift) &&
                 slice_to_u64(slice_head(slice_skip(line, lift.len),
                                         line.len - lift.len - 1),
                              &n))
            lifted += n;
    }
    if (key != NULL)
        (void)printf("]");
    else if (error.len == 0)
        (void)printf("{\"lifted\":%llu", lifted);
    if (error.len > 0)
        (void)printf("%s%.*s\n", key != NULL ? "," : "{",
                     SLICE_ARG(slice_skip(error, 1)));
    else
        (void)printf("}\n");
}

int cmd_subject(const struct cmd *self, int argc, char **argv)
{
    struct cmd_line l;
    struct buf text, answers;
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    const char *file = cmd_value(&l, "--file");
    buf_init(&answers, ANSWERS_MAX);
    if (l.json)
        l.answers = subject_answers = &answers;
    if (file_read(file == NULL ? "-" : file, IDS_BYTES_MAX, &text) == ST_OK)
        code = ask_subjects(&l, buf_slice(&text));
    else
        code = cmd_fail(CMD_WRONG, "the identifiers cannot be read");
    if (answers.len > 0)
        print_answers(buf_slice(&answers));
    buf_wipe(&answers);
    buf_free(&answers);
    buf_wipe(&text);
    buf_free(&text);
    return code;
}

/* ---- site ---------------------------------------------------------------- */

static int offline_retire(struct offline *o, const char *id)
{
    const struct conf_site *s = conf_find_site(o->conf, id);
    char members[STATE_SITE_MAX + 16];
    unsigned i = 0;

    while (state_site(o->state, i) != NULL &&
           strcmp(state_site(o->state, i), id) != 0)
        i++;
    if (state_site(o->state, i) == NULL)
        return cmd_fail(CMD_WRONG, "the state knows no such site id");
    (void)snprintf(members, sizeof(members), "\"site\":\"%s\"",
                   s != NULL ? s->name : id);
    int code = note(o, RECORD_SITE_RETIRE, "chg:retire", members);
    if (code == CMD_OK && state_retire_site(o->state, slice_of(id)) != ST_OK)
        code = cmd_fail(CMD_WRONG, "the state cannot be written");
    return code;
}

static void print(const struct cmd_line *l, struct control_answer *out)
{
    struct slice text = buf_slice(l->json ? &out->data : &out->text);

    (void)printf("%.*s%s", SLICE_ARG(text), l->json ? "\n" : "");
}

static int offline_site_command(const struct cmd_line *l)
{
    struct control_answer out;
    struct offline o;
    int code = offline_open(l, &o);

    control_answer_init(&out);
    if (code == CMD_OK && l->positional_count > 0)
        code = offline_retire(&o, l->positionals[0]);
    else if (code == CMD_OK) {
        calls_print_sites(o.state, o.conf, &out);
        print(l, &out);
    }
    control_answer_free(&out);
    offline_close(&o);
    return code;
}

int cmd_site(const struct cmd *self, int argc, char **argv)
{
    struct cmd_line l;
    struct buf args;
    int code = cmd_parse(self, argc, argv, &l);
    bool retire = strcmp(self->words, "site retire") == 0;

    if (code >= 0)
        return code;
    if (retire != (l.positional_count == 1))
        return cmd_fail(CMD_USAGE, retire ? "give the id of one site"
                                          : "site list takes no argument");
    buf_init(&args, 4096);
    buf_put_char(&args, '{');
    if (retire) {
        buf_put(&args, SLICE("\"id\":"));
        buf_put_json_string(&args, slice_of(l.positionals[0]));
    }
    buf_put_char(&args, '}');
    code = cmd_ask(&l, buf_slice(&args), offline_site_command);
    buf_free(&args);
    return code;
}

/* ---- token --------------------------------------------------------------- */

int cmd_token(const struct cmd *self, int argc, char **argv)
{
    static const char *const names[] = {"role", "label", "expires"};
    struct cmd_line l;
    struct buf args;
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    buf_init(&args, 4096);
    buf_put(&args, SLICE("{\"sites\":["));
    if (cmd_value(&l, "--site") != NULL)
        buf_put_json_string(&args, slice_of(cmd_value(&l, "--site")));
    buf_put_char(&args, ']');
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char option[16];
        (void)snprintf(option, sizeof(option), "--%s", names[i]);
        if (cmd_value(&l, option) == NULL)
            continue;
        buf_printf(&args, ",\"%s\":", names[i]);
        buf_put_json_string(&args, slice_of(cmd_value(&l, option)));
    }
    buf_put_char(&args, '}');
    code = args.failed ? cmd_fail(CMD_USAGE, "arguments are too long")
                       : cmd_ask(&l, buf_slice(&args), NULL);
    buf_free(&args);
    return code;
}

static int offline_tokens(const struct cmd_line *l)
{
    struct control_answer out;
    struct tokens *tokens = NULL;
    char path[CONF_PATH_MAX];
    struct offline o;
    int code = offline_open(l, &o);

    control_answer_init(&out);
    if (code == CMD_OK && (!state_path(o.conf, "tokens.json", path) ||
                           tokens_open(path, &tokens) != ST_OK))
        code = cmd_fail(CMD_WRONG, "tokens.json cannot be read");
    if (code == CMD_OK) {
        calls_print_tokens(tokens, &out);
        print(l, &out);
        code = out.exit;
    }
    if (tokens != NULL)
        tokens_close(tokens);
    control_answer_free(&out);
    offline_close(&o);
    return code;
}

int cmd_token_list(const struct cmd *self, int argc, char **argv)
{
    struct cmd_line l;
    int code = cmd_parse(self, argc, argv, &l);

    return code >= 0 ? code : cmd_ask(&l, SLICE("{}"), offline_tokens);
}
