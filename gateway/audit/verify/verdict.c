/* verdict.c - what the log must agree with, and what is to be said of it. */
#include "parts.h"

#include <glob.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum source { NEWEST, DAILY, OLDER };

/* One checkpoint. The newest and the daily ones lie in the log's folder and
 * must be signed; an older one comes from elsewhere, perhaps on paper. */
static bool take_checkpoint(struct verify *v, struct text text,
                            enum source source)
{
    struct checkpoint c;

    if (!v_checkpoint_read(text, &c) || (source != OLDER && c.lines.len == 0))
        return source != OLDER &&
               v_fault(v, 0,
                       "or a later one: a checkpoint in the log's folder "
                       "is damaged");
    struct judgement j = v_note_judge(&c, v->wish->key, v->wish->policy);
    if (source == DAILY && !v_is(c.origin, v->origin))
        return true; /* of the log before a fork */
    if (source == NEWEST) {
        (void)snprintf(v->origin, sizeof(v->origin), "%.*s", (int)c.origin.len,
                       c.origin.at);
        v->signed_size = c.size;
    }
    if (c.lines.len > 0 && (j.forged || (j.keyed && !j.signed_by_log)))
        (void)v_fault(v, 0,
                      "or a later one: a checkpoint is not signed by this "
                      "log's key");
    if (source == OLDER && v->origin[0] != '\0' && !v_is(c.origin, v->origin))
        (void)v_fault(v, 0, "is of another log than the older checkpoint's");
    v->keyed |= j.keyed;
    v->witnessed |= source != OLDER && j.quorum;
    if (source != OLDER && j.quorum && c.size > v->covered)
        v->covered = c.size;
    struct fact *a = v_fact_add(v, ANCHOR, c.origin);
    a->index = c.size;
    a->from = source == OLDER;
    memcpy(a->root, c.root, HASH);
    v->next_anchor = c.size < v->next_anchor ? c.size : v->next_anchor;
    return true;
}

static bool take_checkpoints(struct verify *v)
{
    const struct verify_wish *w = v->wish;
    struct checkpoint none = {.size = 0};
    glob_t list = {.gl_pathc = 0};
    bool ok = v_note_judge(&none, w->key, w->policy).valid;
    struct text t = v_load(v, "checkpoint");

    v->signed_size = NONE;
    if (t.at != NULL)
        (void)take_checkpoint(v, t, NEWEST);
    v_unload(t);
    t = v_load(v, "cosigned"); /* the newest that witnesses have signed */
    if (t.at != NULL && v->signed_size != NONE)
        (void)take_checkpoint(v, t, DAILY);
    v_unload(t);
    if (!v_list_files(v, "cp/*.txt", &list))
        list.gl_pathc = 0;
    for (size_t k = 0; k < list.gl_pathc && v->signed_size != NONE; k++) {
        t = v_load(v, "cp/%s", strrchr(list.gl_pathv[k], '/') + 1);
        (void)take_checkpoint(v, t, DAILY);
        v_unload(t);
    }
    globfree(&list);
    for (unsigned k = 0; k < VERIFY_SINCE_MAX; k++)
        if (w->since[k] != NULL)
            ok = take_checkpoint(
                     v, (struct text){w->since[k], strlen(w->since[k])},
                     OLDER) &&
                 ok;
    return ok;
}

/* After the last line: whose beginning is this not? */
static void settle(struct verify *v)
{
    const struct list *l = &v->lists[ANCHOR];

    for (const struct fact *a = l->at; a < l->at + l->count; a++) {
        if (a->index > v->position)
            (void)v_fault(v, v->position,
                          "is missing: a checkpoint counts %" PRIu64
                          ", so that records were cut off, or an old copy was "
                          "put back",
                          a->index);
        else if (!a->met && (a->from == 1 || a->index == v->signed_size))
            v->cannot = "hashes of deleted records (audit/tile) are missing";
        if (a->from == 1 && v->report->origin[0] != '\0' &&
            strncmp(a->name, v->report->origin, sizeof(a->name) - 1) != 0)
            (void)v_fault(v, 0,
                          "is of another log than the older checkpoint's");
    }
    v_gaps_check(v);
    /* Tiles that no signed root speaks for tell only where, in a log that is
     * known to be changed. */
    if (v->differs != NONE && v->differs >= v->right && v->differs < v->bad &&
        (v->bad != NONE || (v->wrong != NONE && v->tiles_right)))
        (void)v_fault(v, v->differs,
                      v->tiles_right ? "is not the record that was signed"
                                     : "is not the one that its tile names");
    if (v->wrong != NONE && v->bad >= v->wrong)
        (void)v_fault(v, v->right,
                      "or one behind it is not what was signed: the first "
                      "%" PRIu64 " are not those of a checkpoint",
                      v->wrong);
}

/* Why a log without a fault is not sound, or NULL. */
static const char *incomplete(const struct verify *v)
{
    const struct verify_wish *w = v->wish;
    int64_t tail_s = (w->now_ms - v->tail_t) / 1000;

    if (v->cannot != NULL)
        return v->cannot;
    if (v->signed_size == NONE)
        return "not signed: no signature says that these are the records "
               "written";
    if (!v->keyed)
        return "not checked: no key was given, so that the signature may be "
               "anybody's";
    if (!v->witnessed)
        return "not witnessed: cosignatures that the policy demands are "
               "missing";
    if (v->position > v->covered && tail_s > VERIFY_TAIL_S)
        return "not signed to its end: records behind the signature are older "
               "than two minutes";
    if (w->max_age_s > 0 && (w->now_ms - v->covered_t) / 1000 > w->max_age_s)
        return "stale: the newest signed record is older than was asked for";
    return NULL;
}

static void say(struct verify_report *r, const char *form, ...)
{
    size_t n = strlen(r->text);
    va_list args;

    va_start(args, form);
    (void)vsnprintf(r->text + n, sizeof(r->text) - n, form, args);
    va_end(args);
}

static void conclude(struct verify *v)
{
    struct verify_report *r = v->report;
    const struct list *l = &v->lists[SEGMENT];
    const char *why = incomplete(v);
    uint8_t root[HASH];

    r->covered = v->covered;
    r->size = v->position;
    r->bad_index = v->bad;
    v_tree_root(&v->lines, root);
    if (!v->unhashed)
        v_base64_put(root, r->root);
    if (v->bad != NONE) {
        r->verdict = VERIFY_TAMPERED;
        for (const struct fact *f = l->at; f < l->at + l->count; f++)
            if (f->index <= v->bad)
                (void)snprintf(r->bad_file, sizeof(r->bad_file),
                               "seg/%012" PRIu64 ".jsonl", f->index);
        say(r, "tampered: record %" PRIu64 " %s%s%s", v->bad, v->what,
            r->bad_file[0] != '\0' ? "; look in " : "", r->bad_file);
        return;
    }
    r->verdict = why == NULL ? VERIFY_SOUND : VERIFY_INCOMPLETE;
    say(r,
        "%s%s: %" PRIu64 " records and %" PRIu64 " rows add up to %" PRIu64
        " decisions",
        why == NULL ? "sound: signed by " : "incomplete: ",
        why == NULL ? v->origin : why, r->records, r->rows, r->decisions);
    if (v->lists[ROWS].count > 0 || v->mode != MODE_ALL)
        say(r, "; this log does not keep every row");
    if (r->missing > 0)
        say(r, "; %" PRIu64 " older records were deleted by order", r->missing);
    if (v->wish->since[0] != NULL)
        say(r, "; it begins with the records of the older checkpoint");
    if (v->signed_size != NONE && v->position > v->covered)
        say(r,
            "; the newest %" PRIu64 " are not %s yet, the last is %" PRId64
            " s old",
            v->position - v->covered,
            v->wish->policy != NULL ? "witnessed" : "signed",
            (v->wish->now_ms - v->last_t) / 1000);
}

/* One reading; true: it needs no second one. */
static bool read_once(struct verify *v)
{
    struct text before = v_load(v, "checkpoint"), now;

    if (take_checkpoints(v)) {
        v_scan(v);
        settle(v);
        conclude(v);
    } else {
        v->report->verdict = VERIFY_USAGE;
        say(v->report, "the key, the policy or the older checkpoint cannot be "
                       "read as one");
    }
    now = v_load(v, "checkpoint");
    bool still = now.len == before.len &&
                 (now.len == 0 || memcmp(now.at, before.at, now.len) == 0);
    v_unload(now);
    v_unload(before);
    return v->report->verdict != VERIFY_TAMPERED || still;
}

/* A running gateway may delete by order what is about to be read: a fault
 * counts when it is found again, or the checkpoint is still the same. */
void audit_verify(const struct verify_wish *wish, struct verify_report *out)
{
    bool done = false;

    for (unsigned turn = 0; turn < 3 && !done; turn++) {
        struct verify *v = calloc(1, sizeof(*v));
        *out = (struct verify_report){.verdict = VERIFY_INCOMPLETE,
                                      .bad_index = NONE};
        if (v == NULL) {
            say(out, "incomplete: there is not enough memory");
            return;
        }
        v->wish = wish;
        v->report = out;
        v->bad = v->differs = v->wrong = v->next_anchor = NONE;
        v->last_t = INT64_MIN;
        done = read_once(v);
        for (unsigned k = 0; k < KINDS; k++)
            free(v->lists[k].at);
        free(v);
    }
}
