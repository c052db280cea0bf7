/* optout.h - the opt-out list (law 4, storage.md section 4, R42, R60).
 *
 * A chain of numbered changes, kept twice: optout_journal (written and synced
 * first) and optout.db (SQLite). In memory: one hash table, made for ten
 * million tags under 1 GB and a lookup under 200 ns. Lookups from any thread;
 * changes are serialised inside. */
#ifndef LETHE_GATEWAY_RIGHTS_OPTOUT_H
#define LETHE_GATEWAY_RIGHTS_OPTOUT_H

#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/clock.h"
#include "lethe/policy/base/status.h"
#include "lethe/policy/pseudonym.h"

#include <stdbool.h>
#include <stdint.h>

#define OPTOUT_ENTRIES_MAX   8u  /* receipts a tag; later ones lift nothing */
#define OPTOUT_RECEIPT_MAX   96u /* bytes of a receipt's text, NUL included */
#define OPTOUT_RESERVE_BYTES (4u << 20) /* preallocated for a full disk */
/* A lifted tag stays marked so much longer than anything may wait. */
#define OPTOUT_MARK_MS (7 * MS_PER_DAY)

struct optouts;

/* Make the empty journal and the empty store (`init` alone does this).
 * Errors: ST_EXISTS, ST_IO. */
enum status optout_create(const char *journal_path, const char *db_path,
                          const uint8_t key[KEY_BYTES]) MUST_CHECK;

enum optout_health {
    OPTOUT_SOUND,
    OPTOUT_MISSING,  /* journal or store absent */
    OPTOUT_FOREIGN,  /* another key's, or journal and store differ */
    OPTOUT_ROLLBACK, /* older than a number seen elsewhere */
    OPTOUT_DAMAGED
};
const char *optout_health_name(enum optout_health h);

struct optout_state_id { /* random id in the store's header */
    uint8_t bytes[16];
};

/* Open both, replay from whichever holds more, check key and chain. Always
 * gives a handle unless out of memory: an unsound one answers every lookup
 * with OPTED (fail closed) and refuses changes that loosen.
 * `must_reach`: the newest number seen elsewhere (epoch file, audit log) and
 * its hash; 0 = none. Errors: ST_NOMEM. */
enum status optout_open(const char *journal_path, const char *db_path,
                        const uint8_t key[KEY_BYTES], uint64_t must_reach,
                        const uint8_t must_hash[32],
                        struct optouts **out) MUST_CHECK;
void optout_close(struct optouts *o);

enum optout_health optout_health_of(const struct optouts *o);
void optout_id(const struct optouts *o, struct optout_state_id *out);
/* Newest number and running hash (may be NULL): oo and ooh of batch records.
 * Of an unsound list: the `must_reach` it was opened with. Cheap. */
uint64_t optout_newest(const struct optouts *o, uint8_t out_hash[32]);
uint64_t optout_count(const struct optouts *o); /* tags opted out now */

enum optout_answer { OPTOUT_ANSWER_NO, OPTOUT_ANSWER_OUT, OPTOUT_ANSWER_THEN };

/* Is `tag` opted out? THEN: lifted at `marked_since_ms` or later, but
 * `event_ms` (0 = no time given) lies in a time when it was out. An unsound
 * store answers OUT. Any thread. */
enum optout_answer optout_lookup(const struct optouts *o,
                                 const uint8_t tag[TAG_BYTES], int64_t event_ms,
                                 int64_t marked_since_ms);

/* One opt-out by one identifier: in force when this returns, also when the
 * status is an error; on ST_OK on disk too. The identifier's canonical form
 * makes the tag; commitment and receipt are new. The 9th and later entries
 * of a tag get a receipt of the same shape that lifts nothing.
 * Blocks on the disk: never call it on a worker. Errors: ST_IO, ST_FULL (in
 * force in memory, not on disk: answer 503), ST_DENIED (unsound store). */
struct optout_result {
    uint64_t number; /* of the change; 0 if it repeated and wrote nothing */
    uint8_t tag[TAG_BYTES];
    uint8_t commitment[32]; /* for optout.set's record */
    char receipt[OPTOUT_RECEIPT_MAX];
};
enum status optout_set(struct optouts *o, struct slice site,
                       struct slice canonical, int64_t now_ms,
                       struct optout_result *out) MUST_CHECK;

/* Lift the entry of `receipt`. Loosening: the caller has waited for the
 * audit record first. *out_lifted: an entry fell; *out_free: none is left
 * standing for its tag. Unknown receipts are ST_OK with both false (no
 * answer shows it). Errors: ST_IO, ST_FULL, ST_DENIED. */
enum status optout_lift(struct optouts *o, struct slice receipt, int64_t now_ms,
                        bool *out_lifted, bool *out_free) MUST_CHECK;

/* Lift every entry of an identifier (app token, officer). */
enum status optout_lift_all(struct optouts *o, struct slice site,
                            struct slice canonical, int64_t now_ms,
                            unsigned *out_lifted) MUST_CHECK;

/* Is a receipt known and its entry still standing? Then also its commitment,
 * for optout.clear's record. Read only. Errors: ST_IO, ST_DENIED. */
enum status optout_receipt_state(const struct optouts *o, struct slice receipt,
                                 bool *out_known, bool *out_standing,
                                 uint8_t out_commitment[32]) MUST_CHECK;

/* The commitments of the entries that optout_lift_all() would lift, at most
 * OPTOUT_STANDING_MAX. Errors: as there. */
#define OPTOUT_STANDING_MAX 255u
enum status optout_standing(struct optouts *o, struct slice site,
                            struct slice canonical,
                            uint8_t out_commitments[OPTOUT_STANDING_MAX][32],
                            unsigned *out_count) MUST_CHECK;

/* Walk the set changes with number > after, oldest first: tag and number
 * (to rebuild sweep sets at start). Errors: what `each` returned, ST_IO. */
typedef enum status optout_each_fn(void *ctx, uint64_t number,
                                   const uint8_t tag[TAG_BYTES]);
enum status optout_each_set(struct optouts *o, uint64_t after,
                            optout_each_fn *each, void *ctx) MUST_CHECK;

/* Accept what is there as the truth, after an explicit, audited decision
 * (`subject accept-loss`): health becomes sound. Numbers go on from what is
 * there, so nothing that waits with a later one may be left. Errors: ST_IO. */
enum status optout_accept_loss(struct optouts *o) MUST_CHECK;

/* Does `site` occur in the store? (storage.md 1: a site id in the state that
 * the config lacks.) Sites are noted with their first opt-out. */
bool optout_has_site(const struct optouts *o, struct slice site);
bool optout_site_at(const struct optouts *o, unsigned index, char out_id[65]);

/* Many opt-outs with few syncs (a form's identifiers, an import). out[i] may
 * be read where the status is ST_OK; `out` may be NULL. On ST_IO, ST_FULL and
 * ST_DENIED all are in force, and tag, commitment and number are written for
 * sweep and record (number: larger than any that a lookup has seen without
 * them), the receipt is empty; trying again later gives it.
 * optout_set() is this with a count of one. */
struct optout_request {
    struct slice site, canonical;
};
enum status optout_set_many(struct optouts *o,
                            const struct optout_request *requests, size_t count,
                            int64_t now_ms,
                            struct optout_result *out) MUST_CHECK;

/* Opt-outs that are in force in memory and not on disk: how many, and another
 * try. Every set and lift tries first, too. At most OPTOUT_WAITING_MAX of them
 * are written when the disk takes them; those beyond (ST_FULL as well) stay in
 * force and count here until they are asked for again, or a restart.
 * Errors: ST_IO, ST_FULL, ST_DENIED. */
#define OPTOUT_WAITING_MAX 8192u
uint64_t optout_waiting(struct optouts *o);
enum status optout_flush(struct optouts *o) MUST_CHECK;

/* The sites whose opt-outs wait, at most `max` ids; their deliveries stop
 * meanwhile. False: there are more, or some of sites that nobody has kept. */
bool optout_waiting_sites(struct optouts *o, char (*out_ids)[65], unsigned max,
                          unsigned *out_count) MUST_CHECK;

#endif
