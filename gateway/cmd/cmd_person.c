/* cmd_person.c - subject find, export, erase: requests of one person, known by
 * a few identifiers, asked of the running gateway. */
#include "lethe/gateway/cmd/cmd.h"
#include "lethe/gateway/file.h"
#include "lethe/policy/json_tree.h"

#include <string.h>

#define IDS_BYTES_MAX 65536u
#define ARGS_MAX      (8u * IDS_BYTES_MAX)

/* How many identifiers are too many the gateway says. */
static void put_ids(struct slice text, struct buf *out)
{
    bool first = true;

    buf_put(out, SLICE("\"ids\":["));
    while (text.len > 0) {
        size_t end = slice_find(text, '\n');
        struct slice id = slice_trim(slice_head(text, end));
        text = slice_skip(text, end + 1);
        if (id.len == 0)
            continue;
        buf_put(out, first ? SLICE("") : SLICE(","));
        buf_put_json_string(out, id);
        first = false;
    }
    buf_put_char(out, ']');
}

int cmd_person(const struct cmd *self, int argc, char **argv)
{
    struct cmd_line l;
    struct buf text, args;
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    const char *file = cmd_value(&l, "--file");
    const char *site = cmd_value(&l, "--site");
    if (file_read(file == NULL ? "-" : file, IDS_BYTES_MAX, &text) != ST_OK)
        return cmd_fail(CMD_WRONG, "the identifiers cannot be read");
    buf_init(&args, ARGS_MAX);
    buf_put_char(&args, '{');
    if (site != NULL) {
        buf_put(&args, SLICE("\"site\":"));
        buf_put_json_string(&args, slice_of(site));
        buf_put_char(&args, ',');
    }
    put_ids(buf_slice(&text), &args);
    buf_put_char(&args, '}');
    code = args.failed ? cmd_fail(CMD_USAGE, "an identifier is too long")
                       : cmd_ask(&l, buf_slice(&args), NULL);
    buf_wipe(&args);
    buf_free(&args);
    buf_wipe(&text);
    buf_free(&text);
    return code;
}
