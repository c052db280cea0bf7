/* cmd_audit_canary.c - `audit canary`: the running gateway sends events whose
 * answers are known, and each decision is proved from the signed log here, in
 * another process, from the files. */
#include "audit_check.h"

#include "lethe/audit_codes.h"
#include "lethe/gateway/audit/prove.h"
#include "lethe/gateway/audit/search.h"
#include "lethe/gateway/canary.h"
#include "lethe/gateway/control.h"
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/state.h"
#include "lethe/policy/base/clock.h"
#include "lethe/policy/json_tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAIT_S      20 /* for the records to be signed */
#define POLL_NS     100000000L
#define RECORDS_MAX 64u
#define ARGS_MAX    256u
#define SHOWN_MAX   20u /* failures that are told one by one */
#define WHY_MAX     80u

/* One canary: what is right, and what the log says. */
struct bird {
    uint64_t ev;
    char kind[12];
    unsigned right, rule, arrived;
    bool stripped;
    bool proved;      /* at least one row */
    unsigned cleared; /* by the rows */
    unsigned denied;
    struct audit_row first;
    char why[WHY_MAX]; /* it failed; "" if not */
};

struct flock {
    const struct cmd_line *l;
    const struct conf *conf;
    char folder[CONF_PATH_MAX], socket[CONF_PATH_MAX];
    struct note_key key;
    struct json_tree *answer;
    struct bird *birds;
    unsigned count, present, proved;
    unsigned delivered, right; /* fragments */
    int64_t since_ms;
    uint64_t records[RECORDS_MAX];
    unsigned record_count;
    char *token; /* secret, or NULL */
};

/* ---- asking the gateway -------------------------------------------------- */

static int ask(struct flock *f, const char *command, const char *args,
               struct control_answer *answer)
{
    enum status st =
        control_ask_as(f->socket, command, slice_of(args), f->token, answer);

    if (st != ST_OK)
        return cmd_fail(CMD_WRONG, "%s",
                        st == ST_UNKNOWN
                            ? "no gateway is running for this config"
                            : "the running gateway did not answer");
    if (answer->exit != CMD_OK) {
        buf_put_char(&answer->text, '\0');
        answer->text.data[strcspn(answer->text.data, "\n")] = '\0';
        return cmd_fail(answer->exit, "%s", answer->text.data);
    }
    return CMD_OK;
}

static uint64_t number(const struct json_value *object, const char *name)
{
    const struct json_value *v = json_get(object, name);

    return v != NULL && json_kind_of(v) == JSON_KIND_NUMBER &&
                   json_number(v) >= 0
               ? (uint64_t)json_number(v)
               : 0;
}

static struct slice text(const struct json_value *object, const char *name)
{
    const struct json_value *v = json_get(object, name);

    return v == NULL ? SLICE_NONE : json_string(v);
}

static bool read_bird(const struct json_value *v, struct bird *b)
{
    const struct json_value *stripped = json_get(v, "stripped");
    struct slice ev = text(v, "ev");

    (void)snprintf(b->kind, sizeof(b->kind), "%.*s",
                   SLICE_ARG(text(v, "kind")));
    b->right = (unsigned)number(v, "cleared");
    b->rule = (unsigned)number(v, "rule");
    b->arrived = (unsigned)number(v, "arrived");
    b->stripped = stripped != NULL && json_bool(stripped);
    return ev.len == 16 && cmd_read_receipt(ev.at, &b->ev) == CMD_OK;
}

static int read_answer(struct flock *f, struct slice data)
{
    struct json_complaint complaint;

    if (json_tree_read(data, false, &f->answer, &complaint) != ST_OK)
        return cmd_fail(CMD_WRONG, "the gateway's answer cannot be read");
    const struct json_value *root = json_tree_root(f->answer);
    const struct json_value *list = json_get(root, "canaries");
    unsigned count = list == NULL ? 0 : (unsigned)json_size(list);
    f->birds = calloc(count + 1u, sizeof(*f->birds));
    f->present = (unsigned)number(root, "present");
    if (f->birds == NULL ||
        time_parse(text(root, "since"), &f->since_ms) != ST_OK)
        return cmd_fail(CMD_WRONG, "the gateway's answer cannot be read");
    for (const struct json_value *v = json_child(list); v != NULL;
         v = json_sibling(v)) {
        if (!read_bird(v, &f->birds[f->count]))
            return cmd_fail(CMD_WRONG, "the gateway's answer cannot be read");
        const struct bird *b = &f->birds[f->count++];
        f->right += (unsigned)__builtin_popcount(b->right);
        f->delivered += (unsigned)__builtin_popcount(b->arrived);
    }
    return CMD_OK;
}

static int send_canaries(struct flock *f)
{
    const char *site = cmd_value(f->l, "--site");
    const char *count = cmd_value(f->l, "--count");
    unsigned long long n = 0;
    struct control_answer answer;
    struct buf args;

    if (count != NULL &&
        (!slice_to_u64(slice_of(count), &n) || n == 0 || n > CANARY_COUNT_MAX))
        return cmd_fail(CMD_USAGE, "--count is a number from 1 to %u",
                        CANARY_COUNT_MAX);
    buf_init(&args, ARGS_MAX);
    buf_put_char(&args, '{');
    if (count != NULL)
        buf_printf(&args, "\"count\":%llu", n);
    if (site != NULL) {
        buf_put(&args,
                count != NULL ? SLICE(",\"site\":") : SLICE("\"site\":"));
        buf_put_json_string(&args, slice_of(site));
    }
    buf_put(&args, (struct slice){"}", 2}); /* with its NUL */
    control_answer_init(&answer);
    int code = args.failed ? cmd_fail(CMD_USAGE, "--site is too long")
                           : ask(f, "audit canary", args.data, &answer);
    if (code == CMD_OK)
        code = read_answer(f, buf_slice(&answer.data));
    control_answer_free(&answer);
    buf_free(&args);
    return code;
}

/* ---- the log ------------------------------------------------------------- */

static bool note_record(void *ctx, struct slice line)
{
    struct flock *f = ctx;
    unsigned long long i;
    struct slice rest = slice_skip(line, sizeof("{\"i\":") - 1);

    if (!slice_starts(line, SLICE("{\"i\":")) ||
        !slice_to_u64(slice_head(rest, slice_find(rest, ',')), &i))
        return false;
    if (f->record_count == 0 || f->records[f->record_count - 1] != i)
        f->records[f->record_count++] = i;
    return f->record_count < RECORDS_MAX;
}

static struct bird *bird_of(struct flock *f, uint64_t ev)
{
    for (unsigned i = 0; i < f->count; i++)
        if (f->birds[i].ev == ev)
            return &f->birds[i];
    return NULL;
}

/* From the bytes of the proof alone, by the log's public key: what the gateway
 * and the search say does not count. */
static bool is_proved(const struct flock *f, struct slice bytes,
                      struct audit_row *out)
{
    static uint8_t extra[PROOF_EXTRA_MAX];
    uint8_t leaf[HASH_BYTES];
    struct evidence_facts facts;
    struct tlog_proof p;
    struct evidence e;
    struct checkpoint c;
    struct note note;

    if (proof_read(bytes, extra, &p) != ST_OK ||
        evidence_read(p.extra, &e) != ST_OK || !e.has_row)
        return false;
    merkle_leaf(e.record.at, e.record.len, leaf);
    if (proof_check(&p, leaf, &f->key, &note, &c) != ST_OK ||
        evidence_facts(&e, p.index, &facts) != ST_OK ||
        !slice_eq(facts.site, SLICE(CANARY_SITE_NAME)))
        return false;
    *out = facts.row;
    return true;
}

static enum status take_row(void *ctx, const struct proved_row *row)
{
    struct flock *f = ctx;
    struct bird *b = bird_of(f, row->row.ev);
    struct audit_row r;

    if (b == NULL || !is_proved(f, row->proof, &r) || r.ev != b->ev)
        return ST_OK; /* of an earlier run, or no proof: not counted */
    if (!b->proved)
        b->first = r;
    b->proved = true;
    if (r.act == ACT_CLEARED || r.act == ACT_MINIMISED)
        b->cleared |= r.destinations;
    else if (r.act == ACT_DROPPED)
        b->denied |= r.destinations;
    else
        (void)snprintf(b->why, sizeof(b->why), "it was %s later",
                       audit_act_name(r.act));
    return ST_OK;
}

static bool all_proved(const struct flock *f)
{
    for (unsigned i = 0; i < f->count; i++)
        if (!f->birds[i].proved)
            return false;
    return true;
}

/* One look at the log. */
static enum status look(struct flock *f)
{
    const struct audit_query q = {.rule = -1,
                                  .reason = -1,
                                  .site = CANARY_SITE_NAME,
                                  .from_ms = f->since_ms - MS_PER_MIN,
                                  .rows = true,
                                  .format = AUDIT_JSONL};
    struct prover *p = NULL;
    const struct audit_reader to = {.line = note_record, .ctx = f};
    struct audit_found found;

    f->record_count = 0;
    for (unsigned i = 0; i < f->count; i++)
        f->birds[i].proved = false;
    enum status st = audit_search(f->folder, &q, &to, &found);
    if (st == ST_OK)
        st = prover_open(f->folder, &p);
    for (unsigned i = 0; st == ST_OK && i < f->record_count; i++)
        st = prover_rows(p, f->records[i], 0, take_row, f);
    prover_close(p);
    return st == ST_BUSY || st == ST_UNKNOWN ? ST_OK : st; /* not signed yet */
}

static int prove_all(struct flock *f)
{
    const struct timespec pause = {.tv_nsec = POLL_NS};

    for (unsigned i = 0; i < WAIT_S * 10u && !all_proved(f); i++) {
        enum status st = look(f);
        if (st != ST_OK)
            return cmd_fail(CMD_WRONG, "the audit log cannot be read: %s",
                            status_name(st));
        if (!all_proved(f))
            (void)nanosleep(&pause, NULL);
    }
    return CMD_OK;
}

/* ---- right or wrong ------------------------------------------------------ */

static void judge(struct flock *f, struct bird *b)
{
    unsigned strip = 1u << CLASS_UNKNOWN_FIELD;

    if (!b->proved)
        (void)snprintf(b->why, sizeof(b->why), "no proof of it is in the log");
    else if (b->cleared != b->right)
        (void)snprintf(b->why, sizeof(b->why),
                       "cleared for destinations %u, right is %u", b->cleared,
                       b->right);
    else if ((b->cleared | b->denied) != f->present ||
             (b->cleared & b->denied) != 0)
        (void)snprintf(b->why, sizeof(b->why),
                       "not each destination has its answer");
    else if (b->first.rule != b->rule)
        (void)snprintf(b->why, sizeof(b->why), "rule %u, right is %u",
                       b->first.rule, b->rule);
    else if (b->arrived != b->right)
        (void)snprintf(b->why, sizeof(b->why),
                       "arrived at destinations %u, right is %u", b->arrived,
                       b->right);
    else if (b->stripped && (b->first.classes & strip) == 0)
        (void)snprintf(b->why, sizeof(b->why),
                       "a field that the policy does not know was kept");
    f->proved += b->why[0] == '\0';
}

static void put_failures(const struct flock *f, struct buf *out)
{
    unsigned shown = 0;

    for (unsigned i = 0; i < f->count && shown < SHOWN_MAX; i++) {
        const struct bird *b = &f->birds[i];
        if (b->why[0] == '\0')
            continue;
        if (f->l->json)
            buf_printf(out,
                       "%s{\"receipt\":\"%016" PRIx64 "\",\"kind\":\"%s\","
                       "\"message\":\"%s\"}",
                       shown == 0 ? "" : ",", b->ev, b->kind, b->why);
        else
            buf_printf(out, "  %016" PRIx64 " (%s): %s\n", b->ev, b->kind,
                       b->why);
        shown++;
    }
}

static int print_verdict(const struct flock *f)
{
    const struct json_value *root = json_tree_root(f->answer);
    struct slice site = text(root, "site"), policy = text(root, "policy");
    bool good = f->proved == f->count;
    struct buf out;

    buf_init(&out, 4096 + SHOWN_MAX * 256u);
    if (f->l->json)
        buf_printf(&out,
                   "{\"verdict\":\"%s\",\"site\":\"%.*s\",\"policy\":\"%.*s\","
                   "\"sent\":%u,\"proved\":%u,\"failed\":%u,"
                   "\"cleared\":%u,\"delivered\":%u,\"failures\":[",
                   good ? "good" : "bad", SLICE_ARG(site), SLICE_ARG(policy),
                   f->count, f->proved, f->count - f->proved, f->right,
                   f->delivered);
    else
        buf_printf(&out,
                   "%s: %u canaries under the policy of %.*s (%.*s): %u "
                   "decided right and proved from the signed log, %u not; %u "
                   "of %u deliveries arrived at the built-in sink\n",
                   good ? "good" : "bad", f->count, SLICE_ARG(site),
                   SLICE_ARG(slice_head(policy, 16)), f->proved,
                   f->count - f->proved, f->delivered, f->right);
    put_failures(f, &out);
    if (f->l->json)
        buf_put(&out, SLICE("]}\n"));
    (void)fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
    return good ? CMD_OK : CMD_WRONG;
}

static int record_result(struct flock *f)
{
    struct control_answer answer;
    char args[ARGS_MAX];

    (void)snprintf(args, sizeof(args), "{\"proved\":%u}", f->proved);
    control_answer_init(&answer);
    int code = ask(f, "audit canary result", args, &answer);
    control_answer_free(&answer);
    return code;
}

/* ---- the command --------------------------------------------------------- */

static int run(struct flock *f)
{
    int code = cmd_audit_folder(f->conf, f->folder);

    if (code == CMD_OK && !state_path(f->conf, "control.sock", f->socket))
        code = cmd_fail(CMD_WRONG, "state_dir is too long a path");
    if (code == CMD_OK)
        code = check_log_key(f->conf, &f->key);
    if (code == CMD_OK)
        code = cmd_read_token(f->l, &f->token);
    if (code == CMD_OK)
        code = send_canaries(f);
    if (code == CMD_OK)
        code = prove_all(f);
    if (code != CMD_OK)
        return code;
    for (unsigned i = 0; i < f->count; i++)
        judge(f, &f->birds[i]);
    code = record_result(f);
    int verdict = print_verdict(f);
    return code != CMD_OK ? code : verdict;
}

int cmd_audit_canary(const struct cmd *self, int argc, char **argv)
{
    struct conf_complaint complaint;
    struct conf *c = NULL;
    struct cmd_line l;
    struct flock f = {.l = &l};
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    if (cmd_value(&l, "--config") == NULL)
        return cmd_fail(CMD_USAGE, "%s needs --config FILE", self->words);
    if (secrets_init() != ST_OK)
        return cmd_fail(CMD_WRONG, "libsodium cannot be initialised");
    if (conf_load(cmd_value(&l, "--config"), &c, &complaint) != ST_OK)
        return cmd_fail(CMD_WRONG, "%s", complaint.text);
    f.conf = c;
    code = run(&f);
    json_tree_free(f.answer);
    free(f.birds);
    secret_free(f.token);
    conf_free(c);
    return code;
}
