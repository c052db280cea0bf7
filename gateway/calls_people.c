/* calls_people.c - `lethe subject ...` on a running gateway. Identifiers come
 * in the arguments, are turned into tags at once and wiped by those who hold
 * them. */
#include "lethe/gateway/build.h"
#include "lethe/gateway/calls.h"

#include "lethe/policy/dialect.h"
#include "lethe/policy/pseudonym.h"

#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#define ARENA_BYTES (1u << 20)

static void on_done(struct rights_job *job)
{
    sem_post(job->ctx);
}

/* Run one job and wait for it. False (call failed) if it was not taken. */
static bool run_job(struct gateway *g, struct rights_job *job,
                    struct control_answer *out)
{
    sem_t done;

    (void)sem_init(&done, 0, 0);
    job->done = on_done;
    /* It is over before this function is: either not taken or waited for. */
    /* cppcheck-suppress autoVariables */
    job->ctx = &done;
    bool taken = rights_submit(g->rights, job) == ST_OK;
    while (taken && sem_wait(&done) != 0)
        continue;
    (void)sem_destroy(&done);
    if (!taken)
        call_fail(out, 1, "busy", "too many opt-outs are waiting");
    return taken;
}

static enum status add_id(struct rights_job *job, struct arena *a,
                          const struct json_value *id)
{
    struct slice canonical;

    if (json_kind_of(id) != JSON_KIND_STRING || json_string(id).len == 0)
        return ST_TYPE;
    if (job->id_count == RIGHTS_IDS_MAX ||
        json_string(id).len > RIGHTS_ID_BYTES_MAX)
        return ST_LIMIT;
    enum status st = dialect_canonical(json_string(id), a, &canonical);
    if (st != ST_OK)
        return st;
    memcpy(job->ids[job->id_count], canonical.at, canonical.len);
    job->id_lens[job->id_count++] = canonical.len;
    return ST_OK;
}

/* A job with the identifiers of args.ids, or NULL after failing the call. */
static struct rights_job *job_for(struct gateway *g,
                                  const struct control_call *call,
                                  struct control_answer *out)
{
    const struct world_site *s = call_site(g, call, out);
    const struct json_value *ids = json_get(call->args, "ids");
    struct rights_job *job = s == NULL ? NULL : rights_job_new();
    struct arena *a = job == NULL ? NULL : arena_new(ARENA_BYTES);
    enum status st = a == NULL ? ST_NOMEM : ST_OK;

    if (s == NULL)
        return NULL;
    if (st == ST_OK)
        for (const struct json_value *id = ids != NULL ? json_child(ids) : NULL;
             id != NULL && st == ST_OK; id = json_sibling(id))
            st = add_id(job, a, id);
    arena_free(a);
    if (st != ST_OK) {
        rights_job_free(job);
        call_fail(out, 3, status_name(st),
                  "identifiers: at most 8, text, up to 1024 bytes each");
        return NULL;
    }
    (void)snprintf(job->site, sizeof(job->site), "%s", s->conf->id);
    (void)snprintf(job->who_text, sizeof(job->who_text), "%s", call->who);
    job->who = job->who_text;
    return job;
}

bool call_opt_out(struct gateway *g, const struct control_call *call,
                  struct control_answer *out)
{
    struct rights_job *job = job_for(g, call, out);
    bool done = false;

    if (job == NULL)
        return false;
    job->verb = RIGHTS_OPTOUT;
    if (job->id_count == 0)
        call_fail(out, 3, "usage", "give at least one identifier");
    else if (run_job(g, job, out)) {
        done = job->status == ST_OK;
        if (done)
            buf_put(&out->data, SLICE("\"receipts\":["));
        else
            call_fail(out, 1, status_name(job->status),
                      "in force, but not on disk yet: try again");
        for (unsigned i = 0; done && i < job->receipt_count; i++) {
            buf_printf(&out->text, "opted out; receipt %s\n", job->receipts[i]);
            buf_printf(&out->data, "%s\"%s\"", i == 0 ? "" : ",",
                       job->receipts[i]);
        }
        if (done)
            buf_put_char(&out->data, ']');
    }
    rights_job_free(job);
    return done;
}

void call_subject_optout(struct gateway *g, const struct control_call *call,
                         struct control_answer *out)
{
    buf_put_char(&out->data, '{');
    if (call_opt_out(g, call, out))
        buf_put_char(&out->data, '}');
}

static enum status put_receipt(struct rights_job *job, const char *receipt)
{
    int n = snprintf(job->receipts[0], sizeof(job->receipts[0]), "%s", receipt);

    job->receipt_count = 1;
    return n > 0 && (size_t)n < sizeof(job->receipts[0]) ? ST_OK : ST_LIMIT;
}

void call_subject_optin(struct gateway *g, const struct control_call *call,
                        struct control_answer *out)
{
    const char *receipt = call_text(call, "receipt");
    struct rights_job *job = job_for(g, call, out);

    if (job == NULL)
        return;
    job->verb = receipt != NULL ? RIGHTS_OPTIN : RIGHTS_OPTIN_ALL;
    if (receipt != NULL ? put_receipt(job, receipt) != ST_OK
                        : job->id_count == 0)
        call_fail(out, 3, "usage", "give a receipt, or identifiers");
    else if (run_job(g, job, out)) {
        if (job->status != ST_OK)
            call_fail(out, 1, status_name(job->status),
                      "the opt-out stands: it could not be lifted");
        else {
            buf_printf(&out->text, "%u opt-outs lifted\n", job->lifted);
            buf_printf(&out->data, "{\"lifted\":%u}", job->lifted);
        }
    }
    rights_job_free(job);
}

static const char *answer_text(enum optout_answer answer)
{
    switch (answer) {
    case OPTOUT_ANSWER_OUT:
        return "opted out";
    case OPTOUT_ANSWER_THEN:
    case OPTOUT_ANSWER_NO:
    default:
        return "not opted out";
    }
}

void call_subject_status(struct gateway *g, const struct control_call *call,
                         struct control_answer *out)
{
    struct rights_job *job = job_for(g, call, out);
    const struct json_value *from = json_get(call->args, "from");
    unsigned first = from != NULL ? (unsigned)json_number(from) : 0;
    uint8_t tag[TAG_BYTES];

    if (job == NULL)
        return;
    (void)gateway_record(g, RECORD_SUBJECT_READ, call->who, "art:15", false,
                         NULL, "{\"ids\":%u}", job->id_count);
    buf_put(&out->data, SLICE("{\"opted_out\":["));
    for (unsigned i = 0; i < job->id_count; i++) {
        struct slice id = {job->ids[i], job->id_lens[i]};
        optout_tag_make(g->optout_key, slice_of(job->site), id, tag);
        enum optout_answer answer = optout_lookup(g->optouts, tag, 0, 0);
        buf_printf(&out->text, "identifier %u: %s\n", first + i + 1,
                   answer_text(answer));
        buf_printf(&out->data, "%s%s", i == 0 ? "" : ",",
                   answer == OPTOUT_ANSWER_OUT ? "true" : "false");
    }
    buf_put(&out->data, SLICE("]}"));
    rights_job_free(job);
}

/* What waits was looked up in the list that is lost, and its numbers mean
 * nothing in this one: nobody can say any more who of them is out, so none of
 * it may leave. */
static enum status purge_all(struct gateway *g, uint64_t *out_count)
{
    uint64_t dead = 0;
    enum status st = forward_purge(g->forward, 0, false, out_count);

    if (st == ST_OK)
        st = forward_purge(g->forward, 0, true, &dead);
    *out_count += dead;
    return st;
}

void call_subject_accept_loss(struct gateway *g,
                              const struct control_call *call,
                              struct control_answer *out)
{
    enum optout_health health = optout_health_of(g->optouts);
    uint64_t reach = optout_newest(g->optouts, NULL), purged = 0;

    if (health == OPTOUT_SOUND) {
        call_fail(out, 1, "sound",
                  "the opt-out list is sound; nothing is lost");
        return;
    }
    enum status st = purge_all(g, &purged);
    uint64_t index = 0;
    if (st == ST_OK)
        st = gateway_record(
            g, RECORD_OPTOUT_LOSS, call->who, "art:21", true, &index,
            "{\"health\":\"%s\",\"reach\":%llu,"
            "\"purged\":%llu}",
            optout_health_name(health), (unsigned long long)reach,
            (unsigned long long)purged);
    if (st == ST_OK)
        st = gateway_wait_signed(g, index, GATEWAY_SIGN_WAIT_MS);
    if (st == ST_OK)
        st = optout_accept_loss(g->optouts);
    if (st == ST_OK)
        st = build_sweep_sets(g, UINT64_MAX); /* nothing waits */
    if (st != ST_OK) {
        call_fail(out, 1, status_name(st),
                  "the loss could not be accepted: everyone is opted out");
        return;
    }
    build_note_optouts(g);
    uint64_t kept = optout_count(g->optouts);
    buf_printf(&out->text,
               "accepted: the list has %llu identifiers; %llu fragments that "
               "waited were purged\n",
               (unsigned long long)kept, (unsigned long long)purged);
    buf_printf(&out->data, "{\"optouts\":%llu,\"purged\":%llu}",
               (unsigned long long)kept, (unsigned long long)purged);
}
