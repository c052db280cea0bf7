/* main.c - the verifier without a gateway around it, for an auditor who wants
 * to read all of what judges: `make build/lethe-verify`. */
#include "lethe/gateway/audit/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char *read_text(const char *path)
{
    char *text = calloc(1, VERIFY_NOTE_MAX + 1);
    FILE *f = fopen(path, "re");

    if (f == NULL || text == NULL) {
        (void)fprintf(stderr, "lethe-verify: %s: cannot be read\n", path);
        exit(VERIFY_USAGE);
    }
    (void)!fread(text, 1, VERIFY_NOTE_MAX, f);
    (void)fclose(f);
    return text;
}

int main(int argc, char **argv)
{
    struct verify_wish wish = {.now_ms = (int64_t)time(NULL) * 1000};
    struct verify_report report;
    char *text[3] = {NULL, NULL, NULL};

    for (int i = 3; i < argc && i < 6; i++)
        text[i - 3] = read_text(argv[i]);
    if (argc < 3 || argc > 5) {
        (void)fprintf(stderr, "usage: lethe-verify FOLDER VKEY [POLICY-FILE "
                              "[OLDER-CHECKPOINT-FILE]]\n");
        return VERIFY_USAGE;
    }
    wish.folder = argv[1];
    wish.key = argv[2];
    wish.policy = text[0];
    wish.since[0] = text[1];
    audit_verify(&wish, &report);
    (void)printf("%s\n", report.text);
    for (int i = 0; i < 3; i++)
        free(text[i]);
    return (int)report.verdict;
}
