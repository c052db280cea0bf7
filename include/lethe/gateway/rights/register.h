/* register.h - `rights.db`: requests of people and when they must be answered
 * (GDPR Art. 12(3); R44). Who asked is not in it: an entry has an id, a kind, a
 * site, times, and the controller's own ticket. One thread. */
#ifndef LETHE_GATEWAY_RIGHTS_REGISTER_H
#define LETHE_GATEWAY_RIGHTS_REGISTER_H

#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define REQUEST_ID_BYTES   8u /* hex digits, random */
#define REQUEST_TICKET_MAX 32u
#define REQUEST_SITE_MAX   64u
#define REQUESTS_MAX       100000u /* in the register, open or closed */
#define REQUESTS_KEEP_MS   (INT64_C(3) * 365 * 86400000) /* after closing */
#define REQUEST_SOON_MS    (INT64_C(7) * 86400000)       /* before it is due */

/* What people ask for, by the article. */
#define REQUEST_KINDS(X)                                                       \
    X(ACCESS, "access", 15)                                                    \
    X(RECTIFICATION, "rectification", 16)                                      \
    X(ERASURE, "erasure", 17)                                                  \
    X(RESTRICTION, "restriction", 18)                                          \
    X(PORTABILITY, "portability", 20)                                          \
    X(OBJECTION, "objection", 21)
#define X(id, text, article) REQUEST_##id,
enum request_kind { REQUEST_KINDS(X) REQUEST_KIND_COUNT };
#undef X
const char *request_kind_name(enum request_kind k);
unsigned request_kind_article(enum request_kind k);
bool request_kind_find(struct slice text, enum request_kind *out);

/* Why an answer may take two months more (Art. 12(3)). */
enum request_delay { DELAY_NONE, DELAY_COMPLEX, DELAY_MANY, DELAY_COUNT };
const char *request_delay_name(enum request_delay d);
bool request_delay_find(struct slice text, enum request_delay *out);

/* How it ended. */
#define REQUEST_OUTCOMES(X)                                                    \
    X(OPEN, "open")                                                            \
    X(DONE, "done")                                                            \
    X(PARTLY, "partly")                                                        \
    X(CANNOT_IDENTIFY, "cannot-identify")                                      \
    X(REFUSED, "refused")                                                      \
    X(WITHDRAWN, "withdrawn")
#define X(id, text) REQUEST_ENDED_##id,
enum request_outcome { REQUEST_OUTCOMES(X) REQUEST_OUTCOME_COUNT };
#undef X
const char *request_outcome_name(enum request_outcome o);
/* Not "open". */
bool request_outcome_find(struct slice text, enum request_outcome *out);

struct request_entry {
    char id[REQUEST_ID_BYTES + 1];
    enum request_kind kind;
    char site[REQUEST_SITE_MAX + 1];     /* its id */
    char ticket[REQUEST_TICKET_MAX + 1]; /* "" none */
    int64_t received_ms, due_ms, closed_ms;
    enum request_delay delay;
    enum request_outcome outcome;
};

/* A ticket: [A-Za-z0-9._-]{1,32}, which records may hold. */
bool request_ticket_ok(struct slice s);

struct request_register;
/* Open or make `path`. Errors: ST_IO, ST_CORRUPT, ST_NOMEM. */
enum status register_open(const char *path,
                          struct request_register **out) MUST_CHECK;
void register_close(struct request_register *r); /* NULL is allowed */

/* A new one: kind, site, ticket and received_ms of *e are taken; id and due_ms
 * (a month after received_ms) are filled. Durable when this returns.
 * Errors: ST_LIMIT (REQUESTS_MAX), ST_IO, ST_FULL. */
enum status register_add(struct request_register *r,
                         struct request_entry *e) MUST_CHECK;
/* Errors: ST_UNKNOWN, ST_IO. */
enum status register_find(struct request_register *r, struct slice id,
                          struct request_entry *out) MUST_CHECK;
/* Two months more, once. Errors: ST_UNKNOWN, ST_CLOSED (it has ended),
 * ST_EXISTS (it was extended), ST_IO. *out is the entry after it. */
enum status register_extend(struct request_register *r, struct slice id,
                            enum request_delay why,
                            struct request_entry *out) MUST_CHECK;
/* Errors: ST_UNKNOWN, ST_CLOSED, ST_IO. */
enum status register_end(struct request_register *r, struct slice id,
                         enum request_outcome outcome, int64_t now_ms,
                         struct request_entry *out) MUST_CHECK;

/* Each entry, the first due first, closed ones (with `all`) last. Errors: what
 * `each` returned, ST_IO. */
typedef enum status register_each_fn(void *ctx, const struct request_entry *e);
enum status register_each(struct request_register *r, bool all,
                          register_each_fn *each, void *ctx) MUST_CHECK;

struct register_facts {
    uint64_t open, soon, overdue; /* soon: within REQUEST_SOON_MS */
};
enum status register_count(struct request_register *r, int64_t now_ms,
                           struct register_facts *out) MUST_CHECK;
/* Forget what was closed REQUESTS_KEEP_MS ago. *out_count: how many. */
enum status register_forget(struct request_register *r, int64_t now_ms,
                            uint64_t *out_count) MUST_CHECK;

#endif
