/* witness_rounds.c - the witnesses' client alone, without a gateway and without
 * waiting for its minutes: a round for each line on standard input. For
 * tests/scenario/test_witness.py.
 *
 *   witness_rounds FOLDER NAME URL KEY CA [NAME URL KEY CA ...]   CA "-": none
 *
 * Prints a line of JSON for each round: what each witness did, what was
 * anchored in it. */
#include "lethe/gateway/audit/witness.h"
#include "lethe/gateway/system_clock.h"
#include "lethe/policy/base/log.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define WORDS 4

static char anchors[1024];

static void anchored(void *ctx, const char *name, uint64_t size)
{
    size_t len = strlen(anchors);

    (void)ctx;
    (void)snprintf(anchors + len, sizeof(anchors) - len,
                   "%s[\"%s\",%" PRIu64 "]", len > 0 ? "," : "", name, size);
}

static void print(struct witnesses *w)
{
    struct witness_facts facts[CONF_WITNESSES_MAX];
    unsigned n = witnesses_facts(w, facts, CONF_WITNESSES_MAX);

    (void)printf("{\"anchored\":[%s],\"witnesses\":[", anchors);
    for (unsigned i = 0; i < n; i++)
        (void)printf("%s{\"name\":\"%s\",\"state\":\"%s\",\"status\":%d,"
                     "\"size\":%" PRIu64 ",\"cosigned\":%" PRIu64
                     ",\"failed\":%" PRIu64 "}",
                     i > 0 ? "," : "", facts[i].name,
                     witness_state_name(facts[i].state), facts[i].status,
                     facts[i].size, facts[i].cosigned, facts[i].failed);
    (void)printf("]}\n");
    (void)fflush(stdout);
}

static void to_stderr(enum log_level level, const char *line)
{
    (void)level;
    (void)fprintf(stderr, "%s\n", line);
}

int main(int argc, char **argv)
{
    struct conf_witness list[CONF_WITNESSES_MAX];
    struct witnesses_config config = {.list = list,
                                      .clock = system_clock(),
                                      .timeout_ms = 2000,
                                      .anchored = anchored};
    struct witnesses *w = NULL;
    char line[16];

    if (argc < 2 + WORDS || (argc - 2) % WORDS != 0 ||
        (unsigned)(argc - 2) / WORDS > CONF_WITNESSES_MAX || sodium_init() < 0)
        return 3;
    config.folder = argv[1];
    for (int at = 2; at < argc; at += WORDS)
        list[config.count++] = (struct conf_witness){
            .name = argv[at],
            .url = argv[at + 1],
            .key = argv[at + 2],
            .ca = strcmp(argv[at + 3], "-") == 0 ? NULL : argv[at + 3]};
    log_set(to_stderr, LOG_LEVEL_INFO, 0);
    enum status st = witnesses_open(&config, &w);
    if (st != ST_OK) {
        (void)fprintf(stderr, "witness_rounds: %s\n", status_name(st));
        return 2;
    }
    while (fgets(line, sizeof(line), stdin) != NULL) {
        anchors[0] = '\0';
        witnesses_round(w);
        print(w);
    }
    witnesses_close(w);
    return 0;
}
