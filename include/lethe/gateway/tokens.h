/* tokens.h - admin and app tokens: shown once, kept hashed, limited to roles
 * and sites, revocable (design.md section 5). One JSON file in state_dir,
 * rewritten by rename. Thread-safe. */
#ifndef LETHE_GATEWAY_TOKENS_H
#define LETHE_GATEWAY_TOKENS_H

#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define TOKEN_TEXT_MAX  64u
#define TOKENS_MAX      256u
#define TOKEN_SITES_MAX 16u

enum token_role { /* bits */
                  ROLE_AUDITOR = 1,
                  ROLE_OFFICER = 2,
                  ROLE_OPERATOR = 4,
                  ROLE_OWNER = 8,
                  ROLE_APP = 16,
                  ROLE_DEVELOPER = 32,
                  ROLE_LOCAL =
                      64 /* the control socket's own user: not a token's */
};
/* One role by name; 0 if unknown. */
unsigned token_role_of(struct slice name);
const char *token_role_name(unsigned role);

struct tokens;
enum status tokens_open(const char *path, struct tokens **out) MUST_CHECK;
void tokens_close(struct tokens *t);

/* Make one. `out_text` is the only time it is seen; `out_id` is its 12-hex
 * public id ("adm:<id>" in records). expires_ms 0 = never.
 * Errors: ST_LIMIT, ST_IO, ST_FULL. */
enum status tokens_add(struct tokens *t, unsigned role,
                       const char *const *sites, unsigned site_count,
                       const char *label, int64_t expires_ms, int64_t now_ms,
                       char out_text[TOKEN_TEXT_MAX],
                       char out_id[13]) MUST_CHECK;
enum status tokens_revoke(struct tokens *t, const char *id) MUST_CHECK;

struct token_facts {
    char id[13];
    char label[65];
    unsigned role;
    int64_t made_ms, expires_ms;
    char sites[TOKEN_SITES_MAX][65];
    unsigned site_count; /* 0 = all */
};
/* Whose is it? Constant time in the token. Errors: ST_UNKNOWN (also
 * expired). */
enum status tokens_check(struct tokens *t, struct slice text, int64_t now_ms,
                         struct token_facts *out) MUST_CHECK;
/* The token reaches this site (id): no list of sites = all. Pure. */
bool token_covers(const struct token_facts *facts, const char *site_id);
unsigned tokens_list(struct tokens *t, struct token_facts *out, unsigned max);

#endif
