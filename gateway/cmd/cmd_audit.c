/* cmd_audit.c - `audit verify`. It prints a verdict and counts, no contents:
 * that is no reading that the log records, and it works on a copy, too. */
#include "lethe/gateway/audit/read.h"
#include "lethe/gateway/cmd/cmd.h"
#include "lethe/gateway/conf.h"
#include "lethe/gateway/file.h"
#include "lethe/gateway/state.h"

#include <stdio.h>
#include <unistd.h>

/* The audit folder of --config. */
static int find_folder(const struct cmd_line *l, char out[CONF_PATH_MAX])
{
    const char *config = cmd_value(l, "--config");
    struct conf_complaint complaint;
    struct conf *c = NULL;

    if (config == NULL)
        return cmd_fail(CMD_USAGE, "%s needs --config FILE", l->cmd->words);
    if (conf_load(config, &c, &complaint) != ST_OK)
        return cmd_fail(CMD_WRONG, "%s", complaint.text);
    bool fits = state_path(c, "audit", out);
    conf_free(c);
    return fits ? CMD_OK : cmd_fail(CMD_WRONG, "state_dir is too long a path");
}

static void print_progress(void *ctx, uint64_t records, uint64_t rows)
{
    (void)ctx;
    (void)fprintf(stderr, "\r%llu records, %llu rows",
                  (unsigned long long)records, (unsigned long long)rows);
}

static int print_report(const struct cmd_line *l, const struct audit_report *r)
{
    static const char *const words[] = {"sound", "tampered", "incomplete"};

    if (l->json)
        (void)printf("{\"verdict\":\"%s\",\"records\":%llu,\"batches\":%llu,"
                     "\"rows\":%llu,\"decisions\":%llu,\"bad_index\":%llu,"
                     "\"root\":\"%s\",\"message\":\"%s\"}\n",
                     words[r->verdict], (unsigned long long)r->records,
                     (unsigned long long)r->batches,
                     (unsigned long long)r->rows,
                     (unsigned long long)r->decisions,
                     (unsigned long long)r->bad_index, r->head.root, r->text);
    else
        (void)printf("%s\n", r->text);
    return r->verdict == AUDIT_SOUND      ? CMD_OK
           : r->verdict == AUDIT_TAMPERED ? CMD_WRONG
                                          : CMD_INCOMPLETE;
}

/* --since: the checkpoint that the log must begin with. */
static int read_since(const char *path, struct audit_checkpoint *out)
{
    struct buf text;
    int code = CMD_OK;

    if (file_read(path, AUDIT_CHECKPOINT_TEXT_MAX, &text) != ST_OK)
        code = cmd_fail(CMD_USAGE, "%s: cannot be read", path);
    else if (audit_checkpoint_read(buf_slice(&text), out) != ST_OK)
        code = cmd_fail(CMD_USAGE, "%s: is no checkpoint", path);
    buf_free(&text);
    return code;
}

/* --checkpoint: for a later --since. Never over an older one. */
static int write_checkpoint(const char *path, const struct audit_report *r)
{
    struct buf text;
    enum status st;

    if (r->verdict == AUDIT_TAMPERED)
        return CMD_OK; /* the verdict says enough */
    if (r->head.origin[0] == '\0')
        return cmd_fail(CMD_WRONG, "no checkpoint can be made of this log: "
                                   "it does not say its origin, or its "
                                   "beginning was deleted");
    buf_init(&text, AUDIT_CHECKPOINT_TEXT_MAX);
    audit_checkpoint_put(&r->head, &text);
    st = text.failed ? ST_NOMEM : file_create(path, 0644, buf_slice(&text));
    buf_free(&text);
    if (st == ST_EXISTS)
        return cmd_fail(CMD_WRONG, "%s: is there already", path);
    return st == ST_OK ? CMD_OK
                       : cmd_fail(CMD_WRONG, "%s: cannot be written", path);
}

int cmd_audit_verify(const struct cmd *self, int argc, char **argv)
{
    char folder[CONF_PATH_MAX];
    struct audit_checkpoint since;
    struct audit_report report;
    struct cmd_line l;
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    if (l.positional_count == 1)
        (void)snprintf(folder, sizeof(folder), "%s", l.positionals[0]);
    else if ((code = find_folder(&l, folder)) != CMD_OK)
        return code;
    const char *old = cmd_value(&l, "--since");
    const char *keep = cmd_value(&l, "--checkpoint");
    if (old != NULL && (code = read_since(old, &since)) != CMD_OK)
        return code;
    bool tty = isatty(STDERR_FILENO) == 1;
    enum status st =
        audit_verify_rows(folder, old != NULL ? &since : NULL,
                          tty ? print_progress : NULL, NULL, &report);
    if (tty)
        (void)fputc('\n', stderr);
    if (st != ST_OK)
        return cmd_fail(CMD_WRONG, "the audit log cannot be read: %s",
                        status_name(st));
    code = print_report(&l, &report);
    int kept = keep != NULL ? write_checkpoint(keep, &report) : CMD_OK;
    return kept != CMD_OK ? kept : code;
}
