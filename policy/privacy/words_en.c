/* words_en.c - the privacy page in English. */
#include "words.h"

const struct privacy_words privacy_words_en = {
    .code = "en",
    .own_name = "English",
    .text =
        {
            [T_TITLE] = "Your privacy at {0}",
            [T_INTRO] = "What is recorded about your use of this "
                        "service, why, for how long and for whom, and "
                        "how you say no. This page is made from the very "
                        "rules that are enforced, so it cannot promise "
                        "something else than what happens.",
            [T_LANGUAGES] = "Language",
            [T_CHOICE] = "Your choice",
            [T_STATE_OUT] = "This browser is opted out.",
            [T_STATE_IN] = "This browser is not opted out.",
            [T_GPC_DENY] = "Your browser sends Global Privacy Control. It "
                           "counts as a no to every purpose below.",
            [T_GPC_CONSENT] = "Your browser sends Global Privacy Control. It "
                              "counts as a no to every purpose below that is "
                              "not marked as exempt.",
            [T_GPC_IGNORED] =
                "Your browser sends Global Privacy Control. This "
                "site’s rules do not act on it: use the button below.",
            [T_DNT_DENY] = "Your browser sends Do Not Track. It counts as a "
                           "no to every purpose below.",
            [T_DNT_CONSENT] =
                "Your browser sends Do Not Track. It counts as a "
                "no to every purpose below that is not marked as exempt.",
            [T_DNT_IGNORED] = "Your browser sends Do Not Track. This site’s "
                              "rules do not act on it: use the button below.",
            [T_BUTTON_OUT] = "Opt out of analytics",
            [T_BUTTON_IN] = "Opt this browser in again",
            [T_OUT_DONE] = "Done: you said no. It holds from now on, also "
                           "for what was still waiting to be sent.",
            [T_OUT_IDS_NONE] =
                "No identifier of an analytics tool was found in "
                "this browser’s cookies for this site. What "
                "waits to be sent can only be stopped by such an "
                "identifier; new events of this browser are "
                "stopped by its flag.",
            [T_OUT_IDS_ONE] = "One identifier of an analytics tool was found "
                              "in this browser’s cookies and is opted out as "
                              "well. It was not kept.",
            [T_OUT_IDS_MANY] = "{0} identifiers of analytics tools were found "
                               "in this browser’s cookies and are opted out as "
                               "well. They were not kept.",
            [T_OUT_IDS_LEFT] = "There were more identifiers than one request "
                               "can take. Delete this site’s cookies, or ask "
                               "the contact below.",
            [T_BACK_DONE] = "Done: this browser’s flag is gone. Identifiers "
                            "and accounts that were opted out stay so until "
                            "their own receipts are used.",
            [T_FAILED] = "Your no is in force, but it cannot be written "
                         "to disk at this moment. Please send it once "
                         "more in a few minutes.",
            [T_LINK_ASK] = "This link was made for your account. Nothing "
                           "has happened yet: the button opts the account "
                           "out, on every device.",
            [T_LINK_BUTTON] = "Opt my account out",
            [T_LINK_DONE] = "Done: your account is opted out, on every "
                            "device. It holds from now on, also for what was "
                            "still waiting to be sent.",
            [T_LINK_OVER] = "This link is not valid, or not any more. Ask "
                            "the service for a new one; the choice below "
                            "works without it.",
            [T_RECEIPT] = "Your receipt",
            [T_RECEIPT_WORDS] = "Keep it: it shows that you said no, and it "
                                "alone can take it back. It says nothing about "
                                "who you are, and it is shown this once.",
            [T_REACH] = "How far it reaches",
            [T_REACH_FLAG] = "The button stores one cookie, lethe_optout=1, "
                             "for 13 months. It holds no identifier. It "
                             "reaches what this browser sends together with "
                             "its cookies, and ends if you delete it.",
            [T_REACH_NEAR] = "Pages that it reaches:",
            [T_REACH_VISIT] = "This site’s rules know no identifier that lasts "
                              "longer than a visit: what is opted out by "
                              "identifier is this visit only.",
            [T_REACH_OTHER] = "Other browsers, other devices and apps must be "
                              "opted out there, or through your account.",
            [T_FOREIGN] = "What the button cannot reach",
            [T_FOREIGN_WHY] = "These pages belong to another site than this "
                              "one. Your browser does not send this page’s "
                              "cookie with their events, so the button does "
                              "not stop them:",
            [T_FOREIGN_RETURN] = "Opt out on the page itself:",
            [T_FOREIGN_ASK] = "The page offers no way back from here: switch "
                              "on Global Privacy Control, use the page’s own "
                              "settings, or ask the contact below.",
            [T_NEAR_RETURN] = "Some tools keep their identifier where this "
                              "page cannot see it, and send without cookies. "
                              "The app’s own page reaches those, too:",
            [T_GPC_HOW] = "Works on every site: switch on Global Privacy "
                          "Control in your browser (Firefox: Settings, "
                          "Privacy & Security, “Tell websites not to sell "
                          "or share my data”; Brave and DuckDuckGo send it "
                          "already; Chrome, Edge and Safari need an "
                          "extension).",
            [T_ACCOUNT_HOW] =
                "If you have an account, the service can send "
                "you a link that opts the account out on every device.",
            [T_WHAT] = "What is recorded",
            [T_WHAT_WORDS] = "Only what is listed here; everything else is "
                             "dropped when it arrives.",
            [T_WHAT_NO_ADDRESS] =
                "Your IP address is never stored or passed on.",
            [T_WHAT_NOTHING] = "Nothing is passed on at present.",
            [T_EVENTS] = "Events",
            [T_WITH_EACH] = "With each event",
            [T_WHY] = "Why, and how long it is kept",
            [T_KEPT] = "kept for {0}",
            [T_WHO] = "Who receives it",
            [T_WHO_NOBODY] = "Nobody at present.",
            [T_FOR] = "for: {0}",
            [T_COUNTRY] = "country: {0}",
            [T_TRANSFER] = "basis of the transfer: {0}",
            [T_HOSTED] = "The gateway that does this runs in: {0}.",
            [T_LONG] = "How far back requests can reach",
            [T_SPOOL] = "What waits for a recipient that is down is kept "
                        "for at most {0}, sealed, and then destroyed.",
            [T_ROTATE] = "Your identifiers are replaced by pseudonyms. "
                         "They change every {0}, and what made the old "
                         "ones is destroyed: nobody, not even we, can "
                         "tell afterwards which events were yours. "
                         "Requests about recorded events therefore reach "
                         "back at most {0}.",
            [T_SHARED] = "Several visitors share one pseudonym on "
                         "purpose. Recorded events therefore cannot be "
                         "picked out as yours alone (Article 11 GDPR); "
                         "saying no works all the same.",
            [T_SINGLE] = "Within that time, events can be found by the "
                         "identifier that your browser or app holds: send "
                         "it with your request.",
            [T_RIGHTS] = "Your rights, and who to turn to",
            [T_RIGHTS_WORDS] =
                "You may ask for access, correction, erasure, "
                "restriction and a copy of what concerns you, "
                "and object at any time, without giving a reason "
                "for analytics (Articles 15 to 21 GDPR). You get "
                "an answer within one month.",
            [T_CONTACT] = "Responsible: {0}",
            [T_DPO] = "Data protection officer: {0}",
            [T_AUTHORITY] = "Complaints: {0}",
            [T_AUTHORITY_ANY] =
                "You may complain to the data protection "
                "authority of the place where you live or work.",
            [T_COOKIE] = "This page stores nothing on your device before "
                         "you press a button, loads nothing from "
                         "elsewhere and runs no script.",
            [T_MADE] = "Rules: {0}, version {1}.",
        },
    .basis =
        {
            [BASIS_CONSENT] = "your consent (Art. 6(1)(a) GDPR)",
            [BASIS_LEGITIMATE_INTEREST] =
                "our legitimate interest (Art. 6(1)(f) GDPR)",
            [BASIS_CONTRACT] = "a contract with you (Art. 6(1)(b) GDPR)",
            [BASIS_LEGAL_OBLIGATION] = "a legal obligation (Art. 6(1)(c) GDPR)",
            [BASIS_PUBLIC_TASK] = "a public task (Art. 6(1)(e) GDPR)",
            [BASIS_VITAL_INTERESTS] = "vital interests (Art. 6(1)(d) GDPR)",
        },
    .exempt = "exempt from consent",
    .role =
        {
            [PRIVACY_CONTROLLER] = "controller of its own",
            [PRIVACY_PROCESSOR] = "processor, bound by our instructions",
            [PRIVACY_JOINT] = "jointly responsible with us",
        },
    .context =
        {
            [CTX_IP] = "part of the address",
            [CTX_PLACE] = "place, from the address",
            [CTX_USER_AGENT] = "browser family and version",
            [CTX_LANGUAGE] = "language",
            [CTX_SCREEN] = "screen size",
            [CTX_URL] = "page, from a fixed list",
            [CTX_REFERRER] = "page you came from",
            [CTX_CAMPAIGN] = "campaign",
            [CTX_TITLE] = "page title",
            [CTX_TIME] = "time, rounded",
        },
    .id =
        {
            [ID_USER] = "account, as a pseudonym",
            [ID_DEVICE] = "browser or device, as a pseudonym",
            [ID_SESSION] = "visit, as a pseudonym",
            [ID_GROUP] = "group, as a pseudonym",
        },
    .unit =
        {
            {"month", "months"},
            {"day", "days"},
            {"hour", "hours"},
            {"minute", "minutes"},
            {"second", "seconds"},
        },
};
