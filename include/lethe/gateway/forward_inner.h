/* forward_inner.h - what the forward*.c files share; nobody else includes it.
 *
 * Each destination belongs to one thread, which alone touches it. Others post
 * calls to that thread (mutex and eventfd) or read the facts it publishes.
 *
 *   forward.c            one pass; start, stop
 *   forward_configure.c  the list of destinations
 *   forward_door.c       poke, sweep, the operator's calls, facts
 *   forward_file.c       the synchronous sinks of one destination
 *   forward_thread.c     threads and calls
 *   forward_read.c       cursor -> opened blob -> items that may be sent
 *   forward_send.c       items -> batches -> sinks -> outcomes, back-off
 *   forward_settle.c     outcomes -> audit rows -> mark
 *   forward_move.c       outage.db: long waits, dead letters, expiry, purge
 *   forward_retention.c  files and databases: what has become too old
 *   forward_subject.c    files and databases: what they hold of one person
 *   forward_keys.c       spool keys that nothing needs */
#ifndef LETHE_GATEWAY_FORWARD_INNER_H
#define LETHE_GATEWAY_FORWARD_INNER_H

#include "lethe/gateway/forward_state.h"

/* forward_thread.c */
enum status thread_new(struct forward *f, bool network,
                       struct forward_thread **out) MUST_CHECK;
void thread_end(struct forward_thread *t, int64_t drain_ms); /* and join */
void thread_wake(struct forward_thread *t);
struct call *call_new(call_fn *run, struct destination *d, void *arg);
void call_post(struct forward_thread *t, struct call *c);
/* False: not over within wait_ms (< 0: for ever). */
bool call_wait(struct forward *f, struct call *c, int64_t wait_ms);
void call_done(struct forward *f, struct call *c, enum status result);
void call_unref(struct call *c);
enum status call_now(struct forward_thread *t, call_fn *run,
                     struct destination *d, void *arg) MUST_CHECK;
int64_t forward_wall(const struct destination *d);
int64_t forward_mono(const struct destination *d);

/* forward_read.c */
enum status decides_build(const struct forward_destination *d,
                          struct decide_set *out) MUST_CHECK;
/* ITEM_NONE: it may be sent; else what becomes of it, and the reason. */
enum item_outcome item_check(const struct destination *d, const struct item *i,
                             int64_t now_ms, uint8_t *out_reason);
/* Read and queue within the memory limit. */
void read_fill(struct destination *d);
enum status read_open(struct destination *d, const struct block *like,
                      struct slice sealed, struct block **out) MUST_CHECK;
void block_append(struct destination *d, struct block *b);
bool block_is_loaded(const struct destination *d, int64_t row_id);
/* The next blob that is not wholly before the mark, into d->sealed. */
enum status read_after_mark(struct destination *d,
                            struct journal_blob *out) MUST_CHECK;
void queue_shuffle(struct destination *d);
void block_free(struct destination *d, struct block *b);
struct batch *read_pick(struct destination *d); /* NULL: nothing to send */
void queue_compact(struct destination *d);
unsigned queue_ready(const struct destination *d);
bool queue_add(struct destination *d, struct block *b);

/* forward_send.c */
void send_compact(struct destination *d);
void send_all(struct destination *d);
void send_sweep(struct destination *d, uint64_t *out_sent);
void send_cut_all(struct destination *d);
/* Cut what holds items that may not be sent any more (a reload). */
void send_recheck(struct destination *d);
void send_back_off(struct destination *d, int status, int64_t retry_after_ms);
void batch_free(struct batch *b);
/* When it wants to run again, in ms from now. */
int64_t send_wait_ms(const struct destination *d);

/* forward_settle.c */
void item_except(struct destination *d, struct item *i,
                 enum item_outcome outcome, uint8_t reason);
void item_done(struct destination *d, struct item *i,
               enum item_outcome outcome);
void settle_rows(struct destination *d);  /* submit, collect */
void settle_mark(struct destination *d);  /* free what is done, set the mark */
void settle_facts(struct destination *d); /* publish */
bool settle_rows_pending(const struct destination *d);
void settle_wait(struct destination *d); /* at the end */
/* Wait for the rows on their way; false: they did not get to disk. */
bool settle_land(struct destination *d);

/* forward_move.c */
void move_if_long(struct destination *d);
enum status move_dead(struct destination *d, struct item *i,
                      int status) MUST_CHECK;
void move_expire(struct destination *d);
void move_purge_start(struct destination *d, uint8_t reason);
bool move_purge_over(const struct destination *d);
void move_purge_memory(struct destination *d);
/* Dead letters become PURGED; ST_END when all are loaded. */
enum status move_purge_dead(struct destination *d, uint64_t *out_count);

/* forward_file.c */
enum status files_open(const struct forward_destination *d,
                       const struct mark *mark, struct file_sinks *former,
                       struct file_sinks *out) MUST_CHECK;
void files_take(struct file_sinks *from, struct file_sinks *to);
void files_close(struct file_sinks *s);
/* Where a database just opened stands. */
enum status files_position(const struct forward *f, const struct file_sinks *s,
                           const struct mark *mark, uint64_t *out_sequence,
                           uint32_t *out_fragment) MUST_CHECK;
/* Write a checked batch. */
enum status files_write(struct destination *d, const struct batch *b,
                        const struct fragment *f) MUST_CHECK;
bool files_know(const struct destination *d, struct slice purpose);

/* forward_retention.c */
void retention_run(struct destination *d);

/* forward.c: one pass of a destination. Returns ms until the next. */
int64_t destination_run(struct destination *d);
void purge_end(struct destination *d);

/* forward_configure.c */
void destination_free(struct destination *d);

#endif
