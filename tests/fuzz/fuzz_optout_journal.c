/* A journal of any bytes opens or is refused; what it gives is the chain that
 * stands in the file, record by record, and nothing else.
 * Byte 0: 1 = a good header goes first; 2 = hashes are made good, so that the
 * fields behind them are reached. */
#include "fuzz.h"
#include "lethe/gateway/rights/optout_journal.h"
#include "lethe/policy/pseudonym.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORDS_MAX 256u
#define BYTES_MAX   (OPTOUT_HEADER_BYTES + RECORDS_MAX * OPTOUT_RECORD_BYTES)

static const uint8_t key[KEY_BYTES] = {7};
static const uint8_t id[16] = {3};

/* The chain's own formula, written a second time. */
static void chain(uint8_t hash[32], const uint8_t *record)
{
    uint8_t both[32 + 80];

    memcpy(both, hash, 32);
    memcpy(both + 32, record, 80);
    plain_hash(both, sizeof(both), hash);
}

static size_t build(const uint8_t *data, size_t size, uint8_t *out)
{
    uint8_t flags = size > 0 ? data[0] : 0, hash[32];
    size_t len = 0, from = size > 0;

    if (flags & 1) {
        optout_header_make(key, id, out);
        len = OPTOUT_HEADER_BYTES;
    }
    size_t more = size - from < BYTES_MAX - len ? size - from : BYTES_MAX - len;
    memcpy(out + len, data + from, more);
    len += more;
    if ((flags & 3) != 3)
        return len;
    plain_hash(out, OPTOUT_HEADER_BYTES, hash);
    for (size_t at = OPTOUT_HEADER_BYTES, n = 1;
         at + OPTOUT_RECORD_BYTES <= len; at += OPTOUT_RECORD_BYTES, n++) {
        memset(out + at, 0, 8);
        out[at + 6] = (uint8_t)(n >> 8);
        out[at + 7] = (uint8_t)n;
        chain(hash, out + at);
        memcpy(out + at + 96, hash, 32);
    }
    return len;
}

static uint64_t seen;

static enum status each(void *ctx, const uint8_t record[OPTOUT_RECORD_BYTES])
{
    struct optout_change c;
    const uint8_t *bytes = ctx;

    check(memcmp(record,
                 bytes + OPTOUT_HEADER_BYTES + seen * OPTOUT_RECORD_BYTES,
                 OPTOUT_RECORD_BYTES) == 0);
    seen++;
    if (optout_record_decode(record, &c) == ST_OK) {
        check(c.number == seen);
        check(memchr(c.site_id, '\0', sizeof(c.site_id)) != NULL);
    }
    return ST_OK;
}

/* How many records of the file follow each other. */
static uint64_t chained(const uint8_t *bytes, size_t len, uint8_t hash[32])
{
    uint64_t n = 0;
    uint8_t next[32];

    plain_hash(bytes, OPTOUT_HEADER_BYTES, hash);
    for (size_t at = OPTOUT_HEADER_BYTES; at + OPTOUT_RECORD_BYTES <= len;
         at += OPTOUT_RECORD_BYTES, n++) {
        uint64_t number = 0;
        for (size_t i = 0; i < 8; i++)
            number = number << 8 | bytes[at + i];
        memcpy(next, hash, 32);
        chain(next, bytes + at);
        if (number != n + 1 || memcmp(next, bytes + at + 96, 32) != 0)
            break;
        memcpy(hash, next, 32);
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[BYTES_MAX];
    char path[64];
    uint8_t hash[32], got[32];
    struct optout_journal *j = NULL;
    size_t len = build(data, size, bytes);

    (void)snprintf(path, sizeof(path), "/dev/shm/lethe-fuzz-%d", (int)getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    check(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
    (void)close(fd);
    seen = 0;
    enum status st = optout_journal_open(path, key, false, each, bytes, &j);
    if (len < OPTOUT_HEADER_BYTES || optout_header_check(bytes, key) != ST_OK)
        check(st != ST_OK && seen == 0);
    else
        check(seen == chained(bytes, len, hash));
    if (st == ST_OK) {
        check(optout_journal_newest(j, got) == seen);
        check(memcmp(got, hash, 32) == 0);
        check(optout_journal_ready(j) == ST_OK);
        optout_journal_close(j);
        /* Ready has cut the rest off: the same again, and never an error. */
        uint64_t first = seen;
        seen = 0;
        j = NULL;
        check(optout_journal_open(path, key, false, each, bytes, &j) == ST_OK);
        check(seen == first);
    }
    optout_journal_close(j);
    (void)unlink(path);
    return 0;
}
