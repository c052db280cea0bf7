/* signer_link.h - how the gateway comes by a signer (audit/signer.h). Where the
 * key in signer.dir is its own, it runs one as a child, starts it anew when it
 * dies, and ends it by its pid; where the folder belongs to another user, one
 * is running there. */
#ifndef LETHE_GATEWAY_SIGNER_LINK_H
#define LETHE_GATEWAY_SIGNER_LINK_H

#include "lethe/gateway/audit/signer.h"
#include "lethe/gateway/conf.h"

struct signer_link;

#define SIGNER_LINK_WHY_MAX 256u

/* Find or start the signer of `c->signer_dir`. A folder from before there was
 * a signer, with neither key nor anything signed, is made. On an error `why`
 * tells the operator. Errors: ST_DENIED, ST_TIMEOUT, ST_IO, ST_LIMIT,
 * ST_NOMEM. */
enum status signer_link_open(const struct conf *c, struct signer_link **out,
                             char why[SIGNER_LINK_WHY_MAX]) MUST_CHECK;
/* Ends the child. */
void signer_link_close(struct signer_link *s);

/* The log's public key. */
const struct note_key *signer_link_key(const struct signer_link *s);
bool signer_link_is_new(const struct signer_link *s); /* made just now */
bool signer_link_is_child(const struct signer_link *s);

/* audit_signing.ask, with the link as its ctx. */
enum status signer_link_ask(void *link, struct slice body,
                            struct signer_reply *out) MUST_CHECK;

#endif
