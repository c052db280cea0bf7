/* verify_case.h - the verifier as tests call it. */
#ifndef TESTS_UNIT_VERIFY_CASE_H
#define TESTS_UNIT_VERIFY_CASE_H

#include "lethe/gateway/audit/verify.h"

/* Without a key; `since` (may be NULL) is an older checkpoint's text. */
static inline struct verify_report verify_plain(const char *folder,
                                                const char *since)
{
    const struct verify_wish wish = {
        .folder = folder, .since = {since}, .now_ms = INT64_C(1795338060000)};
    struct verify_report r;

    audit_verify(&wish, &r);
    return r;
}

#endif
