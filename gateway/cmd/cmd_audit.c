/* cmd_audit.c - `audit verify`. It prints a verdict and counts, no contents:
 * that is no reading that the log records, and it works on a copy, too. */
#include "lethe/gateway/audit/verify.h"
#include "lethe/gateway/cmd/cmd.h"
#include "lethe/gateway/conf.h"
#include "lethe/gateway/file.h"
#include "lethe/gateway/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define AGE_MAX_S INT64_C(3155760000) /* a hundred years */

/* What the command line and the config name, in one place to free. */
struct asked {
    char folder[CONF_PATH_MAX];
    struct buf key, policy, since, state; /* texts that end with NUL */
};

static void asked_free(struct asked *a)
{
    buf_free(&a->key);
    buf_free(&a->policy);
    buf_free(&a->since);
    buf_free(&a->state);
}

/* A file as text. A NUL inside would hide what stands behind it. */
static bool read_text(const char *path, struct buf *out)
{
    buf_free(out);
    if (file_read(path, VERIFY_NOTE_MAX, out) != ST_OK)
        return false;
    bool whole = out->len == 0 || memchr(out->data, '\0', out->len) == NULL;
    buf_put_char(out, '\0');
    return whole && !out->failed;
}

static int want_text(const struct cmd_line *l, const char *option,
                     struct buf *out)
{
    const char *path = cmd_value(l, option);

    if (path == NULL || read_text(path, out))
        return CMD_OK;
    return cmd_fail(CMD_USAGE, "%s: cannot be read", path);
}

/* The folder, the log's key and what the signer signed last, of --config. */
static int read_config(const char *path, struct asked *a)
{
    struct conf_complaint complaint;
    char file[CONF_PATH_MAX];
    struct conf *c = NULL;

    if (conf_load(path, &c, &complaint) != ST_OK)
        return cmd_fail(CMD_WRONG, "%s", complaint.text);
    bool fits = a->folder[0] != '\0' || state_path(c, "audit", a->folder);
    int n = snprintf(file, sizeof(file), "%s/log.vkey", c->signer_dir);
    if (n > 0 && (size_t)n < sizeof(file))
        (void)read_text(file, &a->key); /* without it: "no key was given" */
    n = snprintf(file, sizeof(file), "%s/state", c->signer_dir);
    if (n > 0 && (size_t)n < sizeof(file))
        (void)read_text(file, &a->state); /* the signer's user may read it */
    conf_free(c);
    return fits ? CMD_OK : cmd_fail(CMD_WRONG, "state_dir is too long a path");
}

/* A key itself, which has plus signs, or a file with it. */
static int read_key(const struct cmd_line *l, struct asked *a)
{
    const char *key = cmd_value(l, "--key");

    if (key == NULL || strchr(key, '+') == NULL)
        return want_text(l, "--key", &a->key);
    buf_free(&a->key);
    buf_init(&a->key, VERIFY_NOTE_MAX);
    buf_put_bytes(&a->key, key, strlen(key) + 1);
    return a->key.failed ? cmd_fail(CMD_USAGE, "--key is too long") : CMD_OK;
}

static int read_asked(const struct cmd_line *l, struct asked *a)
{
    const char *config = cmd_value(l, "--config");
    int code = CMD_OK;

    if (l->positional_count == 0 && config == NULL)
        return cmd_fail(CMD_USAGE, "%s needs --config FILE, or FOLDER",
                        l->cmd->words);
    if (l->positional_count == 1 &&
        (size_t)snprintf(a->folder, sizeof(a->folder), "%s",
                         l->positionals[0]) >= sizeof(a->folder))
        return cmd_fail(CMD_USAGE, "FOLDER is too long a path");
    if (config != NULL)
        code = read_config(config, a);
    if (code == CMD_OK)
        code = read_key(l, a);
    if (code == CMD_OK)
        code = want_text(l, "--policy", &a->policy);
    return code == CMD_OK ? want_text(l, "--since", &a->since) : code;
}

static int read_age(const struct cmd_line *l, int64_t *out)
{
    const char *text = cmd_value(l, "--max-age");
    unsigned long long age = 0;

    if (text != NULL && (!slice_to_u64(slice_of(text), &age) || age == 0 ||
                         age > (unsigned long long)AGE_MAX_S))
        return cmd_fail(CMD_USAGE, "--max-age is a number of seconds");
    *out = (int64_t)age;
    return CMD_OK;
}

static void print_progress(void *ctx, uint64_t records, uint64_t rows)
{
    (void)ctx;
    (void)fprintf(stderr, "\r%" PRIu64 " records, %" PRIu64 " rows", records,
                  rows);
}

static void print_report(const struct cmd_line *l,
                         const struct verify_report *r)
{
    static const char *const words[] = {"sound", "tampered", "incomplete"};

    if (!l->json) {
        (void)printf("%s\n", r->text);
        return;
    }
    (void)printf("{\"verdict\":\"%s\",\"records\":%" PRIu64
                 ",\"batches\":%" PRIu64 ",\"rows\":%" PRIu64
                 ",\"decisions\":%" PRIu64 ",\"signed\":%" PRIu64
                 ",\"deleted\":%" PRIu64 ",\"bad_index\":",
                 words[r->verdict], r->records, r->batches, r->rows,
                 r->decisions, r->covered, r->missing);
    if (r->bad_index != VERIFY_NONE)
        (void)printf("%" PRIu64, r->bad_index);
    else
        (void)printf("null");
    (void)printf(",\"file\":\"%s\",\"root\":\"%s\",\"message\":\"%s\"}\n",
                 r->bad_file, r->root, r->text);
}

/* --checkpoint: for a later --since. Never over an older one. */
static int write_checkpoint(const char *path, const struct verify_report *r)
{
    struct buf text;

    if (path == NULL || r->verdict == VERIFY_TAMPERED)
        return CMD_OK; /* the verdict says enough */
    if (r->origin[0] == '\0' || r->root[0] == '\0')
        return cmd_fail(CMD_WRONG, "no checkpoint can be made of this log: "
                                   "it does not say its origin, or hashes of "
                                   "deleted records are missing");
    buf_init(&text, VERIFY_NOTE_MAX);
    buf_printf(&text, "%s\n%" PRIu64 "\n%s\n", r->origin, r->size, r->root);
    enum status st =
        text.failed ? ST_NOMEM : file_create(path, 0644, buf_slice(&text));
    buf_free(&text);
    if (st == ST_EXISTS)
        return cmd_fail(CMD_WRONG, "%s: is there already", path);
    return st == ST_OK ? CMD_OK
                       : cmd_fail(CMD_WRONG, "%s: cannot be written", path);
}

static int verify(const struct cmd_line *l, const struct asked *a,
                  int64_t max_age_s)
{
    bool tty = isatty(STDERR_FILENO) == 1;
    struct verify_report report;
    struct verify_wish wish = {.folder = a->folder,
                               .key = a->key.data,
                               .policy = a->policy.data,
                               .since = {a->since.data, a->state.data},
                               .now_ms = (int64_t)time(NULL) * 1000,
                               .max_age_s = max_age_s,
                               .progress = tty ? print_progress : NULL};

    audit_verify(&wish, &report);
    if (tty)
        (void)fputc('\n', stderr);
    if (report.verdict == VERIFY_USAGE)
        return cmd_fail(CMD_USAGE, "%s", report.text);
    print_report(l, &report);
    int kept = write_checkpoint(cmd_value(l, "--checkpoint"), &report);
    return kept != CMD_OK ? kept : (int)report.verdict;
}

int cmd_audit_verify(const struct cmd *self, int argc, char **argv)
{
    struct asked a = {.folder = ""};
    int64_t max_age_s = 0;
    struct cmd_line l;
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    code = read_age(&l, &max_age_s);
    if (code == CMD_OK)
        code = read_asked(&l, &a);
    if (code == CMD_OK)
        code = verify(&l, &a, max_age_s);
    asked_free(&a);
    return code;
}
