/* cmd_audit_tiles.c - `audit export --tiles`: the log as static files. */
#include "lethe/gateway/audit/tiles_export.h"
#include "lethe/gateway/cmd/cmd.h"
#include "lethe/gateway/conf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int say(enum status st, const char *dir)
{
    switch ((int)st) {
    case ST_UNKNOWN:
        return cmd_fail(CMD_INCOMPLETE, "nothing of this log is signed yet");
    case ST_MISMATCH:
        return cmd_fail(CMD_WRONG, "the log is not what its checkpoint was "
                                   "signed for; see `lethe audit verify`");
    case ST_CORRUPT:
    case ST_END:
        return cmd_fail(CMD_WRONG, "records or tiles are missing or damaged; "
                                   "see `lethe audit verify`");
    default:
        return cmd_fail(CMD_WRONG, "%s: %s", dir, status_name(st));
    }
}

static int export(const struct cmd_line *l, const struct conf *c,
                  const char *dir)
{
    char folder[CONF_PATH_MAX];
    struct tiles_exported done;
    int code = cmd_audit_folder(c, folder);

    if (code == CMD_OK)
        code = cmd_note_reading(
            l, c, &(struct cmd_reading){.taken_away = true, .by = SLICE("[]")});
    if (code != CMD_OK)
        return code;
    enum status st = tiles_export(folder, dir, &done);
    if (st != ST_OK)
        return say(st, dir);
    (void)printf(
        l->json
            ? "{\"size\":%" PRIu64 ",\"minimum\":%" PRIu64 ",\"tiles\":%" PRIu64
              ",\"bundles\":%" PRIu64 ",\"written\":%" PRIu64 "}\n"
            : "a checkpoint of %" PRIu64
              " records, the first at hand is %" PRIu64 "; %" PRIu64
              " tiles, %" PRIu64 " entry bundles; %" PRIu64 " files were new\n",
        done.size, done.minimum, done.tiles, done.bundles, done.written);
    return CMD_OK;
}

/* Tiles are of the whole log: no filter goes with them. */
static int check_options(const struct cmd_line *l)
{
    static const char *const fits[] = {"--config", "--token-file", "--tiles"};

    for (unsigned i = 0; i < l->cmd->option_count; i++) {
        const char *name = l->cmd->options[i].name;
        bool fit = l->values[i] == NULL;
        for (size_t k = 0; k < sizeof(fits) / sizeof(fits[0]); k++)
            fit = fit || strcmp(name, fits[k]) == 0;
        if (!fit)
            return cmd_fail(CMD_USAGE,
                            "--tiles writes the whole log: leave "
                            "%s out",
                            name);
    }
    return cmd_value(l, "--config") != NULL
               ? CMD_OK
               : cmd_fail(CMD_USAGE, "%s needs --config FILE", l->cmd->words);
}

int cmd_audit_export(const struct cmd *self, int argc, char **argv)
{
    struct conf_complaint complaint;
    struct conf *c = NULL;
    struct cmd_line l;
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    if (cmd_value(&l, "--tiles") == NULL)
        return cmd_audit_search(self, argc, argv);
    code = check_options(&l);
    if (code != CMD_OK)
        return code;
    if (conf_load(cmd_value(&l, "--config"), &c, &complaint) != ST_OK)
        return cmd_fail(CMD_WRONG, "%s", complaint.text);
    code = export(&l, c, cmd_value(&l, "--tiles"));
    conf_free(c);
    return code;
}
