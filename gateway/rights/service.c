#include "lethe/gateway/rights/service.h"

#include "lethe/gateway/rights/optout_receipt.h"
#include "lethe/policy/base/log.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RETRY_MS     500 /* between tries while a disk does not take opt-outs */
#define SIGN_WAIT_MS 5000 /* for the signature over what lifts */

struct rights {
    struct rights_parts parts;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct rights_job *first, **last;
    unsigned queued;
    bool stopping;
    bool unsaved;    /* the thread's own: opt-outs wait for the disk */
    bool overflowed; /* and more than the list can keep: told once */
};

struct rights_job *rights_job_new(void)
{
    return calloc(1, sizeof(struct rights_job));
}

void rights_job_free(struct rights_job *job)
{
    if (job == NULL)
        return;
    wipe(job, sizeof(*job));
    free(job);
}

/* With `out_index`, once it is on disk. */
static enum status record(struct rights *r, const struct rights_job *job,
                          enum audit_record_act act,
                          const uint8_t commitment[32], uint64_t sent,
                          uint64_t *out_index)
{
    char sub[OPTOUT_COMMITMENT_TEXT], d[160];

    optout_commitment_text(commitment, sub);
    int n = snprintf(d, sizeof(d), "{\"sub\":\"%s\",\"sent\":%llu}", sub,
                     (unsigned long long)sent);
    assert(n > 0 && (size_t)n < sizeof(d));
    const struct audit_entry e = {
        .act = act,
        .who = job->who,
        .why = act == RECORD_OPTOUT_SET ? "art:21" : "art:7.3",
        .out = AUDIT_OK,
        .d = {d, (size_t)n},
    };
    return audit_append(r->parts.audit, &e, out_index != NULL, out_index);
}

static struct slice id_of(const struct rights_job *job, unsigned i)
{
    return (struct slice){job->ids[i], job->id_lens[i]};
}

static void note_newest(struct rights *r)
{
    uint8_t hash[32];
    uint64_t number = optout_newest(r->parts.optouts, hash);

    if (r->parts.note != NULL)
        r->parts.note(r->parts.ctx, number, hash);
}

/* One write for all identifiers of the request. */
static enum status set_all(struct rights *r, const struct rights_job *job,
                           struct optout_result results[RIGHTS_IDS_MAX])
{
    struct optout_request requests[RIGHTS_IDS_MAX];

    for (unsigned i = 0; i < job->id_count; i++)
        requests[i] =
            (struct optout_request){slice_of(job->site), id_of(job, i)};
    return optout_set_many(r->parts.optouts, requests, job->id_count,
                           r->parts.clock->wall_ms(r->parts.clock->ctx),
                           results);
}

/* Deliveries of the sites whose opt-outs wait stop; of all sites if nobody
 * knows whose they are. */
static void hold_sites(struct rights *r)
{
    char ids[SWEEP_SITES_MAX][65];
    uint64_t sites[SWEEP_SITES_MAX];
    unsigned count = 0;
    bool known =
        optout_waiting_sites(r->parts.optouts, ids, SWEEP_SITES_MAX, &count);

    for (unsigned i = 0; i < count; i++)
        sites[i] = site_number(slice_of(ids[i]));
    sweep_hold_sites(r->parts.sweep, sites,
                     known ? count : SWEEP_SITES_MAX + 1);
    if (!known && !r->overflowed)
        log_error(LOG_OPTOUT, "more opt-outs wait for the disk than can be "
                              "kept: nothing is delivered until they are asked "
                              "for again, or a restart forgets them");
    r->overflowed = !known;
}

static void say_unsaved(struct rights *r)
{
    bool unsaved = optout_waiting(r->parts.optouts) > 0;

    if (unsaved && !r->unsaved)
        log_error(LOG_OPTOUT, "opt-outs are in force, but not on disk: "
                              "deliveries of their sites stop until they are");
    if (!unsaved && r->unsaved)
        log_info(LOG_OPTOUT, "all opt-outs are on disk");
    if (unsaved || r->unsaved)
        hold_sites(r);
    r->unsaved = unsaved;
}

/* In force, on disk, out of the queues; then recorded. */
static void opt_out(struct rights *r, struct rights_job *job)
{
    struct optout_result results[RIGHTS_IDS_MAX];
    uint64_t sent = 0;

    memset(results, 0, sizeof(results));
    job->status = set_all(r, job, results);
    for (unsigned i = 0; i < job->id_count; i++) {
        memcpy(job->receipts[i], results[i].receipt, sizeof(job->receipts[i]));
        if (results[i].number > 0 &&
            sweep_add(r->parts.sweep, r->parts.keys, results[i].number,
                      results[i].tag) != ST_OK)
            job->status = ST_NOMEM;
    }
    job->receipt_count = job->id_count;
    say_unsaved(r);
    if (forward_sweep(r->parts.forward, RIGHTS_SWEEP_MS, &sent) != ST_OK)
        log_warn(LOG_OPTOUT, "a transfer was closed for an opt-out");
    note_newest(r);
    /* Also where the list took no further entry of it: the public checkpoint
     * says how many records there are (law 10). */
    for (unsigned i = 0; i < job->id_count; i++)
        if ((results[i].number > 0 || results[i].receipt[0] != '\0') &&
            record(r, job, RECORD_OPTOUT_SET, results[i].commitment, sent,
                   NULL) != ST_OK)
            log_error(LOG_AUDIT, "an opt-out could not be recorded");
    wipe(results, sizeof(results));
}

/* The disk may be well again: what is in force only is written, and then
 * deliveries go on, without anybody asking. */
static void save_waiting(struct rights *r)
{
    if (!r->unsaved)
        return;
    if (optout_flush(r->parts.optouts) == ST_OK)
        note_newest(r);
    say_unsaved(r);
}

/* Loosening waits for its record and for the signature over it, so the record
 * comes first, and only where an entry stands: unknown receipts leave no trace.
 * Opt-outs stand behind it, so it does not wait long. */
static enum status lift_one(struct rights *r, struct rights_job *job,
                            struct slice receipt)
{
    uint8_t commitment[32];
    bool known = false, standing = false, lifted = false, free_now = false;

    if (optout_receipt_state(r->parts.optouts, receipt, &known, &standing,
                             commitment) != ST_OK ||
        !standing)
        return ST_OK;
    uint64_t index;
    enum status st = record(r, job, RECORD_OPTOUT_CLEAR, commitment, 0, &index);
    if (st == ST_OK)
        st = audit_wait_signed(r->parts.audit, index, SIGN_WAIT_MS);
    if (st == ST_OK)
        st = optout_lift(r->parts.optouts, receipt,
                         r->parts.clock->wall_ms(r->parts.clock->ctx), &lifted,
                         &free_now);
    job->lifted += lifted;
    return st;
}

static void opt_in(struct rights *r, struct rights_job *job)
{
    for (unsigned i = 0; job->status == ST_OK && i < job->receipt_count; i++)
        job->status = lift_one(r, job, slice_of(job->receipts[i]));
    note_newest(r);
}

/* A record for each entry that will fall. */
static enum status record_all(struct rights *r, const struct rights_job *job,
                              struct slice id)
{
    uint8_t commitments[OPTOUT_STANDING_MAX][32];
    unsigned count = 0;
    enum status st = optout_standing(r->parts.optouts, slice_of(job->site), id,
                                     commitments, &count);

    uint64_t index = 0;
    for (unsigned i = 0; st == ST_OK && i < count; i++)
        st = record(r, job, RECORD_OPTOUT_CLEAR, commitments[i], 0, &index);
    if (st == ST_OK && count > 0)
        st = audit_wait_signed(r->parts.audit, index, SIGN_WAIT_MS);
    return st;
}

static void opt_in_all(struct rights *r, struct rights_job *job)
{
    for (unsigned i = 0; job->status == ST_OK && i < job->id_count; i++) {
        unsigned lifted = 0;
        job->status = record_all(r, job, id_of(job, i));
        if (job->status != ST_OK)
            break;
        job->status = optout_lift_all(
            r->parts.optouts, slice_of(job->site), id_of(job, i),
            r->parts.clock->wall_ms(r->parts.clock->ctx), &lifted);
        job->lifted += lifted;
    }
    note_newest(r);
}

static void run(struct rights *r, struct rights_job *job)
{
    job->status = ST_OK;
    switch (job->verb) {
    case RIGHTS_OPTOUT:
        opt_out(r, job);
        break;
    case RIGHTS_OPTIN:
        opt_in(r, job);
        break;
    case RIGHTS_OPTIN_ALL:
        opt_in_all(r, job);
        break;
    default:
        assert(false);
    }
    job->done(job);
}

/* False: nothing came within the time that a failing disk is given. */
static bool wait_for_job(struct rights *r)
{
    struct timespec end;
    int rc = 0;

    if (r->first == NULL && !r->stopping && !r->unsaved) {
        pthread_cond_wait(&r->wake, &r->lock);
        return true;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += RETRY_MS * 1000000L;
    end.tv_sec += end.tv_nsec / 1000000000L;
    end.tv_nsec %= 1000000000L;
    while (r->first == NULL && !r->stopping && rc == 0)
        rc = pthread_cond_timedwait(&r->wake, &r->lock, &end);
    return rc == 0;
}

/* The next job, or NULL when all is done and the service ends. */
static struct rights_job *next_job(struct rights *r)
{
    pthread_mutex_lock(&r->lock);
    while (r->first == NULL && !r->stopping) {
        if (wait_for_job(r))
            continue;
        pthread_mutex_unlock(&r->lock);
        save_waiting(r);
        pthread_mutex_lock(&r->lock);
    }
    struct rights_job *job = r->first;
    if (job != NULL) {
        r->first = job->next;
        if (r->first == NULL)
            r->last = &r->first;
        r->queued--;
    }
    pthread_mutex_unlock(&r->lock);
    return job;
}

static void *work(void *arg)
{
    struct rights *r = arg;
    struct rights_job *job;

    while ((job = next_job(r)) != NULL)
        run(r, job);
    return NULL;
}

enum status rights_start(const struct rights_parts *parts, struct rights **out)
{
    struct rights *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return ST_NOMEM;
    r->parts = *parts;
    r->last = &r->first;
    pthread_condattr_t attr;
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&r->thread, NULL, work, r) != 0) {
        free(r);
        return ST_IO;
    }
    *out = r;
    return ST_OK;
}

enum status rights_submit(struct rights *r, struct rights_job *job)
{
    enum status st = ST_OK;

    pthread_mutex_lock(&r->lock);
    if (r->stopping)
        st = ST_CLOSED;
    else if (r->queued >= RIGHTS_QUEUE_MAX)
        st = ST_FULL;
    else {
        job->next = NULL;
        *r->last = job;
        r->last = &job->next;
        r->queued++;
        pthread_cond_signal(&r->wake);
    }
    pthread_mutex_unlock(&r->lock);
    return st;
}

void rights_stop(struct rights *r)
{
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
}

void rights_free(struct rights *r)
{
    if (r == NULL)
        return;
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->wake);
    free(r);
}
