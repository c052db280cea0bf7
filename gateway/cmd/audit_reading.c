/* audit_reading.c - who reads the log is in the log before anything of it is
 * shown: by the running gateway, or, if none runs, noted for the next start
 * (pending.h). */
#include "lethe/gateway/cmd/cmd.h"
#include "lethe/gateway/conf.h"
#include "lethe/gateway/control.h"
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/pending.h"
#include "lethe/gateway/state.h"
#include "lethe/gateway/system_clock.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define MEMBERS_MAX    320u
#define RECEIPT_DIGITS 16u

/* "by" and "count", as both ways write them. */
static void put_members(const struct cmd_reading *r, struct buf *out)
{
    buf_printf(out, "\"by\":%.*s", SLICE_ARG(r->by));
    if (r->counted)
        buf_printf(out, ",\"count\":%" PRIu64, r->count);
}

static int note_for_later(const struct conf *c, const struct cmd_reading *r)
{
    struct state *state = NULL;
    enum state_fault fault;
    struct buf members;

    if (state_open(c->state_dir, &state, &fault) != ST_OK)
        return cmd_fail(CMD_WRONG, "%s: %s", c->state_dir,
                        state_fault_text(fault));
    buf_init(&members, MEMBERS_MAX);
    buf_printf(&members, "\"of\":\"%s\",", r->rows ? "rows" : "records");
    put_members(r, &members);
    buf_put_char(&members, '\0');
    enum status st =
        members.failed
            ? ST_LIMIT
            : pending_add(c->state_dir, RECORD_AUDIT_READ,
                          r->taken_away ? "ticket:export" : "ticket:search",
                          members.data, system_clock()->wall_ms(NULL));
    buf_free(&members);
    state_close(state);
    if (st != ST_OK)
        return cmd_fail(CMD_WRONG,
                        "this search cannot be noted for the log "
                        "(%s), so nothing is shown",
                        status_name(st));
    (void)cmd_fail(CMD_OK, "no gateway is running; its next start records "
                           "this search");
    return CMD_OK;
}

int cmd_note_reading(const struct cmd_line *l, const struct conf *c,
                     const struct cmd_reading *r)
{
    struct control_answer answer;
    char socket[CONF_PATH_MAX];
    struct buf args;
    char *token = NULL;
    int code = cmd_read_token(l, &token);

    if (code != CMD_OK)
        return code;
    control_answer_init(&answer);
    buf_init(&args, MEMBERS_MAX);
    buf_printf(&args, "{\"rows\":%s,\"export\":%s,", r->rows ? "true" : "false",
               r->taken_away ? "true" : "false");
    put_members(r, &args);
    buf_put_char(&args, '}');
    enum status st = args.failed || !state_path(c, "control.sock", socket)
                         ? ST_LIMIT
                         : control_ask_as(socket, "audit read",
                                          buf_slice(&args), token, &answer);
    code = st == ST_OK && answer.exit == CMD_OK ? CMD_OK : CMD_WRONG;
    if (st == ST_UNKNOWN && token == NULL)
        code = note_for_later(c, r);
    else if (code != CMD_OK)
        (void)cmd_fail(code, "the gateway did not record this search, so "
                             "nothing is shown");
    buf_free(&args);
    control_answer_free(&answer);
    secret_free(token);
    return code;
}

int cmd_audit_folder(const struct conf *c, char out[CONF_PATH_MAX])
{
    if (!state_path(c, "audit", out))
        return cmd_fail(CMD_WRONG, "state_dir is too long a path");
    if (access(out, R_OK | X_OK) != 0)
        return cmd_fail(CMD_WRONG, "%s: there is no audit log that can be read",
                        out);
    return CMD_OK;
}

int cmd_read_receipt(const char *text, uint64_t *out)
{
    size_t i = 0;
    uint64_t v = 0;

    for (; i < RECEIPT_DIGITS && text[i] != '\0'; i++) {
        const char *digits = "0123456789abcdef";
        const char *at = strchr(digits, text[i]);
        if (at == NULL)
            break;
        v = v << 4 | (uint64_t)(at - digits);
    }
    if (i != RECEIPT_DIGITS || text[i] != '\0' || v == 0)
        return cmd_fail(CMD_USAGE, "a receipt is %u digits 0-9, a-f",
                        RECEIPT_DIGITS);
    *out = v;
    return CMD_OK;
}
