/* Tree proofs, notes, checkpoints and tile paths: against the vectors of
 * another hand, and against the definitions of RFC 6962. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lethe/gateway/audit/tlog/checkpoint.h"
#include "lethe/gateway/audit/tlog/note.h"
#include "lethe/gateway/audit/tlog/tree.h"
#include "lethe/gateway/file.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG7        "tests/data/audit/log7/"
#define LEAVES_MAX  2000u
#define ORIGIN      SLICE("gw1.example.eu/audit")
#define WITNESS     SLICE("witness.example.org/w1")
#define COSIGN_TIME 1795338042u

typedef uint8_t hash_t[HASH_BYTES];

static unsigned seed = 6962;

static size_t next_random(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static hash_t leaves[LEAVES_MAX];
static struct buf vectors;

/* The k-th string behind `"key": ` (k = 0: its value, or the first of its
 * list), with its escapes undone. */
static const char *vector(const char *key, unsigned k)
{
    static char out[8192];
    char name[64];
    size_t n = 0;

    (void)snprintf(name, sizeof(name), "\"%s\": ", key);
    const char *at = strstr(vectors.data, name);
    assert_non_null(at);
    at = strchr(at + strlen(name), '"') + 1;
    for (; k > 0; k--)
        at = strchr(strchr(at, '"') + 1, '"') + 1;
    for (; *at != '"'; at++) {
        if (*at == '\\')
            at++;
        out[n++] = at[-1] == '\\' && *at == 'n' ? '\n' : *at;
    }
    out[n] = '\0';
    return out;
}

static void vector_hash(const char *key, unsigned k, hash_t out)
{
    char line[64];

    (void)snprintf(line, sizeof(line), "%s\n", vector(key, k));
    struct slice s = slice_of(line);
    assert_true(hash_line_take(&s, out));
    assert_int_equal(s.len, 0);
}

static int setup(void **state)
{
    (void)state;
    if (sodium_init() < 0 ||
        file_read("tests/data/audit/vectors.json", 1u << 20, &vectors) != ST_OK)
        return -1;
    buf_put_char(&vectors, '\0');
    return vectors.failed ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_free(&vectors);
    return 0;
}

/* ---- the definitions, without a shortcut ------------------------------- */

static size_t naive_split(size_t n)
{
    size_t k = 1;

    while (k * 2 < n)
        k *= 2;
    return k;
}

static void naive_root(hash_t *d, size_t n, hash_t out)
{
    hash_t left, right;

    if (n == 0) {
        sha256(NULL, 0, out);
    } else if (n == 1) {
        memcpy(out, d[0], HASH_BYTES);
    } else {
        size_t k = naive_split(n);
        naive_root(d, k, left);
        naive_root(d + k, n - k, right);
        merkle_node(left, right, out);
    }
}

static void naive_path(size_t m, hash_t *d, size_t n, struct tree_proof *out)
{
    if (n == 1)
        return;
    size_t k = naive_split(n);
    if (m < k) {
        naive_path(m, d, k, out);
        naive_root(d + k, n - k, out->hashes[out->count++]);
    } else {
        naive_path(m - k, d + k, n - k, out);
        naive_root(d, k, out->hashes[out->count++]);
    }
}

static void naive_consistency(size_t m, hash_t *d, size_t n, bool known,
                              struct tree_proof *out)
{
    if (m == n) {
        if (!known)
            naive_root(d, n, out->hashes[out->count++]);
        return;
    }
    size_t k = naive_split(n);
    if (m <= k) {
        naive_consistency(m, d, k, known, out);
        naive_root(d + k, n - k, out->hashes[out->count++]);
    } else {
        naive_consistency(m - k, d + k, n - k, false, out);
        naive_root(d, k, out->hashes[out->count++]);
    }
}

static enum status from_leaves(void *ctx, unsigned level, uint64_t number,
                               uint8_t out[HASH_BYTES])
{
    size_t size = *(size_t *)ctx, from = (size_t)number << level;

    assert_true(from + ((size_t)1 << level) <= size); /* whole, and there */
    naive_root(&leaves[from], (size_t)1 << level, out);
    return ST_OK;
}

/* ---- trees -------------------------------------------------------------- */

static void assert_same(const struct tree_proof *a, const struct tree_proof *b)
{
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->hashes, b->hashes, a->count * HASH_BYTES);
}

static void make_leaves(unsigned from)
{
    for (unsigned i = 0; i < LEAVES_MAX; i++) {
        unsigned data[2] = {from, i};
        merkle_leaf(data, sizeof(data), leaves[i]);
    }
}

/* A proof that differs anywhere is none. */
static void spoil(struct tree_proof *p, uint64_t old, uint64_t size,
                  const uint8_t *leaf, const uint8_t *before,
                  const uint8_t *root)
{
    unsigned count = p->count;

    for (unsigned i = 0; i < count; i++) {
        p->hashes[i][i % HASH_BYTES] ^= 1;
        if (leaf != NULL)
            assert_int_equal(tree_check_inclusion(p, old, size, leaf, root),
                             ST_MISMATCH);
        else
            assert_int_equal(tree_check_consistency(p, old, before, size, root),
                             ST_MISMATCH);
        p->hashes[i][i % HASH_BYTES] ^= 1;
    }
    for (unsigned more = 0; more < 2; more++) {
        p->count = more == 1 ? count + 1 : count - 1;
        if (count == 0 && more == 0)
            continue;
        memset(p->hashes[count], 0, HASH_BYTES);
        if (leaf != NULL)
            assert_int_equal(tree_check_inclusion(p, old, size, leaf, root),
                             ST_MISMATCH);
        else
            assert_int_equal(tree_check_consistency(p, old, before, size, root),
                             ST_MISMATCH);
    }
    p->count = count;
}

static void check_tree(size_t size, size_t index, size_t old)
{
    struct tree_source source = {from_leaves, &size};
    struct tree_proof got, want = {.count = 0};
    hash_t root, naive, before;

    naive_root(leaves, size, naive);
    assert_int_equal(tree_root(&source, size, root), ST_OK);
    assert_memory_equal(root, naive, HASH_BYTES);
    assert_int_equal(tree_inclusion(&source, index, size, &got), ST_OK);
    naive_path(index, leaves, size, &want);
    assert_same(&got, &want);
    assert_int_equal(
        tree_check_inclusion(&got, index, size, leaves[index], root), ST_OK);
    assert_int_equal(tree_check_inclusion(&got, index, size,
                                          leaves[(index + 1) % LEAVES_MAX],
                                          root),
                     ST_MISMATCH);
    spoil(&got, index, size, leaves[index], NULL, root);

    want.count = 0;
    naive_root(leaves, old, before);
    assert_int_equal(tree_consistency(&source, old, size, &got), ST_OK);
    if (old > 0)
        naive_consistency(old, leaves, size, true, &want);
    assert_same(&got, &want);
    assert_int_equal(tree_check_consistency(&got, old, before, size, root),
                     ST_OK);
    spoil(&got, old, size, NULL, before, root);
    before[7] ^= 1;
    assert_int_equal(tree_check_consistency(&got, old, before, size, root),
                     ST_MISMATCH);
}

static void small_trees_by_their_definition(void **state)
{
    (void)state;
    make_leaves(1);
    for (size_t size = 1; size <= 33; size++)
        for (size_t k = 0; k < size; k++) {
            check_tree(size, k, k);
            check_tree(size, k, size);
        }
}

static void random_trees_by_their_definition(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 60; i++) {
        size_t size = next_random() % LEAVES_MAX + 1;
        make_leaves(i);
        check_tree(size, next_random() % size, next_random() % (size + 1));
    }
    check_tree(LEAVES_MAX, LEAVES_MAX - 1, LEAVES_MAX - 1);
}

static void edges_of_a_tree(void **state)
{
    size_t size = 5;
    struct tree_source source = {from_leaves, &size};
    struct tree_proof p = {.count = 0};
    hash_t root, empty;

    (void)state;
    make_leaves(2);
    assert_int_equal(tree_inclusion(&source, 5, 5, &p), ST_LIMIT);
    assert_int_equal(tree_consistency(&source, 6, 5, &p), ST_LIMIT);
    assert_int_equal(tree_root(&source, 0, empty), ST_OK);
    vector_hash("empty_root", 0, root);
    assert_memory_equal(root, empty, HASH_BYTES);
    assert_int_equal(tree_root(&source, 5, root), ST_OK);
    assert_int_equal(tree_check_inclusion(&p, 5, 5, leaves[0], root),
                     ST_MISMATCH);
    assert_int_equal(tree_check_consistency(&p, 6, root, 5, root), ST_MISMATCH);
    assert_int_equal(tree_check_consistency(&p, 0, root, 5, root), ST_MISMATCH);
    assert_int_equal(tree_check_consistency(&p, 0, empty, 0, root),
                     ST_MISMATCH);
    assert_int_equal(tree_check_consistency(&p, 0, empty, 0, empty), ST_OK);
    p.count = TREE_PROOF_MAX + 1;
    assert_int_equal(tree_check_inclusion(&p, 0, 5, leaves[0], root),
                     ST_MISMATCH);
    assert_int_equal(tree_check_consistency(&p, 1, leaves[0], 5, root),
                     ST_MISMATCH);
    p.count = TREE_PROOF_MAX; /* the deepest path there is: no overflow */
    assert_int_equal(
        tree_check_inclusion(&p, UINT64_MAX - 1, UINT64_MAX, leaves[0], root),
        ST_MISMATCH);
}

/* ---- vectors ------------------------------------------------------------ */

static void vectors_of_proofs(void **state)
{
    size_t size = 7;
    struct tree_source source = {from_leaves, &size};
    struct tree_proof p;
    hash_t want, root3, root7;

    (void)state;
    for (unsigned i = 0; i < 7; i++)
        vector_hash("leaf", i, leaves[i]);
    assert_int_equal(tree_root(&source, 3, root3), ST_OK);
    assert_int_equal(tree_root(&source, 7, root7), ST_OK);
    assert_int_equal(tree_inclusion(&source, 2, 7, &p), ST_OK);
    assert_int_equal(p.count, 3);
    for (unsigned i = 0; i < p.count; i++) {
        vector_hash("inclusion_2_in_7", i, want);
        assert_memory_equal(p.hashes[i], want, HASH_BYTES);
    }
    assert_int_equal(tree_consistency(&source, 3, 7, &p), ST_OK);
    assert_int_equal(p.count, 4);
    for (unsigned i = 0; i < p.count; i++) {
        vector_hash("consistency_3_7", i, want);
        assert_memory_equal(p.hashes[i], want, HASH_BYTES);
    }
    assert_int_equal(tree_check_consistency(&p, 3, root3, 7, root7), ST_OK);
}

static void vectors_of_pruning(void **state)
{
    size_t size = 600;
    struct tree_source source = {from_leaves, &size};
    struct tree_proof p;
    hash_t root, want;
    char text[24];

    (void)state;
    for (unsigned i = 0; i < 600; i++) {
        int n = snprintf(text, sizeof(text), "{\"i\":%u}", i);
        merkle_leaf(text, (size_t)n, leaves[i]);
    }
    assert_int_equal(tree_root(&source, 600, root), ST_OK);
    vector_hash("root", 0, want);
    assert_memory_equal(root, want, HASH_BYTES);
    assert_int_equal(tree_consistency(&source, 512, 600, &p), ST_OK);
    assert_int_equal(p.count, 1);
    vector_hash("consistency_512_600", 0, want);
    assert_memory_equal(p.hashes[0], want, HASH_BYTES);
}

static void make_signer(struct slice name, enum note_key_type type,
                        uint8_t first, struct note_signer *out)
{
    uint8_t bytes[NOTE_SEED_BYTES];

    for (uint8_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(first + i);
    assert_int_equal(note_signer_make(name, type, bytes, out), ST_OK);
}

static void vectors_of_keys(void **state)
{
    static const char *const keys[] = {"vkey", "witness_vkey"};
    char text[NOTE_VKEY_MAX];
    struct note_signer s;
    struct note_key key;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        make_signer(i == 0 ? ORIGIN : WITNESS,
                    i == 0 ? NOTE_ED25519 : NOTE_COSIGNATURE, (uint8_t)(32 * i),
                    &s);
        note_key_text(&s.key, text);
        assert_string_equal(text, vector(keys[i], 0));
        assert_int_equal(note_key_read(slice_of(text), &key), ST_OK);
        assert_memory_equal(&key, &s.key, sizeof(key));
        for (char *at = text; *at != '\0'; at++) { /* one spelling */
            *at ^= 1;
            assert_int_not_equal(note_key_read(slice_of(text), &key), ST_OK);
            *at ^= 1;
        }
    }
    note_signer_wipe(&s);
}

/* The checkpoint of log7, cosigned, made here byte for byte. */
static void vectors_of_notes(void **state)
{
    struct checkpoint c = {.origin = ORIGIN, .size = 7}, again;
    struct note_signer log, witness;
    struct buf text, whole, file;
    struct note n;
    uint64_t time_s;

    (void)state;
    make_signer(ORIGIN, NOTE_ED25519, 0, &log);
    make_signer(WITNESS, NOTE_COSIGNATURE, 32, &witness);
    for (unsigned i = 0; i < 7; i++)
        vector_hash("leaf", i, leaves[i]);
    naive_root(leaves, 7, c.root);
    buf_init(&text, 1024);
    buf_init(&whole, 4096);
    checkpoint_put(&c, &text);
    buf_put(&whole, buf_slice(&text));
    buf_put_char(&whole, '\n');
    assert_int_equal(note_sign(&log, buf_slice(&text), 0, &whole), ST_OK);
    assert_true(
        slice_eq(buf_slice(&whole), slice_of(vector("checkpoint7", 0))));
    assert_int_equal(note_sign(&witness, buf_slice(&text), COSIGN_TIME, &whole),
                     ST_OK);
    assert_int_equal(file_read(LOG7 "checkpoint", 4096, &file), ST_OK);
    assert_true(slice_eq(buf_slice(&whole), buf_slice(&file)));

    assert_int_equal(note_read(buf_slice(&file), &n), ST_OK);
    assert_int_equal(n.count, 2);
    assert_int_equal(note_check(&n, &log.key, &time_s), ST_OK);
    assert_int_equal(time_s, 0);
    assert_int_equal(note_check(&n, &witness.key, &time_s), ST_OK);
    assert_int_equal(time_s, COSIGN_TIME);
    assert_int_equal(checkpoint_read(n.text, &again), ST_OK);
    assert_int_equal(again.size, 7);
    assert_memory_equal(again.root, c.root, HASH_BYTES);
    buf_free(&text);
    buf_free(&whole);
    buf_free(&file);
}

static void vectors_of_tiles(void **state)
{
    char path[TILE_PATH_MAX], name[128];
    struct buf file;

    (void)state;
    tile_path(0, 0, 7, path);
    assert_string_equal(path, vector("tile_path", 0));
    (void)snprintf(name, sizeof(name), LOG7 "%s", path);
    assert_int_equal(file_read(name, 8192, &file), ST_OK);
    assert_int_equal(file.len, 7 * HASH_BYTES);
    for (unsigned i = 0; i < 7; i++) {
        vector_hash("leaf", i, leaves[i]);
        assert_memory_equal(file.data + i * HASH_BYTES, leaves[i], HASH_BYTES);
    }
    buf_free(&file);
    tile_path(TILE_ENTRIES, 0, 7, path);
    assert_string_equal(path, vector("bundle_path", 0));
    tile_path(1, 1234067, TILE_WIDTH, path);
    assert_string_equal(path, "tile/1/x001/x234/067");
    tile_path(0, 1000, 255, path);
    assert_string_equal(path, "tile/0/x001/000.p/255");
    tile_path(7, UINT64_MAX, 255, path);
    assert_string_equal(path, "tile/7/x018/x446/x744/x073/x709/x551/615.p/255");
}

/* ---- notes that are not as they should be ------------------------------- */

/* Each bit of each byte: refused, or not signed by who we ask for. */
static void a_changed_note_is_not_signed(void **state)
{
    struct note_signer log, witness;
    struct buf file;
    struct note n;

    (void)state;
    make_signer(ORIGIN, NOTE_ED25519, 0, &log);
    make_signer(WITNESS, NOTE_COSIGNATURE, 32, &witness);
    assert_int_equal(file_read(LOG7 "checkpoint", 4096, &file), ST_OK);
    for (size_t at = 0; at < file.len; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            file.data[at] = (char)(file.data[at] ^ 1 << bit);
            assert_false(note_read(buf_slice(&file), &n) == ST_OK &&
                         note_check(&n, &log.key, NULL) == ST_OK &&
                         note_check(&n, &witness.key, NULL) == ST_OK);
            file.data[at] = (char)(file.data[at] ^ 1 << bit);
        }
    for (size_t len = 0; len < file.len; len++)
        assert_false(note_read(slice_head(buf_slice(&file), len), &n) ==
                         ST_OK &&
                     note_check(&n, &witness.key, NULL) == ST_OK);
    buf_free(&file);
}

static void keys_are_told_apart(void **state)
{
    struct note_signer log, other, cosigner;
    struct buf b;
    struct note n;

    (void)state;
    make_signer(ORIGIN, NOTE_ED25519, 0, &log);
    make_signer(ORIGIN, NOTE_ED25519, 99, &other);
    make_signer(ORIGIN, NOTE_COSIGNATURE, 0, &cosigner);
    buf_init(&b, 4096);
    buf_put(&b, SLICE("text\n\n"));
    assert_int_equal(note_sign(&other, SLICE("text\n"), 0, &b), ST_OK);
    assert_int_equal(note_read(buf_slice(&b), &n), ST_OK);
    assert_int_equal(note_check(&n, &other.key, NULL), ST_OK);
    assert_int_equal(note_check(&n, &log.key, NULL), ST_UNKNOWN);
    assert_int_equal(note_check(&n, &cosigner.key, NULL), ST_UNKNOWN);
    /* A good line does not make up for a bad one of the same key. */
    assert_int_equal(note_sign(&other, SLICE("other\n"), 0, &b), ST_OK);
    assert_int_equal(note_read(buf_slice(&b), &n), ST_OK);
    assert_int_equal(note_check(&n, &other.key, NULL), ST_CRYPTO);
    buf_free(&b);
}

static void a_note_has_limits(void **state)
{
    struct note_signer s;
    struct buf b;
    struct note n;

    (void)state;
    make_signer(ORIGIN, NOTE_ED25519, 0, &s);
    buf_init(&b, 2 * NOTE_BYTES_MAX);
    buf_put(&b, SLICE("text\n\n"));
    assert_int_equal(note_read(buf_slice(&b), &n), ST_SYNTAX);
    for (unsigned i = 0; i < NOTE_SIGNATURES_MAX; i++)
        assert_int_equal(note_sign(&s, SLICE("text\n"), 0, &b), ST_OK);
    assert_int_equal(note_read(buf_slice(&b), &n), ST_OK);
    assert_int_equal(n.count, NOTE_SIGNATURES_MAX);
    assert_int_equal(note_sign(&s, SLICE("text\n"), 0, &b), ST_OK);
    assert_int_equal(note_read(buf_slice(&b), &n), ST_LIMIT);

    buf_reset(&b);
    buf_put(&b, SLICE("\n\n"));
    assert_int_equal(note_sign(&s, SLICE("\n"), 0, &b), ST_OK);
    size_t rest = NOTE_BYTES_MAX - b.len;
    struct buf big;
    buf_init(&big, 2 * NOTE_BYTES_MAX);
    for (; rest > 0; rest--)
        buf_put_char(&big, 'x');
    buf_put(&big, buf_slice(&b));
    assert_int_equal(note_read(buf_slice(&big), &n), ST_OK);
    buf_reset(&big);
    for (rest = NOTE_BYTES_MAX - b.len + 1; rest > 0; rest--)
        buf_put_char(&big, 'x');
    buf_put(&big, buf_slice(&b));
    assert_int_equal(note_read(buf_slice(&big), &n), ST_LIMIT);
    buf_free(&big);
    buf_free(&b);
    assert_int_equal(note_sign(&s, SLICE("no end"), 0, &b), ST_SYNTAX);
    assert_int_equal(note_sign(&s, SLICE("tab\there\n"), 0, &b), ST_SYNTAX);
    assert_false(note_name_ok(SLICE("")));
    assert_false(note_name_ok(SLICE("a b")));
    assert_false(note_name_ok(SLICE("a+b")));
}

static void a_text_that_is_no_checkpoint(void **state)
{
    static const char root[] = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    static const char *const bad[] = {
        "o\n0\n%s",    "o\n00\n%s\n",
        "o\n-1\n%s\n", "o\n1\n%s\nmore\n",
        "\n1\n%s\n",   "a b\n1\n%s\n",
        "o\n\n%s\n",   "o\n1\n%s=\n",
        "o\n1\n %s\n", "o\n18446744073709551616\n%s\n"};
    char text[128];
    struct checkpoint c;

    (void)state;
    (void)snprintf(text, sizeof(text), "o\n18446744073709551615\n%s\n", root);
    assert_int_equal(checkpoint_read(slice_of(text), &c), ST_OK);
    text[strlen(text) - 3] = 'V'; /* spare bits set */
    assert_int_equal(checkpoint_read(slice_of(text), &c), ST_SYNTAX);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size_t n = strlen(bad[i]), at = (size_t)(strstr(bad[i], "%s") - bad[i]);
        (void)snprintf(text, sizeof(text), "%.*s%s%.*s", (int)at, bad[i], root,
                       (int)(n - at - 2), bad[i] + at + 2);
        assert_int_equal(checkpoint_read(slice_of(text), &c), ST_SYNTAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_trees_by_their_definition),
        cmocka_unit_test(random_trees_by_their_definition),
        cmocka_unit_test(edges_of_a_tree),
        cmocka_unit_test(vectors_of_proofs),
        cmocka_unit_test(vectors_of_pruning),
        cmocka_unit_test(vectors_of_keys),
        cmocka_unit_test(vectors_of_notes),
        cmocka_unit_test(vectors_of_tiles),
        cmocka_unit_test(a_changed_note_is_not_signed),
        cmocka_unit_test(keys_are_told_apart),
        cmocka_unit_test(a_note_has_limits),
        cmocka_unit_test(a_text_that_is_no_checkpoint),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
