#include "lethe/policy/ids.h"

#include <assert.h>

static const char *const id_names[ID_COUNT] = {
    [ID_USER] = "user",   [ID_DEVICE] = "device", [ID_SESSION] = "session",
    [ID_GROUP] = "group", [ID_OTHER] = "other",
};

static const char *const context_names[CTX_COUNT] = {
    [CTX_IP] = "ip",
    [CTX_PLACE] = "place",
    [CTX_USER_AGENT] = "user_agent",
    [CTX_LANGUAGE] = "language",
    [CTX_SCREEN] = "screen",
    [CTX_URL] = "url",
    [CTX_REFERRER] = "referrer",
    [CTX_CAMPAIGN] = "campaign",
    [CTX_TITLE] = "title",
    [CTX_TIME] = "time",
};

const char *id_kind_name(enum id_kind kind)
{
    assert((unsigned)kind < ID_COUNT);
    return id_names[kind];
}

const char *context_key_name(enum context_key key)
{
    assert((unsigned)key < CTX_COUNT);
    return context_names[key];
}
