/* ids.h - kinds of identifiers and context values: the canonical names that
 * dialects fill, policies rule on and clean hits carry. */
#ifndef LETHE_POLICY_IDS_H
#define LETHE_POLICY_IDS_H

/* Strongest first: audit rows take the first one present. ID_OTHER is what a
 * policy lists in optout_identifiers: looked up, never sent. */
enum id_kind { ID_USER, ID_DEVICE, ID_SESSION, ID_GROUP, ID_OTHER, ID_COUNT };

enum context_key {
    CTX_IP,
    CTX_PLACE,
    CTX_USER_AGENT,
    CTX_LANGUAGE,
    CTX_SCREEN,
    CTX_URL,
    CTX_REFERRER,
    CTX_CAMPAIGN,
    CTX_TITLE,
    CTX_TIME,
    CTX_COUNT
};

/* As policies and plain events write them: "session", "user_agent", ... */
const char *id_kind_name(enum id_kind kind);
const char *context_key_name(enum context_key key);

#endif
