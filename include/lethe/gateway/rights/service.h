/* service.h - the thread that makes opt-outs last (law 4). Workers and the
 * supervisor hand it a job; it writes the list, tells the sweep sets, has the
 * running transfers cut, records it, and only then calls back. Tightening
 * never waits for the audit; loosening (optin) does. */
#ifndef LETHE_GATEWAY_RIGHTS_SERVICE_H
#define LETHE_GATEWAY_RIGHTS_SERVICE_H

#include "lethe/gateway/audit/log.h"
#include "lethe/gateway/forward.h"
#include "lethe/gateway/rights/optout.h"
#include "lethe/gateway/rights/sweep.h"
#include "lethe/policy/base/clock.h"
#include "lethe/policy/base/status.h"

#define RIGHTS_IDS_MAX      8u /* identifiers in one request */
#define RIGHTS_ID_BYTES_MAX 1024u
#define RIGHTS_QUEUE_MAX    10000u /* jobs that wait; more: 503 */
#define RIGHTS_SWEEP_MS     100    /* storage.md 4: "the 200 waits" */

struct rights;

enum rights_verb {
    RIGHTS_OPTOUT,    /* set one entry an identifier */
    RIGHTS_OPTIN,     /* lift each receipt's entry */
    RIGHTS_OPTIN_ALL, /* lift every entry of the identifiers */
};

struct rights_job {
    struct rights_job *next;
    enum rights_verb verb;
    char site[65];   /* the site's id */
    const char *who; /* "api:public", "adm:local", ...: static or in `text` */
    char who_text[32];
    char ids[RIGHTS_IDS_MAX][RIGHTS_ID_BYTES_MAX]; /* canonical; wiped */
    size_t id_lens[RIGHTS_IDS_MAX];
    unsigned id_count;
    /* RIGHTS_OPTIN: what to lift; RIGHTS_OPTOUT: one an identifier, filled */
    char receipts[RIGHTS_IDS_MAX][OPTOUT_RECEIPT_MAX];
    unsigned receipt_count;
    /* filled before `done` */
    enum status status; /* ST_OK: on disk; ST_FULL, ST_IO: in force only */
    unsigned lifted;
    /* called once on the service's thread; it owns the job afterwards */
    void (*done)(struct rights_job *job);
    void *ctx;
};

/* A zeroed job, or NULL; free with rights_job_free (wipes). */
struct rights_job *rights_job_new(void);
void rights_job_free(struct rights_job *job);

struct rights_parts {
    struct optouts *optouts;
    struct sweep *sweep;
    struct spool_keys *keys;
    struct forward *forward;
    struct audit_log *audit;
    const struct clock *clock;
    /* Newest number for the epoch file; called on the service's thread. */
    void (*note)(void *ctx, uint64_t number, const uint8_t hash[32]);
    void *ctx;
};
enum status rights_start(const struct rights_parts *parts,
                         struct rights **out) MUST_CHECK;

/* Hand a job over. Errors: ST_FULL (queue), ST_CLOSED: the caller keeps it. */
enum status rights_submit(struct rights *r, struct rights_job *job) MUST_CHECK;

/* Finish what is queued and end the thread; later submits get ST_CLOSED. */
void rights_stop(struct rights *r);
void rights_free(struct rights *r); /* after rights_stop; NULL is allowed */

#endif
