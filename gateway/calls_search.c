/* calls_search.c - reading the audit log with a running gateway: that somebody
 * reads is recorded here, and only here are the keys to find a person by. */
#include "lethe/gateway/calls.h"

#include "lethe/gateway/audit/search.h"
#include "lethe/policy/base/arena.h"
#include "lethe/policy/dialect.h"
#include "lethe/policy/pseudonym.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ARENA_BYTES  (1u << 16)
#define ID_BYTES_MAX 1024u

static bool lists(const struct json_value *list, const char *name)
{
    for (const struct json_value *v = json_child(list); v != NULL;
         v = json_sibling(v))
        if (json_kind_of(v) == JSON_KIND_STRING &&
            slice_eq(json_string(v), slice_of(name)))
            return true;
    return false;
}

static bool is_true(const struct control_call *call, const char *name)
{
    const struct json_value *v = json_get(call->args, name);

    return v != NULL && json_bool(v);
}

/* Somebody is about to search the files: what was done before the question is
 * in them. */
void call_audit_settle(struct gateway *g, const struct control_call *call,
                       struct control_answer *out)
{
    enum status st = audit_settle(g->audit);

    (void)call;
    if (st != ST_OK)
        call_fail(out, 1, status_name(st), "the audit log cannot be written");
    else
        buf_put(&out->data, SLICE("{}"));
}

/* Somebody is about to see what they found (`audit search`): only after this
 * record is on disk. What was asked by, never for which value: a receipt or a
 * time is somebody's. */
void call_audit_read(struct gateway *g, const struct control_call *call,
                     struct control_answer *out)
{
    static const char *const classes[] = {
        "time",    "act", "rule",    "reason", "site",  "destination",
        "receipt", "who", "outcome", "record", "person"};
    const struct json_value *by = json_get(call->args, "by");
    const struct json_value *count = json_get(call->args, "count");
    double found = count == NULL ? 0 : json_number(count);
    char list[160] = "", counted[40] = "";
    size_t len = 0;

    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
        if (by != NULL && lists(by, classes[i]))
            len += (size_t)snprintf(list + len, sizeof(list) - len, "%s\"%s\"",
                                    len > 0 ? "," : "", classes[i]);
    if (!(found >= 0 && found <= 1e15)) {
        call_fail(out, 3, "usage", "count is a number");
        return;
    }
    if (count != NULL) /* a proof is of what was asked for, and nothing else */
        (void)snprintf(counted, sizeof(counted), ",\"count\":%" PRIu64,
                       (uint64_t)found);
    enum status st = gateway_record(
        g, RECORD_AUDIT_READ, call->who,
        is_true(call, "export") ? "ticket:export" : "ticket:search", true, NULL,
        "{\"of\":\"%s\",\"by\":[%s]%s}",
        is_true(call, "rows") ? "rows" : "records", list, counted);
    if (st != ST_OK)
        call_fail(out, 1, status_name(st), "the reading cannot be recorded");
    else
        buf_put(&out->data, SLICE("{}"));
}

/* ---- a person's marks ------------------------------------------------------
 */

/* How one identifier is called under each day key that lives. */
static enum status put_marks(struct gateway *g, const struct world_site *s,
                             const struct json_value *id, bool *inout_first,
                             struct buf *out)
{
    struct arena *a = arena_new(ARENA_BYTES);
    char tag[EPOCH_DAY_TAG_MAX];
    struct slice canonical;
    uint8_t key[16] = {0};
    enum status st = a == NULL ? ST_NOMEM : ST_OK;

    if (st == ST_OK)
        st = dialect_canonical(json_string(id), a, &canonical);
    (void)pthread_mutex_lock(&g->epochs_lock);
    for (unsigned k = 0; st == ST_OK && k < AUDIT_DAY_KEYS_MAX &&
                         epochs_day_key_at(g->epochs, k, key, tag);
         k++) {
        buf_printf(out, "%s{\"tag\":\"%s\",\"sub\":\"%016" PRIx64 "\"}",
                   *inout_first ? "" : ",", tag,
                   subject_mark_make(key, slice_of(s->conf->id), canonical));
        *inout_first = false;
    }
    (void)pthread_mutex_unlock(&g->epochs_lock);
    wipe(key, sizeof(key));
    arena_free(a);
    return st;
}

static unsigned count_ids(const struct json_value *ids)
{
    unsigned count = 0;

    for (const struct json_value *v = ids == NULL ? NULL : json_child(ids);
         v != NULL; v = json_sibling(v)) {
        if (json_kind_of(v) != JSON_KIND_STRING || json_string(v).len == 0 ||
            json_string(v).len > ID_BYTES_MAX)
            return 0;
        count++;
    }
    return count;
}

/* Whoever has these can find a person's rows: written down before they are
 * told, and told to officers only. Nothing is kept of the identifier. */
void call_audit_person(struct gateway *g, const struct control_call *call,
                       struct control_answer *out)
{
    const struct world_site *s = call_site(g, call, out);
    const struct json_value *ids = json_get(call->args, "ids");
    unsigned count = count_ids(ids);
    bool first = true;

    if (s == NULL)
        return;
    if (count == 0 || count > AUDIT_PERSON_IDS) {
        call_fail(out, 3, "usage",
                  "identifiers: 1 to 8, text, up to 1024 bytes each");
        return;
    }
    enum status st = gateway_record(g, RECORD_SUBJECT_READ, call->who, "art:15",
                                    true, NULL, "{\"ids\":%u}", count);
    buf_put(&out->data, SLICE("{\"marks\":["));
    for (const struct json_value *v = json_child(ids); st == ST_OK && v != NULL;
         v = json_sibling(v))
        st = put_marks(g, s, v, &first, &out->data);
    buf_put(&out->data, SLICE("]}"));
    if (st != ST_OK)
        call_fail(out, 1, status_name(st), "the question cannot be recorded");
    else if (first)
        buf_put(&out->text, SLICE("cannot identify: no day key lives\n"));
}
