/* A signed log, changed anywhere: never accepted.
 *
 * Input: a letter, then bytes. 'l': (offset, xor) triples over checkpoint,
 * records and rows as one. 'c': a checkpoint file; sound only if it still
 * holds one of the log's signature lines. 'p': a policy; 's': an older
 * checkpoint; 'k': a key: sound only where it is the log's. Works on a copy in
 * a folder of its own; run from the repository's root. */
#include "../unit/audit_fixture.h"
#include "fuzz.h"
#include "lethe/gateway/audit/verify.h"

#include <sys/stat.h>

#define LOG7 "tests/data/audit/log7"
#define VKEY7                                                                  \
    "gw1.example.eu/audit+b9f6bf80+AQOhB7/"                                    \
    "zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
#define FILES 3u

static const char *const names[FILES] = {"checkpoint", SEG0, ROWS0};
static char folder[64] = "/tmp/lethe-fuzz-verify-XXXXXX";
static char *bytes[FILES];
static size_t len[FILES];

static void drop_folder(void)
{
    (void)folder_remove(folder);
}

static void load(void)
{
    char path[128];

    if (mkdtemp(folder) == NULL || atexit(drop_folder) != 0)
        abort();
    for (unsigned k = 0; k < 2; k++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder,
                       k == 0 ? "seg" : "rows");
        if (mkdir(path, 0700) != 0)
            abort();
    }
    for (unsigned k = 0; k < FILES; k++) {
        bytes[k] = fixture_load(LOG7, names[k], &len[k]);
        if (bytes[k] == NULL ||
            !fixture_save(folder, names[k], bytes[k], len[k]))
            abort();
    }
}

static enum verify_verdict verdict(const char *key, const char *policy,
                                   const char *since)
{
    const struct verify_wish wish = {.folder = folder,
                                     .key = key,
                                     .policy = policy,
                                     .since = {since},
                                     .now_ms = INT64_C(1795338041000)};
    struct verify_report r;

    audit_verify(&wish, &r);
    return r.verdict;
}

static void change_log(const uint8_t *data, size_t size)
{
    char *copy[FILES];
    bool changed = false;

    for (unsigned k = 0; k < FILES; k++) {
        copy[k] = malloc(len[k]);
        if (copy[k] == NULL)
            abort();
        memcpy(copy[k], bytes[k], len[k]);
    }
    for (; size >= 3; data += 3, size -= 3) {
        size_t at =
            (size_t)(data[0] << 8 | data[1]) % (len[0] + len[1] + len[2]);
        unsigned k = 0;
        for (; at >= len[k]; k++)
            at -= len[k];
        copy[k][at] ^= (char)data[2];
    }
    for (unsigned k = 0; k < FILES; k++) {
        /* The witness's line binds only where a policy asks for it. */
        size_t counts = k == 0 ? len[k] - 133 : len[k];
        changed |= memcmp(copy[k], bytes[k], counts) != 0;
        if (!fixture_save(folder, names[k], copy[k], len[k]))
            abort();
    }
    if (changed && verdict(VKEY7, NULL, NULL) == VERIFY_SOUND)
        abort();
    for (unsigned k = 0; k < FILES; k++) {
        if (!fixture_save(folder, names[k], bytes[k], len[k]))
            abort();
        free(copy[k]);
    }
}

static void change_checkpoint(const char *text, size_t size)
{
    static const char line7[] = "gw1.example.eu/audit ufa/gDzwRksf";
    static const char line3[] = "gw1.example.eu/audit ufa/gAeXIch454";

    if (!fixture_save(folder, names[0], text, size))
        abort();
    if (verdict(VKEY7, NULL, NULL) == VERIFY_SOUND &&
        strstr(text, line7) == NULL && strstr(text, line3) == NULL)
        abort();
    if (!fixture_save(folder, names[0], bytes[0], len[0]))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (bytes[0] == NULL)
        load();
    if (size < 4 || size > 8192)
        return 0;
    char *text = calloc(1, size);
    if (text == NULL)
        return 0;
    memcpy(text, data + 1, size - 1);
    if (data[0] == 'l')
        change_log(data + 1, size - 1);
    else if (data[0] == 'c')
        change_checkpoint(text, size - 1);
    else if (data[0] == 'p')
        (void)verdict(VKEY7, text, NULL);
    else if (data[0] == 's')
        (void)verdict(VKEY7, NULL, text);
    else if (verdict(text, NULL, NULL) == VERIFY_SOUND &&
             strncmp(text, VKEY7, sizeof(VKEY7) - 1) != 0)
        abort();
    free(text);
    return 0;
}
