/* status.h - the one error enum. Fallible functions return it, are MUST_CHECK
 * and write their outputs only on ST_OK. */
#ifndef LETHE_POLICY_BASE_STATUS_H
#define LETHE_POLICY_BASE_STATUS_H

#define MUST_CHECK __attribute__((warn_unused_result))

enum status {
    ST_OK = 0,
    ST_NOMEM,    /* out of memory, or over an arena's cap */
    ST_LIMIT,    /* a named _MAX was reached */
    ST_SYNTAX,   /* bytes do not follow the grammar */
    ST_TYPE,     /* well-formed, but of the wrong type or value */
    ST_UNKNOWN,  /* no such thing */
    ST_EXISTS,   /* already there */
    ST_DENIED,   /* not allowed: mode, owner, role, policy */
    ST_IO,       /* a system call failed; errno tells */
    ST_CORRUPT,  /* stored bytes are damaged or foreign */
    ST_FULL,     /* disk or queue is full: 503 and Retry-After */
    ST_BUSY,     /* somebody else holds it: try again later */
    ST_END,      /* nothing more to read */
    ST_CLOSED,   /* it is shutting down */
    ST_CRYPTO,   /* a cryptographic call or check failed */
    ST_MISMATCH, /* two sources that must agree do not */
    ST_TIMEOUT,  /* a bounded wait ran out */
    ST_COUNT     /* number of states, not a state */
};

/* The state's fixed name ("ok", "limit", ...); never NULL. */
const char *status_name(enum status st);

#endif
