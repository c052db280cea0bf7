/* policy_profile.h - shared by the checks of profiles and their table. */
#ifndef POLICY_POLICY_PROFILE_H
#define POLICY_POLICY_PROFILE_H

#include "policy_inside.h"

/* One destination under one profile. */
struct view {
    const struct load *l;
    const struct at *at; /* the destination in the file */
    unsigned d;
    const struct destination_plan *dest;
    bool pragmatic;
    bool sheet; /* for the evidence sheet, which asks for the notice too */
};

struct finding {
    unsigned rule; /* the failing rule's number, 0: the destination itself */
    const char *why;
};

/* True if the destination meets it; else *out says what does not. */
typedef bool profile_check(const struct view *v, struct finding *out);

profile_check r7_referrer, r10_campaign, r11_device, r12_lasting, r14_time,
    r17_title, r25_shared, r39_storage, r49_gpc, r64_dnt, r75_exempt;

#endif
