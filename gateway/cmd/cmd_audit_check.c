/* cmd_audit_check.c - `audit check`: does a proof prove something, and what?
 * Needs the proof and the log's public key, no gateway and no log. */
#include "audit_check.h"

#include "lethe/gateway/file.h"
#include "lethe/gateway/keys/keyfile.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX      16u /* witnesses */
#define KEY_FILE_MAX  (KEYS_MAX * (NOTE_VKEY_MAX + 1u))
#define LOG_VKEY_NAME "log.vkey"

/* What the proofs are held against. */
struct asked {
    bool has_key;
    struct note_key key;
    struct note_key witnesses[KEYS_MAX];
    unsigned witness_count;
    const char *person; /* commitment; NULL: not asked */
};

static void set(struct checked *c, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void set(struct checked *c, int code, const char *format, ...)
{
    va_list args;

    c->code = code;
    va_start(args, format);
    (void)vsnprintf(c->text, sizeof(c->text), format, args);
    va_end(args);
}

/* ---- keys ---------------------------------------------------------------- */

static int read_keys(struct slice text, const char *what, struct note_key *out,
                     unsigned max, unsigned *count)
{
    *count = 0;
    while (slice_trim(text).len > 0) {
        size_t end = slice_find(text, '\n');
        struct slice line = slice_trim(slice_head(text, end));
        text = slice_skip(text, end + 1);
        if (line.len == 0)
            continue;
        if (*count == max || note_key_read(line, &out[*count]) != ST_OK)
            return cmd_fail(CMD_USAGE,
                            "%s: is no key, or one too many; a key is "
                            "name+hex+base64, one a line",
                            what);
        (*count)++;
    }
    return *count > 0 ? CMD_OK : cmd_fail(CMD_USAGE, "%s: holds no key", what);
}

/* A key itself, which has plus signs, or a file of them. */
static int load_keys(const char *value, struct note_key *out, unsigned max,
                     unsigned *count)
{
    struct buf text;

    if (strchr(value, '+') != NULL)
        return read_keys(slice_of(value), "the key", out, max, count);
    int code = file_read(value, KEY_FILE_MAX, &text) == ST_OK
                   ? read_keys(buf_slice(&text), value, out, max, count)
                   : cmd_fail(CMD_USAGE, "%s: cannot be read", value);
    buf_free(&text);
    return code;
}

int check_log_key(const struct conf *c, struct note_key *out)
{
    char path[CONF_PATH_MAX];
    unsigned count;

    int n = snprintf(path, sizeof(path), "%s/" LOG_VKEY_NAME, c->signer_dir);
    return n > 0 && (size_t)n < sizeof(path)
               ? load_keys(path, out, 1, &count)
               : cmd_fail(CMD_WRONG, "signer.dir is too long a path");
}

static int load_config_key(const char *config, struct asked *a)
{
    struct conf_complaint complaint;
    struct conf *c = NULL;

    if (conf_load(config, &c, &complaint) != ST_OK)
        return cmd_fail(CMD_WRONG, "%s", complaint.text);
    int code = check_log_key(c, &a->key);
    conf_free(c);
    return code;
}

static int read_asked(const struct cmd_line *l, struct asked *a)
{
    const char *key = cmd_value(l, "--key");
    const char *config = cmd_value(l, "--config");
    const char *witness = cmd_value(l, "--witness");
    unsigned count;
    int code = CMD_OK;

    if (key != NULL && config != NULL)
        return cmd_fail(CMD_USAGE,
                        "--key and --config both name the log's key");
    if (key != NULL)
        code = load_keys(key, &a->key, 1, &count);
    else if (config != NULL)
        code = load_config_key(config, a);
    a->has_key = key != NULL || config != NULL;
    if (code == CMD_OK && a->has_key && a->key.type != NOTE_ED25519)
        code = cmd_fail(CMD_USAGE, "the log's key is a witness's");
    if (code == CMD_OK && witness != NULL)
        code = load_keys(witness, a->witnesses, KEYS_MAX, &a->witness_count);
    return code;
}

/* ---- one proof ----------------------------------------------------------- */

static void check_witnesses(struct checked *c, const struct asked *a)
{
    for (unsigned i = 0; i < a->witness_count && c->code == CMD_OK; i++) {
        enum status st = note_check(&c->note, &a->witnesses[i], NULL);
        if (st == ST_UNKNOWN)
            set(c, CMD_INCOMPLETE, "the witness %.100s has not cosigned it",
                a->witnesses[i].name);
        else if (st != ST_OK)
            set(c, CMD_WRONG, "the cosignature of the witness %.100s is false",
                a->witnesses[i].name);
    }
}

/* "sub":"<commitment>" of an opt-out's record; strings there hold no quotes. */
static bool holds(struct slice d, const char *commitment)
{
    char text[PERSON_TEXT + 10];

    int n = snprintf(text, sizeof(text), "\"sub\":\"%s\"", commitment);
    return memmem(d.at, d.len, text, (size_t)n) != NULL;
}

static void check_person(struct checked *c, const struct asked *a)
{
    if (a->person == NULL || c->code != CMD_OK)
        return;
    c->is_persons = !c->evidence.has_row &&
                    slice_starts(c->facts.act, SLICE("optout.")) &&
                    holds(c->facts.d, a->person);
    if (!c->is_persons)
        set(c, CMD_WRONG,
            "this record does not hold the commitment of this receipt and "
            "identifier");
}

static const char *why_not(enum status st)
{
    if (st == ST_SYNTAX || st == ST_LIMIT)
        return "its checkpoint cannot be read";
    if (st == ST_UNKNOWN)
        return "its checkpoint is not signed by this key: it is of another "
               "log, or of nobody's";
    if (st == ST_CRYPTO)
        return "the signature of its checkpoint is false";
    if (st == ST_MISMATCH)
        return "what it holds is not in the log that its checkpoint signs";
    return status_name(st);
}

static void check_bytes(struct checked *c, const struct asked *a)
{
    uint8_t leaf[HASH_BYTES];
    struct tlog_proof p;

    if (proof_read(buf_slice(&c->bytes), c->extra, &p) != ST_OK) {
        set(c, CMD_WRONG, "this is no proof (C2SP tlog-proof)");
        return;
    }
    if (evidence_read(p.extra, &c->evidence) != ST_OK) {
        set(c, CMD_WRONG,
            "this is a proof of something else than this log's "
            "decisions and records");
        return;
    }
    merkle_leaf(c->evidence.record.at, c->evidence.record.len, leaf);
    enum status st =
        proof_check(&p, leaf, a->has_key ? &a->key : NULL, &c->note, &c->head);
    if (st != ST_OK) {
        set(c, CMD_WRONG, "%s", why_not(st));
        return;
    }
    st = evidence_facts(&c->evidence, p.index, &c->facts);
    if (st != ST_OK) {
        set(c, CMD_WRONG,
            st == ST_MISMATCH
                ? "the decision is not among those that its record counts"
                : "its record is none of this kind of log");
        return;
    }
    c->is_read = true;
    if (!a->has_key)
        set(c, CMD_INCOMPLETE,
            "it fits its checkpoint, but who signed that was not checked: say "
            "the log's key with --key");
    check_witnesses(c, a);
    check_person(c, a);
}

static void check_file(struct checked *c, const char *path,
                       const struct asked *a)
{
    c->path = path;
    if (file_read(path, PROOF_BYTES_MAX, &c->bytes) != ST_OK)
        set(c, CMD_WRONG, "it cannot be read, or is too long for a proof");
    else
        check_bytes(c, a);
}

/* ---- all of them --------------------------------------------------------- */

/* The policy.load that was in force for decision `c`, if it is proved, too,
 * and of the same log. */
static const struct evidence_facts *policy_of(const struct checked *all,
                                              unsigned count,
                                              const struct checked *c)
{
    for (unsigned i = 0; i < count; i++)
        if (all[i].is_read && all[i].code == CMD_OK && c->code == CMD_OK &&
            !all[i].evidence.has_row && c->is_read && c->evidence.has_row &&
            c->facts.has_policy && all[i].facts.index == c->facts.policy &&
            slice_eq(all[i].head.origin, c->head.origin) &&
            slice_eq(all[i].facts.act, SLICE("policy.load")))
            return &all[i].facts;
    return NULL;
}

static int worst(const struct checked *all, unsigned count)
{
    int code = CMD_OK;

    for (unsigned i = 0; i < count; i++)
        if (all[i].code == CMD_WRONG || code == CMD_OK)
            code = all[i].code;
    return code;
}

static int print_all(const struct cmd_line *l, const struct checked *all,
                     unsigned count)
{
    int code = worst(all, count);
    struct buf out;

    buf_init(&out, count * (size_t)CHECK_PUT_MAX);
    if (l->json)
        buf_printf(&out, "{\"verdict\":\"%s\",\"proofs\":[",
                   check_verdict(code));
    for (unsigned i = 0; i < count; i++) {
        if (l->json && i > 0)
            buf_put_char(&out, ',');
        check_put(&all[i], policy_of(all, count, &all[i]), l->json, &out);
    }
    if (l->json)
        buf_put(&out, SLICE("]}\n"));
    if (out.failed || fwrite(out.data, 1, out.len, stdout) != out.len ||
        fflush(stdout) != 0)
        code = cmd_fail(CMD_WRONG, "the result cannot be written");
    buf_free(&out);
    return code;
}

static int check_all(const struct cmd_line *l, const struct asked *a)
{
    struct checked *all = calloc(l->positional_count, sizeof(*all));
    int code;

    if (all == NULL)
        return cmd_fail(CMD_WRONG, "out of memory");
    for (unsigned i = 0; i < l->positional_count; i++)
        check_file(&all[i], l->positionals[i], a);
    code = print_all(l, all, l->positional_count);
    for (unsigned i = 0; i < l->positional_count; i++)
        buf_free(&all[i].bytes);
    free(all);
    return code;
}

int cmd_audit_check(const struct cmd *self, int argc, char **argv)
{
    char person[PERSON_TEXT];
    struct cmd_line l;
    struct asked a = {.witness_count = 0};
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    if (l.positional_count == 0)
        return cmd_fail(CMD_USAGE, "say which proofs: lethe audit check FILE");
    if (secrets_init() != ST_OK)
        return cmd_fail(CMD_WRONG, "libsodium cannot be initialised");
    code = read_asked(&l, &a);
    if (code == CMD_OK && cmd_value(&l, "--person") != NULL) {
        code = check_read_person(cmd_value(&l, "--person"), person);
        a.person = person;
    }
    return code == CMD_OK ? check_all(&l, &a) : code;
}
