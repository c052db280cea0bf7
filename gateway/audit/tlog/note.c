/* note.c - reading, checking and signing notes. */
#include "lethe/gateway/audit/tlog/note.h"

#include "base64.h"
#include "lethe/gateway/audit/merkle.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#define DASH         "\xe2\x80\x94 " /* an em dash and a space, in UTF-8 */
#define ID_BYTES     4u
#define TIME_BYTES   8u
#define CODE_MAX     2732u /* base64 read of a signature line: 2,049 bytes */
#define SIGN_BYTES   crypto_sign_BYTES
#define COSIGN_START "cosignature/v1\ntime "

_Static_assert(NOTE_PUBLIC_BYTES == crypto_sign_PUBLICKEYBYTES, "Ed25519");
_Static_assert(NOTE_SEED_BYTES == crypto_sign_SEEDBYTES, "Ed25519");
_Static_assert(sizeof(((struct note_signer *)NULL)->secret) ==
                   crypto_sign_SECRETKEYBYTES,
               "Ed25519");
_Static_assert(NOTE_BLOB_MAX == ID_BYTES + TIME_BYTES + 64u, "longest known");

bool note_name_ok(struct slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] <= 0x20 || name.at[i] > 0x7e || name.at[i] == '+')
            return false;
    return name.len > 0 && name.len <= NOTE_NAME_MAX;
}

/* SHA-256(name || 0x0A || type || key), its first four bytes. */
static void make_id(struct note_key *k)
{
    uint8_t bytes[NOTE_NAME_MAX + 2 + NOTE_PUBLIC_BYTES], hash[HASH_BYTES];
    size_t len = strlen(k->name);

    memcpy(bytes, k->name, len);
    bytes[len++] = '\n';
    bytes[len++] = (uint8_t)k->type;
    memcpy(bytes + len, k->public_key, NOTE_PUBLIC_BYTES);
    sha256(bytes, len + NOTE_PUBLIC_BYTES, hash);
    memcpy(k->id, hash, ID_BYTES);
}

void note_key_text(const struct note_key *key, char out[NOTE_VKEY_MAX])
{
    uint8_t bytes[1 + NOTE_PUBLIC_BYTES];
    size_t len = strlen(key->name);

    bytes[0] = (uint8_t)key->type;
    memcpy(bytes + 1, key->public_key, NOTE_PUBLIC_BYTES);
    memcpy(out, key->name, len);
    out[len++] = '+';
    sodium_bin2hex(out + len, 2 * ID_BYTES + 1, key->id, ID_BYTES);
    len += 2 * ID_BYTES;
    out[len++] = '+';
    sodium_bin2base64(out + len, NOTE_VKEY_MAX - len, bytes, sizeof(bytes),
                      sodium_base64_VARIANT_ORIGINAL);
}

enum status note_key_read(struct slice vkey, struct note_key *out)
{
    uint8_t bytes[1 + NOTE_PUBLIC_BYTES];
    char again[NOTE_VKEY_MAX];
    struct note_key key = {.type = NOTE_ED25519};
    size_t plus = slice_find(vkey, '+'), len;

    if (!note_name_ok(slice_head(vkey, plus)) ||
        vkey.len <= plus + 2 + 2 * ID_BYTES ||
        !base64_read(slice_skip(vkey, plus + 2 + 2 * ID_BYTES), bytes,
                     sizeof(bytes), &len) ||
        len == 0)
        return ST_SYNTAX;
    if (bytes[0] != NOTE_ED25519 && bytes[0] != NOTE_COSIGNATURE)
        return ST_TYPE;
    if (len != sizeof(bytes))
        return ST_SYNTAX;
    memcpy(key.name, vkey.at, plus);
    key.type = (enum note_key_type)bytes[0];
    memcpy(key.public_key, bytes + 1, NOTE_PUBLIC_BYTES);
    make_id(&key);
    note_key_text(&key, again);
    if (!slice_eq(slice_of(again), vkey))
        return ST_SYNTAX;
    *out = key;
    return ST_OK;
}

enum status note_signer_make(struct slice name, enum note_key_type type,
                             const uint8_t seed[NOTE_SEED_BYTES],
                             struct note_signer *out)
{
    if (!note_name_ok(name))
        return ST_SYNTAX;
    *out = (struct note_signer){.key = {.type = type}};
    memcpy(out->key.name, name.at, name.len);
    crypto_sign_seed_keypair(out->key.public_key, out->secret, seed);
    make_id(&out->key);
    return ST_OK;
}

void note_signer_wipe(struct note_signer *s)
{
    sodium_memzero(s, sizeof(*s));
}

/* Whole lines, no control characters but their ends. */
static bool is_text(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.at[i] < 0x20 && s.at[i] != '\n') ||
            s.at[i] == 0x7f)
            return false;
    return s.len > 0 && s.at[s.len - 1] == '\n';
}

/* Where the signatures start: behind the last empty line. */
static bool find_signatures(struct slice s, size_t *out)
{
    for (size_t i = s.len; i > 1; i--)
        if (s.at[i - 1] == '\n' && s.at[i - 2] == '\n') {
            *out = i;
            return true;
        }
    return false;
}

static enum status read_line(struct slice line, struct note_line *out)
{
    struct slice rest = slice_skip(line, sizeof(DASH) - 1);
    size_t space = slice_find(rest, ' ');
    struct slice code = slice_skip(rest, space + 1);
    uint8_t bytes[CODE_MAX / 4 * 3];
    size_t len;

    if (!slice_starts(line, SLICE(DASH)) ||
        !note_name_ok(slice_head(rest, space)) || code.len == 0)
        return ST_SYNTAX;
    /* Other kinds of keys may sign with more bytes than we know of. */
    if (code.len > CODE_MAX)
        return ST_LIMIT;
    if (!base64_read(code, bytes, sizeof(bytes), &len) || len <= ID_BYTES)
        return ST_SYNTAX;
    *out = (struct note_line){.name = slice_head(rest, space)};
    out->blob_len = len <= NOTE_BLOB_MAX ? len : 0;
    memcpy(out->blob, bytes, len <= NOTE_BLOB_MAX ? len : ID_BYTES);
    return ST_OK;
}

enum status note_read(struct slice bytes, struct note *out)
{
    struct note n = {.count = 0};
    size_t at;

    if (bytes.len > NOTE_BYTES_MAX)
        return ST_LIMIT;
    if (!is_text(bytes) || !find_signatures(bytes, &at))
        return ST_SYNTAX;
    n.text = slice_head(bytes, at - 1);
    for (struct slice rest = slice_skip(bytes, at); rest.len > 0;) {
        size_t end = slice_find(rest, '\n');
        if (n.count == NOTE_SIGNATURES_MAX)
            return ST_LIMIT;
        enum status st = read_line(slice_head(rest, end), &n.lines[n.count]);
        if (st != ST_OK)
            return st;
        n.count++;
        rest = slice_skip(rest, end + 1);
    }
    if (n.count == 0)
        return ST_SYNTAX;
    *out = n;
    return ST_OK;
}

/* What is signed: the text, for a cosignature with its time before it. */
static enum status message(enum note_key_type type, uint64_t time_s,
                           struct slice text, struct buf *out)
{
    buf_init(out, NOTE_BYTES_MAX + 64u);
    if (type == NOTE_COSIGNATURE)
        buf_printf(out, COSIGN_START "%" PRIu64 "\n", time_s);
    buf_put(out, text);
    return out->failed ? ST_NOMEM : ST_OK;
}

static uint64_t read_time(const uint8_t *at)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < TIME_BYTES; i++)
        v = v << 8 | at[i];
    return v;
}

static enum status check_line(const struct note_line *l,
                              const struct note_key *key, struct slice text,
                              uint64_t *out_time)
{
    size_t head = ID_BYTES + (key->type == NOTE_COSIGNATURE ? TIME_BYTES : 0);
    uint64_t time_s = 0;
    struct buf b;

    if (l->blob_len != head + SIGN_BYTES)
        return ST_CRYPTO;
    if (key->type == NOTE_COSIGNATURE)
        time_s = read_time(l->blob + ID_BYTES);
    enum status st = message(key->type, time_s, text, &b);
    if (st == ST_OK &&
        crypto_sign_verify_detached(l->blob + head, (const uint8_t *)b.data,
                                    b.len, key->public_key) != 0)
        st = ST_CRYPTO;
    buf_free(&b);
    if (st == ST_OK)
        *out_time = time_s;
    return st;
}

enum status note_check(const struct note *n, const struct note_key *key,
                       uint64_t *out_time)
{
    uint64_t time_s = 0;
    bool any = false;

    for (unsigned i = 0; i < n->count; i++) {
        const struct note_line *l = &n->lines[i];
        if (!slice_eq(l->name, slice_of(key->name)) ||
            memcmp(l->blob, key->id, ID_BYTES) != 0)
            continue;
        enum status st = check_line(l, key, n->text, &time_s);
        if (st != ST_OK)
            return st;
        any = true;
    }
    if (!any)
        return ST_UNKNOWN;
    if (out_time != NULL)
        *out_time = time_s;
    return ST_OK;
}

enum status note_sign(const struct note_signer *s, struct slice text,
                      uint64_t time_s, struct buf *out)
{
    bool timed = s->key.type == NOTE_COSIGNATURE;
    uint8_t blob[NOTE_BLOB_MAX];
    char code[sodium_base64_ENCODED_LEN(NOTE_BLOB_MAX,
                                        sodium_base64_VARIANT_ORIGINAL)];
    size_t len = ID_BYTES;
    struct buf b;

    if (!is_text(text) || text.len > NOTE_BYTES_MAX)
        return ST_SYNTAX;
    enum status st = message(s->key.type, time_s, text, &b);
    if (st == ST_OK) {
        memcpy(blob, s->key.id, ID_BYTES);
        for (unsigned i = TIME_BYTES; timed && i > 0; i--)
            blob[len++] = (uint8_t)(time_s >> 8 * (i - 1));
        crypto_sign_detached(blob + len, NULL, (const uint8_t *)b.data, b.len,
                             s->secret);
        sodium_bin2base64(code, sizeof(code), blob, len + SIGN_BYTES,
                          sodium_base64_VARIANT_ORIGINAL);
        buf_printf(out, DASH "%s %s\n", s->key.name, code);
        st = out->failed ? ST_NOMEM : ST_OK;
    }
    buf_free(&b);
    return st;
}
