#include "lethe/gateway/rights/optout_record.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static const uint8_t magic[8] = {'L', 'E', 'T', 'H', 'E', 'O', 'O', '1'};

enum { /* offsets in the header */
       HEADER_ID = 8,
       HEADER_CHECK = 32,
       HEADER_SUM = 96
};
enum { /* offsets in a record */
       AT_NUMBER = 0,
       AT_TIME = 8,
       AT_TAG = 16,
       AT_COMMITMENT = 32,
       AT_REF = 64,
       AT_KIND = 72,
       AT_PACKED = 73,
       AT_SITE = 74,
       AT_BATCH = 76,
       AT_COMMIT_KEY = 80,
       AT_HASH = 96
};
enum { SITE_ROOM = AT_KIND - AT_TAG };

static void put_u64(uint8_t *at, uint64_t v)
{
    for (int i = 7; i >= 0; i--, v >>= 8)
        at[i] = (uint8_t)v;
}

static uint64_t get_u64(const uint8_t *at)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | at[i];
    return v;
}

static void header_keyed(const uint8_t header[OPTOUT_HEADER_BYTES],
                         const uint8_t key[KEY_BYTES], uint8_t out[32])
{
    (void)crypto_generichash(out, 32, header, HEADER_CHECK, key, KEY_BYTES);
}

static void header_sum(const uint8_t header[OPTOUT_HEADER_BYTES],
                       uint8_t out[32])
{
    (void)crypto_generichash(out, 32, header, HEADER_SUM, NULL, 0);
}

void optout_header_make(const uint8_t key[KEY_BYTES], const uint8_t id[16],
                        uint8_t out[OPTOUT_HEADER_BYTES])
{
    memset(out, 0, OPTOUT_HEADER_BYTES);
    memcpy(out, magic, sizeof(magic));
    memcpy(out + HEADER_ID, id, 16);
    header_keyed(out, key, out + HEADER_CHECK);
    header_sum(out, out + HEADER_SUM);
}

enum status optout_header_check(const uint8_t header[OPTOUT_HEADER_BYTES],
                                const uint8_t key[KEY_BYTES])
{
    uint8_t want[32];

    header_sum(header, want);
    if (memcmp(header, magic, sizeof(magic)) != 0 ||
        memcmp(header + HEADER_SUM, want, sizeof(want)) != 0)
        return ST_CORRUPT;
    header_keyed(header, key, want);
    if (sodium_memcmp(header + HEADER_CHECK, want, sizeof(want)) != 0)
        return ST_DENIED;
    return ST_OK;
}

void optout_header_id(const uint8_t header[OPTOUT_HEADER_BYTES],
                      uint8_t out[16])
{
    memcpy(out, header + HEADER_ID, 16);
}

void optout_hash_first(const uint8_t header[OPTOUT_HEADER_BYTES],
                       uint8_t out[OPTOUT_HASH_BYTES])
{
    (void)crypto_generichash(out, OPTOUT_HASH_BYTES, header,
                             OPTOUT_HEADER_BYTES, NULL, 0);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t site_len(const char *id)
{
    size_t len = 0;

    while (len < OPTOUT_SITE_MAX && id[len] != '\0')
        len++;
    return len;
}

/* The site's id into its room; `site` keeps its length. */
static void encode_site(const char *id, uint8_t record[OPTOUT_RECORD_BYTES])
{
    size_t len = site_len(id);
    bool hex = true;

    for (size_t i = 0; i < len; i++)
        hex = hex && hex_digit(id[i]) >= 0;
    assert(hex || len <= SITE_ROOM);
    record[AT_PACKED] = hex;
    record[AT_SITE + 1] = (uint8_t)len;
    for (size_t i = 0; i < len; i++) {
        uint8_t *at = record + AT_TAG + (hex ? i / 2 : i);
        if (!hex)
            *at = (uint8_t)id[i];
        else
            *at |= (uint8_t)(hex_digit(id[i]) << (i % 2 == 0 ? 4 : 0));
    }
}

static enum status decode_site(const uint8_t record[OPTOUT_RECORD_BYTES],
                               char out[OPTOUT_SITE_MAX + 1])
{
    size_t len = record[AT_SITE + 1];
    bool hex = record[AT_PACKED] == 1;

    if (len == 0 || len > (hex ? OPTOUT_SITE_MAX : SITE_ROOM))
        return ST_CORRUPT;
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = record[AT_TAG + (hex ? i / 2 : i)];
        out[i] = hex ? "0123456789abcdef"[i % 2 == 0 ? byte >> 4 : byte & 15]
                     : (char)byte;
    }
    out[len] = '\0';
    return ST_OK;
}

void optout_record_encode(const struct optout_change *c,
                          const uint8_t before[OPTOUT_HASH_BYTES],
                          uint8_t out[OPTOUT_RECORD_BYTES])
{
    memset(out, 0, OPTOUT_RECORD_BYTES);
    put_u64(out + AT_NUMBER, c->number);
    put_u64(out + AT_TIME, (uint64_t)c->time_ms);
    out[AT_KIND] = (uint8_t)c->kind;
    for (int i = 0; i < 4; i++)
        out[AT_BATCH + i] = (uint8_t)(c->batch >> (24 - 8 * i));
    if (c->kind == OPTOUT_KIND_SITE) {
        encode_site(c->site_id, out);
    } else {
        memcpy(out + AT_TAG, c->tag, TAG_BYTES);
        memcpy(out + AT_COMMITMENT, c->commitment, 32);
        if (c->kind == OPTOUT_KIND_LIFT)
            put_u64(out + AT_COMMITMENT, (uint64_t)c->set_ms);
        put_u64(out + AT_REF, c->ref);
        out[AT_SITE] = (uint8_t)(c->site >> 8);
        out[AT_SITE + 1] = (uint8_t)c->site;
        memcpy(out + AT_COMMIT_KEY, c->commit_key, OPTOUT_COMMIT_KEY);
    }
    optout_record_chain(out, before, out + AT_HASH);
}

const uint8_t *optout_record_hash(const uint8_t record[OPTOUT_RECORD_BYTES])
{
    return record + AT_HASH;
}

void optout_record_chain(const uint8_t record[OPTOUT_RECORD_BYTES],
                         const uint8_t before[OPTOUT_HASH_BYTES],
                         uint8_t out[OPTOUT_HASH_BYTES])
{
    uint8_t both[OPTOUT_HASH_BYTES + OPTOUT_BODY_BYTES];

    memcpy(both, before, OPTOUT_HASH_BYTES);
    memcpy(both + OPTOUT_HASH_BYTES, record, OPTOUT_BODY_BYTES);
    (void)crypto_generichash(out, OPTOUT_HASH_BYTES, both, sizeof(both), NULL,
                             0);
}

bool optout_record_follows(const uint8_t record[OPTOUT_RECORD_BYTES],
                           const uint8_t before[OPTOUT_HASH_BYTES],
                           uint64_t number)
{
    uint8_t want[OPTOUT_HASH_BYTES];

    if (get_u64(record + AT_NUMBER) != number)
        return false;
    optout_record_chain(record, before, want);
    return memcmp(want, record + AT_HASH, sizeof(want)) == 0;
}

enum status optout_record_decode(const uint8_t record[OPTOUT_RECORD_BYTES],
                                 struct optout_change *out)
{
    struct optout_change c = {0};
    uint8_t kind = record[AT_KIND];

    if (kind < OPTOUT_KIND_SET || kind > OPTOUT_KIND_SITE)
        return ST_CORRUPT;
    c.kind = (enum optout_kind)kind;
    c.number = get_u64(record + AT_NUMBER);
    c.time_ms = (int64_t)get_u64(record + AT_TIME);
    for (int i = 0; i < 4; i++)
        c.batch = c.batch << 8 | record[AT_BATCH + i];
    if (c.kind == OPTOUT_KIND_SITE) {
        if (decode_site(record, c.site_id) != ST_OK)
            return ST_CORRUPT;
    } else {
        memcpy(c.tag, record + AT_TAG, TAG_BYTES);
        memcpy(c.commitment, record + AT_COMMITMENT, 32);
        c.set_ms = (int64_t)get_u64(record + AT_COMMITMENT);
        memcpy(c.commit_key, record + AT_COMMIT_KEY, OPTOUT_COMMIT_KEY);
        c.ref = get_u64(record + AT_REF);
        c.site = (uint16_t)(record[AT_SITE] << 8 | record[AT_SITE + 1]);
    }
    *out = c;
    return ST_OK;
}

void optout_record_erase_key(uint8_t record[OPTOUT_RECORD_BYTES])
{
    memset(record + AT_COMMIT_KEY, 0, OPTOUT_COMMIT_KEY);
}

void optout_change_seal(struct optout_change *c, const uint8_t key[KEY_BYTES],
                        const uint8_t id[16])
{
    static const char label[16] = "lethe.optout.pad";
    uint8_t message[16 + 16 + 8 + 8 + TAG_BYTES];
    uint8_t pad[32 + OPTOUT_COMMIT_KEY];

    memcpy(message, label, 16);
    memcpy(message + 16, id, 16);
    put_u64(message + 32, c->number);
    put_u64(message + 40, (uint64_t)c->time_ms);
    memcpy(message + 48, c->tag, TAG_BYTES);
    (void)crypto_generichash(pad, sizeof(pad), message, sizeof(message), key,
                             KEY_BYTES);
    for (size_t i = 0; i < 32; i++)
        c->commitment[i] ^= pad[i];
    for (size_t i = 0; i < OPTOUT_COMMIT_KEY; i++)
        c->commit_key[i] ^= pad[32 + i];
    sodium_memzero(pad, sizeof(pad));
}

bool optout_change_key_erased(const struct optout_change *c)
{
    return sodium_is_zero(c->commit_key, OPTOUT_COMMIT_KEY) == 1;
}
