/* audit_person.c - from what a person holds to what the log holds of it. */
#include "audit_check.h"

#include "lethe/gateway/file.h"
#include "lethe/gateway/rights/optout_receipt.h"
#include "lethe/policy/base/arena.h"
#include "lethe/policy/dialect.h"
#include "lethe/policy/pseudonym.h"

#define FILE_MAX 4096u

_Static_assert(PERSON_TEXT == OPTOUT_COMMITMENT_TEXT, "one form");

static struct slice next_line(struct slice *rest)
{
    size_t end = slice_find(*rest, '\n');
    struct slice line = slice_trim(slice_head(*rest, end));

    *rest = slice_skip(*rest, end + 1);
    return line;
}

static int make_commitment(const uint8_t key[16], struct slice id,
                           char out[PERSON_TEXT])
{
    struct arena *a = arena_new(FILE_MAX * 4);
    uint8_t commitment[32];
    struct slice canonical;
    int code = CMD_OK;

    if (a == NULL || dialect_canonical(id, a, &canonical) != ST_OK)
        code = cmd_fail(CMD_WRONG, "out of memory");
    else {
        subject_commitment_make(key, canonical, commitment);
        optout_commitment_text(commitment, out);
    }
    arena_free(a);
    return code;
}

int check_read_person(const char *path, char out[PERSON_TEXT])
{
    uint8_t key[16];
    struct buf text;
    int code;

    if (file_read(path, FILE_MAX, &text) != ST_OK) {
        buf_free(&text);
        return cmd_fail(CMD_USAGE, "%s: cannot be read", path);
    }
    struct slice rest = buf_slice(&text);
    struct slice receipt = next_line(&rest), id = next_line(&rest);
    if (optout_receipt_open(receipt, key) != ST_OK || id.len == 0 ||
        slice_trim(rest).len > 0)
        code = cmd_fail(CMD_USAGE,
                        "%s: must hold two lines, a receipt (lo1-...) and the "
                        "identifier that was opted out",
                        path);
    else
        code = make_commitment(key, id, out);
    buf_wipe(&text);
    buf_free(&text);
    return code;
}
