/* words.h - every word of the privacy page, a file a language: words_en.c and
 * its siblings. "{0}" and "{1}" are filled in. For policy/privacy/ alone. */
#ifndef POLICY_PRIVACY_WORDS_H
#define POLICY_PRIVACY_WORDS_H

#include "lethe/policy/policy.h"

enum text_id {
    T_TITLE,
    T_INTRO,
    T_LANGUAGES,
    T_CHOICE,
    T_STATE_OUT,
    T_STATE_IN,
    T_GPC_DENY,
    T_GPC_CONSENT,
    T_GPC_IGNORED,
    T_DNT_DENY,
    T_DNT_CONSENT,
    T_DNT_IGNORED,
    T_BUTTON_OUT,
    T_BUTTON_IN,
    T_OUT_DONE,
    T_OUT_IDS_NONE,
    T_OUT_IDS_ONE,
    T_OUT_IDS_MANY,
    T_OUT_IDS_LEFT,
    T_BACK_DONE,
    T_FAILED,
    T_LINK_ASK,
    T_LINK_BUTTON,
    T_LINK_DONE,
    T_LINK_OVER,
    T_RECEIPT,
    T_RECEIPT_WORDS,
    T_REACH,
    T_REACH_FLAG,
    T_REACH_NEAR,
    T_REACH_VISIT,
    T_REACH_OTHER,
    T_FOREIGN,
    T_FOREIGN_WHY,
    T_FOREIGN_RETURN,
    T_FOREIGN_ASK,
    T_NEAR_RETURN,
    T_GPC_HOW,
    T_ACCOUNT_HOW,
    T_WHAT,
    T_WHAT_WORDS,
    T_WHAT_NO_ADDRESS,
    T_WHAT_NOTHING,
    T_EVENTS,
    T_WITH_EACH,
    T_WHY,
    T_KEPT,
    T_WHO,
    T_WHO_NOBODY,
    T_FOR,
    T_COUNTRY,
    T_TRANSFER,
    T_HOSTED,
    T_LONG,
    T_SPOOL,
    T_ROTATE,
    T_SHARED,
    T_SINGLE,
    T_RIGHTS,
    T_RIGHTS_WORDS,
    T_CONTACT,
    T_DPO,
    T_AUTHORITY,
    T_AUTHORITY_ANY,
    T_COOKIE,
    T_MADE,
    TEXT_COUNT
};

enum privacy_role { PRIVACY_CONTROLLER, PRIVACY_PROCESSOR, PRIVACY_JOINT };
enum privacy_unit { UNIT_MONTH, UNIT_DAY, UNIT_HOUR, UNIT_MINUTE, UNIT_SECOND };

struct privacy_words {
    const char *code;     /* RFC 5646 */
    const char *own_name; /* of the language, in itself */
    const char *text[TEXT_COUNT];
    const char *basis[BASIS_COUNT];
    const char *exempt;
    const char *role[PRIVACY_JOINT + 1];
    const char *context[CTX_COUNT]; /* a value that leaves with an event */
    const char *id[ID_OTHER];
    const char *unit[UNIT_SECOND + 1][2]; /* one, several */
};

extern const struct privacy_words privacy_words_en, privacy_words_fr,
    privacy_words_de;

#endif
