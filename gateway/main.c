/* main.c - the table of commands. */
#include "lethe/gateway/cmd/cmd.h"

#include "lethe/gateway/version.h"

#include <stdio.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const struct cmd_option config_only[] = {CMD_CONFIG_OPTION};
static const struct cmd_option signer_options[] = {
    CMD_CONFIG_OPTION,
    {"--dir", "DIR", "the signer's folder; the config's if left out"},
    {"--with-parent", NULL,
     "standard input is a socket to whoever started it: end with it"},
};
static const struct cmd_option asking[] = {CMD_CONFIG_OPTION, CMD_TOKEN_OPTION};
static const struct cmd_option config_site[] = {
    CMD_CONFIG_OPTION,
    CMD_TOKEN_OPTION,
    {"--site", "NAME", "which site; may be left out when there is one"},
};
static const struct cmd_option purge_options[] = {
    CMD_CONFIG_OPTION,
    CMD_TOKEN_OPTION,
    {"--site", "NAME", "which site; may be left out when there is one"},
    {"--dead", NULL, "the dead letters instead of what waits"},
};
static const struct cmd_option rotate_options[] = {
    CMD_CONFIG_OPTION,
    CMD_TOKEN_OPTION,
    {"--exposed", NULL, "somebody may have had the old one: mark a breach"},
};
static const struct cmd_option subject_options[] = {
    CMD_CONFIG_OPTION,
    CMD_TOKEN_OPTION,
    {"--site", "NAME", "which site; may be left out when there is one"},
    {"--file", "FILE", "identifiers, one a line; standard input if left out"},
    {"--receipt", NULL, "the lines are receipts, not identifiers"},
};
static const struct cmd_option person_options[] = {
    CMD_CONFIG_OPTION,
    CMD_TOKEN_OPTION,
    {"--site", "NAME", "which site; may be left out when there is one"},
    {"--file", "FILE",
     "the person's identifiers, one a line; standard input "
     "if left out"},
};
static const struct cmd_option request_open_options[] = {
    CMD_CONFIG_OPTION,
    CMD_TOKEN_OPTION,
    {"--site", "NAME", "which site; may be left out when there is one"},
    {"--kind", "KIND",
     "access, rectification, erasure, restriction, "
     "portability or objection"},
    {"--ticket", "ID", "your own reference; never a name or an address"},
    {"--received", "DAY", "when it came; today if left out"},
};
static const struct cmd_option request_list_options[] = {
    CMD_CONFIG_OPTION,
    CMD_TOKEN_OPTION,
    {"--all", NULL, "those that have ended, too"},
};
static const struct cmd_option request_extend_options[] = {
    CMD_CONFIG_OPTION,
    CMD_TOKEN_OPTION,
    {"--why", "WHY", "complex or many (Art. 12(3))"},
};
static const struct cmd_option request_close_options[] = {
    CMD_CONFIG_OPTION,
    CMD_TOKEN_OPTION,
    {"--outcome", "OUTCOME",
     "done, partly, cannot-identify, refused or "
     "withdrawn"},
};
static const struct cmd_option token_options[] = {
    CMD_CONFIG_OPTION,
    CMD_TOKEN_OPTION,
    {"--role", "ROLE", "auditor, officer, operator, owner, app or developer"},
    {"--site", "NAME", "limit it to this site"},
    {"--label", "TEXT", "a note for the list"},
    {"--expires", "DURATION", "for example P30D; never if left out"},
};
static const struct cmd_option minimise_options[] = {
    {"--policy", "FILE", "the policy; or the name of a shipped one"},
    {"--destination", "NAME", "whose rules; the policy's first if left out"},
};
static const struct cmd_option check_options[] = {
    {"--profile", "NAME", "judge every destination by this profile"},
};
static const struct cmd_option show_options[] = {
    {"--words", NULL, "the policy as sentences"},
    {"--effective", NULL, "every rule with its number and origin"},
};
static const struct cmd_option search_options[] = {
    CMD_CONFIG_OPTION,
    CMD_TOKEN_OPTION,
    {"--from", "TIME", "RFC 3339, from then on"},
    {"--to", "TIME", "RFC 3339, before then"},
    {"--act", "ACT", "record act, or row act with --rows"},
    {"--who", "WHO", "gw:.., api:.. or adm:..; records"},
    {"--outcome", "OUTCOME", "ok, denied or failed; records"},
    {"--rule", "NUMBER", "rule of the policy; decisions"},
    {"--reason", "NAME", "reason; decisions"},
    {"--receipt", "HEX", "this event's receipt; decisions"},
    {"--ids", "FILE", "of whoever has one of these, one a line; - reads them"},
    {"--site", "NAME", "only this site"},
    {"--destination", "NAME", "only what concerns this destination"},
    {"--rows", NULL, "decisions instead of records"},
    {"--format", "FORMAT", "text, jsonl or csv; jsonl unless on a terminal"},
    {"--count", NULL, "only how many"},
    {"--limit", "NUMBER", "at most so many results"},
    {"--after", "PLACE", "go on behind this record, or decision (12.3)"},
    {"--reverse", NULL, "newest first"},
    {"--no-index", NULL, "believe no index: read every record"},
    {"--tiles", "DIR", "the whole log as static files of tlog-tiles"},
};
/* The last one is of exports alone. */
#define SEARCH_OPTION_COUNT (COUNT(search_options) - 1)
static const struct cmd_option prune_options[] = {
    CMD_CONFIG_OPTION,
    CMD_TOKEN_OPTION,
    {"--dry-run", NULL, "say what would go, and do nothing"},
};
static const struct cmd_option hold_options[] = {
    CMD_CONFIG_OPTION,
    CMD_TOKEN_OPTION,
    {"--from", "TIME", "set: what is younger is held"},
    {"--to", "TIME", "set: and older than this; no end if left out"},
    {"--why", "CLASS:NAME", "set, lift: the reason, such as ticket:DPO-9"},
};
static const struct cmd_option verify_options[] = {
    CMD_CONFIG_OPTION,
    {"--key", "VKEY", "the log's public key, or a file with it"},
    {"--policy", "FILE", "who must have signed and witnessed (tlog-policy)"},
    {"--since", "FILE", "the log must begin with this older checkpoint"},
    {"--max-age", "SECONDS", "of the newest signed record"},
    {"--rows", NULL, "recount every row (always so)"},
    {"--checkpoint", "FILE", "write the log's checkpoint to this new file"},
};

static const struct cmd_option check_proof_options[] = {
    {"--key", "VKEY", "the log's public key, or a file with it"},
    {"--config", "FILE", "take the key from this gateway's signer folder"},
    {"--witness", "VKEY", "who must have cosigned; or a file, one a line"},
    {"--person", "FILE", "a receipt and its identifier, a line each"},
};
static const struct cmd_option prove_options[] = {
    CMD_CONFIG_OPTION,
    CMD_TOKEN_OPTION,
    {"--receipt", "HEX", "the decisions of this event; - reads it from stdin"},
    {"--record", "NUMBER", "a whole record"},
    {"--person", "FILE", "the opt-out of this receipt and identifier"},
    {"--again", "FILE", "this proof once more, by the newest checkpoint"},
    {"--out", "FILE", "the proof; further ones are named after it"},
};

static const struct cmd_option fork_options[] = {
    CMD_CONFIG_OPTION,
    {"--reason", "TICKET", "why; recorded in the new log"},
};
static const struct cmd_option canary_options[] = {
    CMD_CONFIG_OPTION,
    CMD_TOKEN_OPTION,
    {"--site", "NAME", "whose policy; may be left out when there is one site"},
    {"--count", "NUMBER", "how many, 1 to 1000; 100 if left out"},
};

#define OPTIONS(list) list, COUNT(list)

const struct cmd cmd_table[] = {
    {"init", "DIR",
     "Make a new config, its keys, an example policy and an "
     "empty opt-out list.",
     NULL, 0, cmd_init},
    {"check", "", "Check the config, its policies and keys, without starting.",
     OPTIONS(config_only), cmd_check},
    {"serve", "", "Run the gateway in the foreground.", OPTIONS(config_only),
     cmd_serve},
    {"signer", "", "Sign the audit log, in a process of its own.",
     OPTIONS(signer_options), cmd_signer},
    {"reload", "",
     "Take over changed policies, certificates, origins and "
     "destinations; all or nothing.",
     OPTIONS(asking), cmd_remote},
    {"status", "", "How the running gateway does.", OPTIONS(asking),
     cmd_remote},
    {"policy check", "FILE",
     "Check a policy as a load would; with --profile, each requirement.",
     OPTIONS(check_options), cmd_policy_check},
    {"policy explain", "POLICY [EVENTS]",
     "What becomes of each event of a sample, field by field.", NULL, 0,
     cmd_policy_explain},
    {"policy test", "FOLDER", "Run a folder of policy test cases.", NULL, 0,
     cmd_policy_test},
    {"policy diff", "OLD NEW", "What a change of policy means for people.",
     NULL, 0, cmd_policy_diff},
    {"policy show", "FILE", "Print a policy.", OPTIONS(show_options),
     cmd_policy_show},
    {"policy draft", "[EVENTS]",
     "A policy that drops everything found in a sample, to start from.", NULL,
     0, cmd_policy_draft},
    {"minimise", "[EVENTS]", "Clean old JSON Lines from standard input.",
     OPTIONS(minimise_options), cmd_minimise},
    {"audit search", "", "Find records or decisions.", search_options,
     SEARCH_OPTION_COUNT, cmd_audit_search},
    {"audit export", "", "The same as JSON Lines or CSV, for other programs.",
     OPTIONS(search_options), cmd_audit_export},
    {"audit verify", "[FOLDER]",
     "Is this the log that was signed, and does it add up?",
     OPTIONS(verify_options), cmd_audit_verify},
    {"audit prove", "", "Make a proof of a decision or a record, to take away.",
     OPTIONS(prove_options), cmd_audit_prove},
    {"audit check", "FILE...", "Check proofs, and say what they prove.",
     OPTIONS(check_proof_options), cmd_audit_check},
    {"audit canary", "",
     "Send events with known answers, and prove each decision.",
     OPTIONS(canary_options), cmd_audit_canary},
    {"audit fork", "",
     "Begin a new log where the old one was lost or changed; offline.",
     OPTIONS(fork_options), cmd_audit_fork},
    {"audit prune", "",
     "Delete what the policies in the log no longer keep of it.",
     OPTIONS(prune_options), cmd_audit_prune},
    {"audit hold", "set|lift|list [ID]",
     "Keep a span of the audit log in spite of its retention.",
     OPTIONS(hold_options), cmd_audit_hold},
    {"subject optout", "", "Opt people out, by identifiers on standard input.",
     OPTIONS(subject_options), cmd_subject},
    {"subject optin", "", "Lift opt-outs, by receipts or identifiers.",
     OPTIONS(subject_options), cmd_subject},
    {"subject status", "", "Are these identifiers opted out?",
     OPTIONS(subject_options), cmd_subject},
    {"subject find", "", "How many events are held of one person.",
     OPTIONS(person_options), cmd_person},
    {"subject export", "", "What is held of one person, as JSON Lines.",
     OPTIONS(person_options), cmd_person},
    {"subject erase", "", "Opt one person out, and erase what can be found.",
     OPTIONS(person_options), cmd_person},
    {"request open", "", "Enter a person's request; it is due in a month.",
     OPTIONS(request_open_options), cmd_request},
    {"request list", "",
     "Requests and when they are due; exit 1 if one is "
     "overdue.",
     OPTIONS(request_list_options), cmd_request},
    {"request extend", "ID", "Two months more, once, for a reason.",
     OPTIONS(request_extend_options), cmd_request},
    {"request close", "ID", "Say how a request ended.",
     OPTIONS(request_close_options), cmd_request},
    {"report ropa", "",
     "The record of processing activities (GDPR Art. 30), as things are now.",
     OPTIONS(config_site), cmd_remote},
    {"subject accept-loss", "",
     "Go on with the opt-out list as it is, though a newer one is lost.",
     OPTIONS(asking), cmd_remote},
    {"retention status", "", "What retention did last, and what is overdue.",
     OPTIONS(asking), cmd_remote},
    {"retention run", "", "Ask retention to run now.", OPTIONS(asking),
     cmd_remote},
    {"keys status", "", "Ids and ages of keys and epochs.", OPTIONS(asking),
     cmd_remote},
    {"keys rotate", "", "A new master key; all epochs begin anew.",
     OPTIONS(rotate_options), cmd_remote},
    {"keys destroy", "", "Destroy the epochs' secrets now; new ones begin.",
     OPTIONS(asking), cmd_remote},
    {"spool status", "", "What waits for delivery.", OPTIONS(asking),
     cmd_remote},
    {"spool dead", "", "Dead letters: cause, status, age.", OPTIONS(asking),
     cmd_remote},
    {"spool replay", "DESTINATION", "Try the dead letters again.",
     OPTIONS(config_site), cmd_remote},
    {"spool purge", "DESTINATION", "Throw away what waits.",
     OPTIONS(purge_options), cmd_remote},
    {"destination list", "", "Destinations and how they do.", OPTIONS(asking),
     cmd_remote},
    {"destination test", "DESTINATION", "Could something be delivered now?",
     OPTIONS(config_site), cmd_remote},
    {"destination pause", "DESTINATION", "Stop delivering; events wait.",
     OPTIONS(config_site), cmd_remote},
    {"destination resume", "DESTINATION", "Deliver again.",
     OPTIONS(config_site), cmd_remote},
    {"token add", "", "Make a token; it is shown once.", OPTIONS(token_options),
     cmd_token},
    {"token list", "", "Tokens, without their text.", OPTIONS(asking),
     cmd_token_list},
    {"token revoke", "ID", "Make a token worthless.", OPTIONS(asking),
     cmd_remote},
    {"site list", "", "Sites that the state knows.", OPTIONS(asking), cmd_site},
    {"site retire", "ID", "Forget a site, so that a config may lack it.",
     OPTIONS(asking), cmd_site},
    {"version", "", "Print the version.", NULL, 0, cmd_version},
    {NULL, NULL, NULL, NULL, 0, NULL},
};

int cmd_version(const struct cmd *self, int argc, char **argv)
{
    struct cmd_line l;
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    (void)printf(l.json ? "{\"version\":\"%s\"}\n" : "lethe %s\n",
                 LETHE_VERSION);
    return CMD_OK;
}

static void usage(FILE *to)
{
    (void)fprintf(to, "usage: lethe COMMAND [ARGUMENTS]\n\n"
                      "A privacy gateway for analytics. Commands:\n");
    for (const struct cmd *c = cmd_table; c->words != NULL; c++)
        (void)fprintf(to, "  %-19s %s\n", c->words, c->help);
    (void)fprintf(to, "\n`lethe COMMAND --help` tells more.\n");
}

/* The command of argv[1] or argv[1] and argv[2]; *words gets how many. */
static const struct cmd *find(int argc, char **argv, int *words)
{
    char two[64] = "";

    if (argc > 2)
        (void)snprintf(two, sizeof(two), "%s %s", argv[1], argv[2]);
    for (const struct cmd *c = cmd_table; c->words != NULL; c++) {
        *words = strchr(c->words, ' ') != NULL ? 2 : 1;
        if (strcmp(c->words, *words == 2 ? two : argv[1]) == 0)
            return c;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int words = 0;

    if (argc < 2) {
        usage(stderr);
        return CMD_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return CMD_OK;
    }
    if (strcmp(argv[1], "--version") == 0)
        argv[1] = (char[]){"version"};
    const struct cmd *c = find(argc, argv, &words);
    if (c == NULL) {
        usage(stderr);
        return CMD_USAGE;
    }
    return c->run(c, argc - 1 - words, argv + 1 + words);
}
