/* cmd_audit_prove.c - `audit prove`: proofs to take away, of decisions and of
 * records, made from the log's folder. */
#include "audit_check.h"

#include "lethe/gateway/audit/prove.h"
#include "lethe/gateway/audit/search.h"
#include "lethe/gateway/file.h"
#include "lethe/gateway/keys/keyfile.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENDING      ".tlog-proof"
#define RECORDS_MAX 256u /* with rows of one event */
#define PATH_BYTES  4096u

/* What is on its way. */
struct proving {
    const struct cmd_line *l;
    const char *folder;
    const char *out; /* NULL: the first proof to standard output */
    struct prover *prover;
    uint64_t ev;
    uint64_t records[RECORDS_MAX]; /* that hold rows of it, rising */
    unsigned record_count;
    bool has_policy;
    uint64_t policy;
    unsigned made; /* proofs of rows */
    int code;      /* of what was said already */
};

/* ---- writing ------------------------------------------------------------- */

/* "x.tlog-proof" with "-2" is "x-2.tlog-proof". */
static bool name_proof(const char *out, const char *more, char path[PATH_BYTES])
{
    struct slice name = slice_of(out);
    bool ends = slice_ends(name, SLICE(ENDING));
    int base = (int)(name.len - (ends ? sizeof(ENDING) - 1 : 0));
    int n = snprintf(path, PATH_BYTES, "%.*s%s%s", base, out, more,
                     ends ? ENDING : "");

    return n > 0 && (size_t)n < PATH_BYTES;
}

static int write_proof(const struct proving *p, const char *more,
                       struct slice proof)
{
    char path[PATH_BYTES];

    if (p->out == NULL)
        return fwrite(proof.at, 1, proof.len, stdout) == proof.len &&
                       fflush(stdout) == 0
                   ? CMD_OK
                   : cmd_fail(CMD_WRONG, "the proof cannot be written");
    if (!name_proof(p->out, more, path))
        return cmd_fail(CMD_USAGE, "--out is too long a path");
    enum status st = file_create(path, 0644, proof);
    if (st != ST_OK)
        return cmd_fail(CMD_WRONG, "%s: %s", path,
                        st == ST_EXISTS ? "is there already"
                                        : "cannot be written");
    if (!p->l->json)
        (void)printf("%s\n", path);
    return CMD_OK;
}

static int say(const struct proving *p, enum status st, const char *what)
{
    if (st == ST_BUSY)
        return cmd_fail(CMD_INCOMPLETE,
                        "%s is not covered by a signed checkpoint yet (it "
                        "covers %" PRIu64 " records)",
                        what, prover_size(p->prover));
    if (st == ST_CLOSED)
        return cmd_fail(CMD_INCOMPLETE,
                        "%s was deleted by retention: what proves it lies "
                        "with whoever had a proof made before (--again)",
                        what);
    if (st == ST_CORRUPT)
        return cmd_fail(CMD_WRONG,
                        "%s does not fit the signed log; see `lethe audit "
                        "verify`",
                        what);
    return cmd_fail(CMD_WRONG, "%s cannot be read: %s", what, status_name(st));
}

static int prove_record(struct proving *p, uint64_t index, const char *more)
{
    char what[40];
    struct buf text;

    buf_init(&text, PROOF_BYTES_MAX);
    enum status st = prover_record(p->prover, index, &text);
    (void)snprintf(what, sizeof(what), "record %" PRIu64, index);
    int code =
        st == ST_OK ? write_proof(p, more, buf_slice(&text)) : say(p, st, what);
    buf_free(&text);
    return code;
}

/* ---- by receipt ---------------------------------------------------------- */

/* The number behind `mark` at a line's beginning. */
static bool leading_number(struct slice line, struct slice mark, uint64_t *out)
{
    struct slice rest = slice_skip(line, mark.len);
    unsigned long long v;

    if (!slice_starts(line, mark) ||
        !slice_to_u64(slice_head(rest, slice_find(rest, ',')), &v))
        return false;
    *out = v;
    return true;
}

static bool note_record(void *ctx, struct slice line)
{
    struct proving *p = ctx;
    uint64_t i;

    if (!leading_number(line, SLICE("{\"i\":"), &i))
        return false;
    if (p->record_count > 0 && p->records[p->record_count - 1] == i)
        return true;
    if (p->record_count < RECORDS_MAX)
        p->records[p->record_count++] = i;
    return p->record_count < RECORDS_MAX;
}

static enum status write_row(void *ctx, const struct proved_row *row)
{
    struct proving *p = ctx;
    char more[24] = "";

    p->made++;
    if (p->made > 1)
        (void)snprintf(more, sizeof(more), "-%u", p->made);
    if (p->made == 1) {
        p->has_policy = row->has_policy;
        p->policy = row->policy;
    }
    if (p->out == NULL && p->made > 1)
        return ST_OK; /* told at the end */
    p->code = write_proof(p, more, row->proof);
    return p->code == CMD_OK ? ST_OK : ST_END;
}

/* The reading was written down before: cmd_note_reading(). */
static enum status find(const struct proving *p, const struct audit_query *q,
                        bool (*line)(void *ctx, struct slice line), void *ctx)
{
    struct audit_found found;

    return audit_search(p->folder, q, &(struct audit_reader){NULL, line, ctx},
                        &found);
}

static bool any_line(void *ctx, struct slice line)
{
    (void)line;
    *(bool *)ctx = true;
    return false; /* one is enough */
}

/* Nothing was found: because it never was, or because it was deleted? */
static int not_found(const struct proving *p, const char *what)
{
    const struct audit_query q = {
        .rule = -1, .reason = -1, .act = "audit.prune", .format = AUDIT_JSONL};
    bool pruned = false;

    enum status st = find(p, &q, any_line, &pruned);
    if (st != ST_OK)
        return say(p, st, "the log");
    if (pruned)
        return cmd_fail(
            CMD_INCOMPLETE,
            "%s is not in the log any more, or never was: retention "
            "has deleted a part of it (audit.prune). Whoever had a "
            "proof made before can renew it with --again",
            what);
    return cmd_fail(CMD_WRONG,
                    "%s is not in the log (what was decided within "
                    "the last second is not there yet)",
                    what);
}

static int prove_receipt(struct proving *p)
{
    const struct audit_query q = {.rule = -1,
                                  .reason = -1,
                                  .ev = p->ev,
                                  .rows = true,
                                  .format = AUDIT_JSONL};

    enum status st = find(p, &q, note_record, p);
    if (st != ST_OK)
        return say(p, st, "the log");
    if (p->record_count == 0)
        return not_found(p, "this receipt");
    if (p->records[p->record_count - 1] >= prover_size(p->prover))
        return say(p, ST_BUSY, "a decision of this event"); /* all, or none */
    for (unsigned i = 0; i < p->record_count && st == ST_OK; i++)
        st = prover_rows(p->prover, p->records[i], p->ev, write_row, p);
    if (p->code != CMD_OK)
        return p->code;
    if (st != ST_OK)
        return say(p, st, "a decision of this event");
    if (p->out == NULL && p->made > 1)
        (void)cmd_fail(CMD_OK,
                       "there are %u proofs of this event; --out FILE "
                       "writes all of them",
                       p->made);
    return p->out != NULL && p->has_policy
               ? prove_record(p, p->policy, "-policy")
               : CMD_OK;
}

/* ---- by person, by number, once more ------------------------------------- */

struct wanted {
    char sub[PERSON_TEXT + 10];
    bool found;
    uint64_t index;
};

static bool look(void *ctx, struct slice line)
{
    struct wanted *w = ctx;

    w->found = memmem(line.at, line.len, w->sub, strlen(w->sub)) != NULL &&
               leading_number(line, SLICE("{\"v\":1,\"i\":"), &w->index);
    return !w->found;
}

static int prove_person(struct proving *p, const char *commitment)
{
    const struct audit_query q = {
        .rule = -1, .reason = -1, .act = "optout.set", .format = AUDIT_JSONL};
    struct wanted w = {.found = false};

    (void)snprintf(w.sub, sizeof(w.sub), "\"sub\":\"%s\"", commitment);
    enum status st = find(p, &q, look, &w);
    if (st != ST_OK)
        return say(p, st, "the log");
    return w.found ? prove_record(p, w.index, "")
                   : not_found(p, "the opt-out of this receipt and identifier");
}

static int prove_again(struct proving *p, const char *path)
{
    uint8_t *extra = malloc(PROOF_EXTRA_MAX);
    struct tlog_proof old;
    struct evidence e;
    struct buf bytes, text;
    int code = CMD_OK;

    buf_init(&text, PROOF_BYTES_MAX);
    if (extra == NULL || file_read(path, PROOF_BYTES_MAX, &bytes) != ST_OK)
        code = cmd_fail(CMD_USAGE, "%s: cannot be read", path);
    else if (proof_read(buf_slice(&bytes), extra, &old) != ST_OK ||
             evidence_read(old.extra, &e) != ST_OK)
        code = cmd_fail(CMD_USAGE, "%s: is no proof of this log's", path);
    else {
        enum status st = prover_again(p->prover, old.index, &e, &text);
        code = st == ST_OK ? write_proof(p, "", buf_slice(&text))
                           : say(p, st, "what it proves");
    }
    buf_free(&text);
    if (extra != NULL)
        buf_free(&bytes);
    free(extra);
    return code;
}

/* ---- the command --------------------------------------------------------- */

/* What is asked for: exactly one of these. */
struct request {
    const char *receipt, *record, *person, *again;
    uint64_t index;
    char commitment[PERSON_TEXT];
};

static int read_receipt_text(const char *text, uint64_t *out)
{
    struct buf line;

    if (strcmp(text, "-") != 0)
        return cmd_read_receipt(text, out);
    int code = file_read("-", 64, &line) == ST_OK
                   ? CMD_OK
                   : cmd_fail(CMD_USAGE, "standard input holds no receipt");
    buf_put_char(&line, '\0');
    if (code == CMD_OK) {
        line.data[slice_trim(buf_slice(&line)).len] = '\0';
        line.data[strcspn(line.data, "\r\n")] = '\0';
        code = cmd_read_receipt(line.data, out);
    }
    buf_free(&line);
    return code;
}

static int read_request(const struct cmd_line *l, struct request *r,
                        struct proving *p)
{
    unsigned long long index;

    *r = (struct request){.receipt = cmd_value(l, "--receipt"),
                          .record = cmd_value(l, "--record"),
                          .person = cmd_value(l, "--person"),
                          .again = cmd_value(l, "--again")};
    if ((r->receipt != NULL) + (r->record != NULL) + (r->person != NULL) +
            (r->again != NULL) !=
        1)
        return cmd_fail(CMD_USAGE, "say what to prove: one of --receipt, "
                                   "--record, --person, --again");
    if (r->receipt != NULL)
        return read_receipt_text(r->receipt, &p->ev);
    if (r->person != NULL)
        return check_read_person(r->person, r->commitment);
    if (r->record != NULL) {
        if (!slice_to_u64(slice_of(r->record), &index))
            return cmd_fail(CMD_USAGE, "%s is no number", r->record);
        r->index = index;
    }
    return CMD_OK;
}

static int prove(struct proving *p, const struct request *r)
{
    if (r->receipt != NULL)
        return prove_receipt(p);
    if (r->person != NULL)
        return prove_person(p, r->commitment);
    if (r->again != NULL)
        return prove_again(p, r->again);
    return prove_record(p, r->index, "");
}

static int prove_in(struct proving *p, const struct conf *c,
                    const struct request *r)
{
    char folder[CONF_PATH_MAX];
    int code = cmd_audit_folder(c, folder);

    if (code == CMD_OK)
        code = cmd_note_reading(
            p->l, c,
            &(struct cmd_reading){
                .rows = r->receipt != NULL,
                .taken_away = true,
                .by = r->receipt != NULL  ? SLICE("[\"receipt\"]")
                      : r->person != NULL ? SLICE("[\"person\"]")
                                          : SLICE("[\"record\"]")});
    if (code != CMD_OK)
        return code;
    p->folder = folder;
    enum status st = prover_open(folder, &p->prover);
    if (st == ST_UNKNOWN)
        return cmd_fail(CMD_INCOMPLETE, "no checkpoint of this log has been "
                                        "signed yet: nothing can be proved");
    if (st != ST_OK)
        return cmd_fail(CMD_WRONG, "the log's checkpoint cannot be read: %s",
                        status_name(st));
    code = prove(p, r);
    prover_close(p->prover);
    return code;
}

int cmd_audit_prove(const struct cmd *self, int argc, char **argv)
{
    struct conf_complaint complaint;
    struct conf *c = NULL;
    struct cmd_line l;
    struct request r;
    struct proving p = {.l = &l};
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    if (secrets_init() != ST_OK)
        return cmd_fail(CMD_WRONG, "libsodium cannot be initialised");
    code = read_request(&l, &r, &p);
    if (code != CMD_OK)
        return code;
    p.out = cmd_value(&l, "--out");
    if (cmd_value(&l, "--config") == NULL)
        return cmd_fail(CMD_USAGE, "%s needs --config FILE", self->words);
    if (conf_load(cmd_value(&l, "--config"), &c, &complaint) != ST_OK)
        return cmd_fail(CMD_WRONG, "%s", complaint.text);
    code = prove_in(&p, c, &r);
    conf_free(c);
    if (code == CMD_OK && l.json && p.out != NULL)
        (void)printf("{\"proofs\":%u}\n", p.made > 0 ? p.made : 1);
    return code;
}
