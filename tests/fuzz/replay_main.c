/* replay_main.c - a fuzz target's corpus, once, without libFuzzer:
 *
 *     fuzz_NAME FILE...
 *
 * Each file's name is printed before it is tried, so that the last line tells
 * which one ended the process. Ends with `N passed, 0 failed`. */
#include "fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CORPUS_FILE_MAX (1u << 20)

/* NULL, and said why: cannot be read, or larger than a corpus file may be. */
static uint8_t *load(const char *path, size_t *out_len)
{
    FILE *f = fopen(path, "rb");
    uint8_t *bytes = malloc(CORPUS_FILE_MAX + 1);
    size_t len = 0;
    bool ok = f != NULL && bytes != NULL;

    if (ok) {
        len = fread(bytes, 1, CORPUS_FILE_MAX + 1, f);
        ok = ferror(f) == 0 && len <= CORPUS_FILE_MAX;
    }
    if (f != NULL)
        (void)fclose(f);
    /* To its exact size, so that a sanitizer sees one byte beyond it. */
    uint8_t *exact = ok ? malloc(len > 0 ? len : 1) : NULL;
    if (exact == NULL)
        (void)fprintf(stderr, "%s: cannot be taken: %s\n", path,
                      len > CORPUS_FILE_MAX ? "too large" : strerror(errno));
    else if (len > 0)
        memcpy(exact, bytes, len);
    free(bytes);
    *out_len = len;
    return exact;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        size_t len;
        uint8_t *bytes = load(argv[i], &len);

        if (bytes == NULL)
            return 1;
        (void)printf("%s\n", argv[i]);
        (void)fflush(stdout);
        (void)LLVMFuzzerTestOneInput(bytes, len);
        free(bytes);
    }
    (void)printf("%d passed, 0 failed\n", argc - 1);
    return 0;
}
