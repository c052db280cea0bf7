/* calls_subject.c - `lethe subject find`, `export` and `erase`: what the stores
 * hold of one person, by identifiers that the person presents (GDPR Art. 15,
 * 17, 20; R43, R46, R47). Nothing new is learnt of anybody: the pseudonyms of
 * the epochs in force are made, looked for and wiped. Where pseudonyms are
 * shared on purpose, or the epoch is over, the answer is that of Article 11. */
#include "lethe/gateway/calls.h"
#include "lethe/policy/base/arena.h"
#include "lethe/policy/dialect.h"
#include "lethe/policy/pseudonym.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SINGLE_OUT_BITS    64u /* R46: fewer never single anybody out */
#define FORMS              2u  /* as presented, and canonical */
#define NAMES_MAX          (RIGHTS_IDS_MAX * FORMS * ID_COUNT * POLICY_PURPOSES_MAX)
#define SUBJECT_EXPORT_MAX (4u << 20) /* bytes of one answer */
#define ARENA_BYTES        (4u << 20)

enum verb { VERB_FIND, VERB_EXPORT, VERB_ERASE };

struct asking {
    struct gateway *g;
    const struct control_call *call;
    const struct world_site *site;
    struct control_answer *out;
    struct arena *arena;
    enum verb verb;
    struct slice ids[RIGHTS_IDS_MAX * FORMS];
    unsigned id_count, presented;
    const char *destination; /* name of the one that is being asked */
    bool incomplete, failed, first_line, first_part;
    uint64_t rows;
};

/* ---- whose -------------------------------------------------------------- */

static enum status read_ids(struct asking *a)
{
    const struct json_value *ids = json_get(a->call->args, "ids");

    for (const struct json_value *v = ids != NULL ? json_child(ids) : NULL;
         v != NULL; v = json_sibling(v)) {
        struct slice exact = json_string(v), canonical;
        if (json_kind_of(v) != JSON_KIND_STRING || exact.len == 0)
            return ST_TYPE;
        if (a->presented == RIGHTS_IDS_MAX || exact.len > RIGHTS_ID_BYTES_MAX)
            return ST_LIMIT;
        enum status st = dialect_canonical(exact, a->arena, &canonical);
        if (st != ST_OK)
            return st;
        a->presented++;
        a->ids[a->id_count++] = exact;
        if (!slice_eq(exact, canonical))
            a->ids[a->id_count++] = canonical;
    }
    return a->presented == 0 ? ST_TYPE : ST_OK;
}

static enum status add_name(struct asking *a, const struct world_destination *d,
                            struct slice purpose, enum id_kind kind,
                            struct slice id, struct slice *out)
{
    const struct destination_plan *plan =
        &a->site->policy->destinations[d->plan];
    const struct pseudonym_scope scope = {a->site->id, plan->name, purpose};
    char *text = arena_alloc(a->arena, PSEUDONYM_TEXT_MAX);

    if (text == NULL)
        return ST_NOMEM;
    out->at = text;
    out->len = pseudonym_make(d->epoch_key, &scope, kind, id, plan->bits,
                              SHAPE_BASE32, text);
    return ST_OK;
}

/* Does some field of an event leave for the destination as a pseudonym? */
static bool names_in_fields(const struct policy *p, unsigned plan)
{
    for (unsigned e = 0; e < p->event_count; e++)
        for (unsigned f = 0; f < p->events[e].field_count; f++)
            if (p->events[e].to[plan].purposes != 0 &&
                p->events[e].to[plan].fields[f].kind == RULE_PSEUDONYM)
                return true;
    return false;
}

/* Every pseudonym that this person can have there now: a pseudonym belongs to a
 * kind and a purpose, and neither is known. */
static enum status make_names(struct asking *a,
                              const struct world_destination *d,
                              struct subject_names *out)
{
    const struct policy *p = a->site->policy;
    const struct destination_plan *plan = &p->destinations[d->plan];
    struct slice *names = arena_alloc(a->arena, NAMES_MAX * sizeof(*names));
    unsigned count = 0;
    enum status st = names == NULL ? ST_NOMEM : ST_OK;

    for (unsigned i = 0; i < a->id_count; i++)
        for (unsigned k = 0; k < ID_COUNT; k++)
            for (unsigned u = 0; u < plan->purpose_count && st == ST_OK; u++)
                st = add_name(a, d, p->purposes[plan->purpose_order[u]].name,
                              (enum id_kind)k, a->ids[i], &names[count++]);
    if (st != ST_OK)
        return st;
    qsort(names, count, sizeof(names[0]), subject_name_order);
    *out = (struct subject_names){.names = names,
                                  .count = count,
                                  .in_fields = names_in_fields(p, d->plan),
                                  .since_ms = d->epoch_starts_ms};
    return ST_OK;
}

/* ---- answers ------------------------------------------------------------ */

/* One destination's part: a line for people, an object for --json. `state` is
 * one of the words of docs/officer.md. */
static void put_part(struct asking *a, const char *state, uint64_t rows,
                     const char *words)
{
    struct control_answer *out = a->out;

    if (a->verb != VERB_EXPORT)
        buf_printf(&out->text, "%s: %s", a->destination, words);
    if (a->verb != VERB_EXPORT && strcmp(state, "done") == 0)
        buf_printf(&out->text, ": %llu", (unsigned long long)rows);
    if (a->verb != VERB_EXPORT)
        buf_put_char(&out->text, '\n');
    buf_printf(&out->data,
               "%s{\"destination\":\"%s\",\"state\":\"%s\",\"events\":%llu}",
               a->first_part ? "" : ",", a->destination, state,
               (unsigned long long)rows);
    a->first_part = false;
    a->rows += rows;
}

/* One event of an export, as JSON Lines for people and programs alike. On the
 * destination's thread, while the supervisor waits. */
static enum status put_line(void *ctx, struct slice line)
{
    struct asking *a = ctx;
    struct buf *text = &a->out->text;

    if (text->len + line.len > SUBJECT_EXPORT_MAX) {
        a->incomplete = true;
        return ST_LIMIT;
    }
    buf_printf(text, "{\"destination\":\"%s\",\"event\":", a->destination);
    buf_put(text, line);
    buf_put(text, SLICE("}\n"));
    return text->failed ? ST_NOMEM : ST_OK;
}

static void record_erased(struct asking *a, uint64_t rows)
{
    if (rows > 0 && gateway_record(a->g, RECORD_ERASE_CONFIRMED, a->call->who,
                                   "art:17", false, NULL,
                                   "{\"site\":\"%s\",\"destination\":\"%s\","
                                   "\"rows\":%llu}",
                                   a->site->conf->name, a->destination,
                                   (unsigned long long)rows) != ST_OK)
        a->failed = true;
}

static void ask_store(struct asking *a, const struct world_destination *d)
{
    static const char *const words[] = {
        [VERB_FIND] = "events found since the pseudonyms last changed",
        [VERB_EXPORT] = "",
        [VERB_ERASE] = "events erased",
    };
    struct subject_wish wish = {.erase = a->verb == VERB_ERASE,
                                .each =
                                    a->verb == VERB_EXPORT ? put_line : NULL,
                                .ctx = a};
    struct subject_result result = {0};
    enum status st = make_names(a, d, &wish.names);

    if (st == ST_OK)
        st = forward_subject(a->g->forward, d->key, &wish, &result);
    if (wish.erase)
        record_erased(a, result.rows);
    if (st == ST_LIMIT && a->verb == VERB_EXPORT) {
        put_part(a, "too-many", result.rows, "");
        return;
    }
    a->failed = a->failed || st != ST_OK;
    a->incomplete = a->incomplete || result.pending;
    put_part(a,
             st != ST_OK      ? "failed"
             : result.pending ? "pending"
                              : "done",
             result.rows,
             st != ST_OK ? "could not be asked: try again"
             : result.pending
                 ? "erased, but a reader still holds the database's log"
                 : words[a->verb]);
}

/* One destination of the site. */
static void ask_one(struct asking *a, const struct world_destination *d)
{
    const struct destination_plan *plan =
        &a->site->policy->destinations[d->plan];

    a->destination = d->conf->name;
    if (destination_is_network(d->conf->type)) {
        a->incomplete = true;
        put_part(a, "not-asked", 0,
                 "a recipient of its own: what it was sent it holds itself");
    } else if (plan->bits < SINGLE_OUT_BITS) {
        a->incomplete = true;
        put_part(a, "cannot-identify", 0,
                 "cannot identify (Article 11): several people share each "
                 "pseudonym on purpose");
    } else {
        ask_store(a, d);
    }
}

static void ask_all(struct asking *a)
{
    a->first_part = true;
    buf_put(&a->out->data, SLICE("\"destinations\":["));
    for (unsigned d = 0; d < POLICY_DESTINATIONS_MAX; d++)
        if (a->site->to[d] != NULL)
            ask_one(a, a->site->to[d]);
    buf_printf(&a->out->data, "],\"events\":%llu}",
               (unsigned long long)a->rows);
    a->out->exit = a->failed ? 1 : a->incomplete ? 2 : 0;
    if (!a->failed) /* an answer that is not whole is one all the same (R43) */
        a->out->status = 200;
}

/* ---- the calls ---------------------------------------------------------- */

static bool start(struct asking *a, struct gateway *g,
                  const struct control_call *call, struct control_answer *out,
                  enum verb verb)
{
    *a = (struct asking){.g = g, .call = call, .out = out, .verb = verb};
    a->site = call_site(g, call, out);
    if (a->site == NULL)
        return false;
    a->arena = arena_new(ARENA_BYTES);
    enum status st = a->arena == NULL ? ST_NOMEM : read_ids(a);
    if (st != ST_OK)
        call_fail(out, 3, status_name(st),
                  "the identifiers of one person: 1 to 8, text, up to 1024 "
                  "bytes each");
    return st == ST_OK;
}

/* Who asks about people is written down before anything is told. */
static bool record_reading(struct asking *a)
{
    enum status st = gateway_record(a->g, RECORD_SUBJECT_READ, a->call->who,
                                    a->verb == VERB_FIND ? "art:15" : "art:20",
                                    true, NULL, "{\"site\":\"%s\",\"ids\":%u}",
                                    a->site->conf->name, a->presented);

    if (st != ST_OK)
        call_fail(a->out, 1, status_name(st),
                  "the audit log cannot be written: nothing is told");
    return st == ST_OK;
}

static void read_subject(struct gateway *g, const struct control_call *call,
                         struct control_answer *out, enum verb verb)
{
    struct asking a;

    if (start(&a, g, call, out, verb) && record_reading(&a)) {
        buf_put_char(&out->data, '{');
        ask_all(&a);
    }
    arena_free(a.arena); /* wipes */
}

void call_subject_find(struct gateway *g, const struct control_call *call,
                       struct control_answer *out)
{
    read_subject(g, call, out, VERB_FIND);
}

void call_subject_export(struct gateway *g, const struct control_call *call,
                         struct control_answer *out)
{
    read_subject(g, call, out, VERB_EXPORT);
}

/* Out first, so that nothing of theirs is written behind what is erased; what
 * waits is swept by the same step. */
void call_subject_erase(struct gateway *g, const struct control_call *call,
                        struct control_answer *out)
{
    struct asking a;

    buf_put_char(&out->data, '{');
    if (start(&a, g, call, out, VERB_ERASE) && call_opt_out(g, call, out)) {
        a.failed = gateway_record(g, RECORD_ERASE_ASKED, call->who, "art:17",
                                  false, NULL, "{\"site\":\"%s\",\"ids\":%u}",
                                  a.site->conf->name, a.presented) != ST_OK;
        buf_put_char(&out->data, ',');
        ask_all(&a);
    }
    arena_free(a.arena);
}
