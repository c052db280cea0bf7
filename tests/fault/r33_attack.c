/* r33_attack.c - what somebody does who has stolen the whole machine: every
 * file and both keys. Used by r33.py, which knows the truth.
 *
 *   windows MASTER PAIRS FILE...   every run of 32 bytes in the files as an
 *       epoch secret or epoch key, every run of 16 as an event key, against
 *       known pairs; prints `hit N` for a line of PAIRS that comes out
 *       pair line: id|event TAB site TAB destination TAB purpose TAB kind
 *       TAB identifier TAB bits TAB what the destination got
 *   spool STATE MASTER OPTOUT SITE CANDIDATES   opens what waits with the
 *       spool keys that are left and looks for the candidates' sweep tags;
 *       prints `found CANDIDATE ACCEPTED_MS EXPIRES_MS DESTINATION` */
#include "../../gateway/store/journal_private.h"

#include "lethe/gateway/file.h"
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/store/fragment.h"
#include "lethe/gateway/store/outage.h"
#include "lethe/policy/pseudonym.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX   (512u << 20)
#define PAIRS_MAX  256u
#define PATH_BYTES 4096u

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "r33_attack: %s\n", what);
    exit(2);
}

static void must(enum status st, const char *what)
{
    if (st != ST_OK)
        die(what);
}

static const uint8_t *load_key(const char *path)
{
    enum key_fault fault = KEY_FAULT_NONE;
    uint8_t *key = NULL;

    must(keyfile_load(path, NULL, &key, &fault), path);
    return key;
}

static struct slice cut(struct slice *rest, char end)
{
    size_t at = slice_find(*rest, end);
    struct slice part = slice_head(*rest, at);

    *rest = slice_skip(*rest, at + 1);
    return part;
}

/* ---- windows ------------------------------------------------------------- */

struct pair {
    bool event, hit;
    enum id_kind kind;
    unsigned bits;
    struct pseudonym_scope scope;
    struct slice id, seen;
};

struct windows {
    const uint8_t *master;
    struct pair pairs[PAIRS_MAX];
    unsigned count;
    unsigned long long tried;
};

static void read_pairs(struct windows *w, struct slice text)
{
    unsigned long long n = 0;

    while (text.len > 0 && w->count < PAIRS_MAX) {
        struct slice line = cut(&text, '\n');
        struct pair *p = &w->pairs[w->count++];
        p->event = slice_eq(cut(&line, '\t'), SLICE("event"));
        p->scope.site = cut(&line, '\t');
        p->scope.destination = cut(&line, '\t');
        p->scope.purpose = cut(&line, '\t');
        if (!slice_to_u64(cut(&line, '\t'), &n))
            die("kind");
        p->kind = (enum id_kind)n;
        p->id = cut(&line, '\t');
        if (!slice_to_u64(cut(&line, '\t'), &n))
            die("bits");
        p->bits = (unsigned)n;
        p->seen = line;
    }
}

static bool gives(const struct pair *p, const uint8_t epoch_key[KEY_BYTES])
{
    char text[PSEUDONYM_TEXT_MAX];
    size_t len = EVENT_ID_TEXT_BYTES;

    if (p->event)
        event_id_make(epoch_key, &p->scope, p->id, text);
    else
        len = pseudonym_make(epoch_key, &p->scope, p->kind, p->id, p->bits,
                             SHAPE_BASE32, text);
    return slice_eq((struct slice){text, len}, p->seen);
}

static void try_window(struct windows *w, const uint8_t at[KEY_BYTES])
{
    char text[EVENT_ID_TEXT_BYTES];
    uint8_t key[KEY_BYTES];

    epoch_key_make(w->master, at, key);
    w->tried++;
    for (unsigned i = 0; i < w->count; i++) {
        struct pair *p = &w->pairs[i];
        if (p->hit)
            continue;
        p->hit = gives(p, key) || gives(p, at);
        if (p->event && !p->hit) {
            event_id_of(at, p->id, text);
            p->hit = slice_eq((struct slice){text, sizeof(text)}, p->seen);
        }
    }
}

static void try_file(struct windows *w, const char *path)
{
    struct buf text;
    size_t zeros = 0; /* in a row, up to the window's end */

    must(file_read(path, FILE_MAX, &text), path);
    const uint8_t *bytes = (const uint8_t *)text.data;
    for (size_t end = 1; end <= text.len; end++) {
        zeros = bytes[end - 1] == 0 ? zeros + 1 : 0;
        /* More than half zeros are no key of 32 random bytes. */
        if (end >= KEY_BYTES && zeros < KEY_BYTES / 2)
            try_window(w, bytes + end - KEY_BYTES);
    }
    buf_free(&text);
}

static int windows(char **argv, int count)
{
    struct windows *w = calloc(1, sizeof(*w));
    struct buf pairs;

    if (w == NULL)
        die("memory");
    w->master = load_key(argv[0]);
    must(file_read(argv[1], FILE_MAX, &pairs), argv[1]);
    read_pairs(w, buf_slice(&pairs));
    for (int i = 2; i < count; i++)
        try_file(w, argv[i]);
    for (unsigned i = 0; i < w->count; i++)
        if (w->pairs[i].hit)
            (void)printf("hit %u\n", i);
    (void)printf("windows %llu\n", w->tried);
    buf_free(&pairs);
    free(w);
    return 0;
}

/* ---- spool --------------------------------------------------------------- */

struct tag {
    unsigned key; /* index in `keys` */
    uint8_t sweep[TAG_BYTES];
    int64_t accepted_ms, expires_ms;
};

struct spool {
    struct spool_keys *file;
    struct spool_key keys[SPOOL_KEYS_MAX];
    unsigned key_count;
    struct tag *tags;
    size_t tag_count, tag_size;
    unsigned blobs, opened;
};

static int compare_tags(const void *a, const void *b)
{
    const struct tag *x = a, *y = b;

    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return memcmp(x->sweep, y->sweep, TAG_BYTES);
}

static void add_tags(struct spool *s, unsigned key, int64_t accepted_ms,
                     const struct fragment *f)
{
    for (unsigned i = 0; i < f->tag_count; i++) {
        if (s->tag_count == s->tag_size) {
            s->tag_size = s->tag_size * 2 + 1024;
            s->tags = realloc(s->tags, s->tag_size * sizeof(*s->tags));
            if (s->tags == NULL)
                die("memory");
        }
        struct tag *t = &s->tags[s->tag_count++];
        *t = (struct tag){.key = key,
                          .accepted_ms = accepted_ms,
                          .expires_ms = f->expires_ms};
        memcpy(t->sweep, f->tags[i], TAG_BYTES);
    }
}

/* Any key that opens it: the blob's own words are not believed. */
static void try_blob(struct spool *s, uint32_t count, int64_t accepted_ms,
                     struct slice sealed)
{
    struct fragment f;
    struct buf plain;

    buf_init(&plain, JOURNAL_GROUP_MAX);
    s->blobs++;
    for (unsigned k = 0; k < s->key_count; k++) {
        if (blob_open(&s->keys[k], count, sealed, &plain) != ST_OK)
            continue;
        s->opened++;
        for (struct slice rest = buf_slice(&plain);
             fragment_next(&rest, &f) == ST_OK;)
            add_tags(s, k, accepted_ms, &f);
    }
    buf_free(&plain);
}

/* Every group that ever was and has not been overwritten, in use or not. */
static void try_segment(struct spool *s, const char *path)
{
    struct journal_header h;
    struct buf text;

    must(file_read(path, FILE_MAX, &text), path);
    const uint8_t *at = (const uint8_t *)text.data;
    for (size_t page = 0; page + JOURNAL_PAGE <= text.len;
         page += JOURNAL_PAGE) {
        const uint8_t *group = at + page;
        if (journal_header_decode(group, text.len - page, &h) != ST_OK ||
            !journal_head_in_bounds(&h, group))
            continue;
        for (uint32_t i = 0; i < h.blobs; i++) {
            struct blob_entry e;
            journal_blob_entry_at(group, i, &e);
            try_blob(s, e.count, h.accepted_ms,
                     (struct slice){(const char *)group + e.offset, e.len});
        }
    }
    buf_free(&text);
}

static void try_journal(struct spool *s, const char *state)
{
    char path[PATH_BYTES];
    int n = snprintf(path, sizeof(path), "%s/journal", state);
    DIR *folder = n > 0 && (size_t)n < sizeof(path) ? opendir(path) : NULL;

    if (folder == NULL)
        die("journal");
    for (const struct dirent *e; (e = readdir(folder)) != NULL;) {
        if (e->d_name[0] == '.')
            continue;
        n = snprintf(path, sizeof(path), "%s/journal/%s", state, e->d_name);
        if (n > 0 && (size_t)n < sizeof(path))
            try_segment(s, path);
    }
    (void)closedir(folder);
}

static void try_outage(struct spool *s, const char *state)
{
    char path[PATH_BYTES];
    struct outage *o = NULL;
    struct buf sealed;

    (void)snprintf(path, sizeof(path), "%s/outage.db", state);
    must(outage_open(path, &o), "outage.db");
    buf_init(&sealed, JOURNAL_GROUP_MAX);
    for (unsigned k = 0; k < s->key_count; k++)
        for (unsigned kind = OUTAGE_WAITING; kind <= OUTAGE_DEAD; kind++) {
            struct outage_row row = {0};
            while (outage_next(o, (enum outage_kind)kind,
                               s->keys[k].destination, row.id, &row,
                               &sealed) == ST_OK)
                if (row.slot == s->keys[k].slot && row.use == s->keys[k].use)
                    try_blob(s, row.count, row.accepted_ms, buf_slice(&sealed));
        }
    buf_free(&sealed);
    outage_close(o);
}

static void try_candidate(const struct spool *s, unsigned long number,
                          const uint8_t tag[TAG_BYTES])
{
    for (unsigned k = 0; k < s->key_count; k++) {
        struct tag want = {.key = k};
        sweep_tag_make(s->keys[k].key, tag, want.sweep);
        const struct tag *t =
            bsearch(&want, s->tags, s->tag_count, sizeof(want), compare_tags);
        if (t != NULL)
            (void)printf("found %lu %" PRId64 " %" PRId64 " %016" PRIx64 "\n",
                         number, t->accepted_ms, t->expires_ms,
                         s->keys[k].destination);
    }
}

static void try_candidates(const struct spool *s, const char *path,
                           const uint8_t *optout_key, struct slice site)
{
    uint8_t tag[TAG_BYTES];
    struct buf text;
    unsigned long number = 0;

    must(file_read(path, FILE_MAX, &text), path);
    for (struct slice rest = buf_slice(&text); s->tag_count > 0 && rest.len > 0;
         number++) {
        optout_tag_make(optout_key, site, cut(&rest, '\n'), tag);
        try_candidate(s, number, tag);
    }
    buf_free(&text);
}

static int spool(char **argv)
{
    struct spool *s = calloc(1, sizeof(*s));
    char path[PATH_BYTES];

    if (s == NULL)
        die("memory");
    (void)snprintf(path, sizeof(path), "%s/spool.keys", argv[0]);
    must(spool_keys_open(path, load_key(argv[1]), &s->file), path);
    while (s->key_count < SPOOL_KEYS_MAX &&
           spool_keys_each(s->file, s->key_count, &s->keys[s->key_count]) ==
               ST_OK)
        s->key_count++;
    try_journal(s, argv[0]);
    try_outage(s, argv[0]);
    if (s->tag_count > 0)
        qsort(s->tags, s->tag_count, sizeof(*s->tags), compare_tags);
    try_candidates(s, argv[4], load_key(argv[2]), slice_of(argv[3]));
    (void)printf("keys %u blobs %u opened %u tags %zu\n", s->key_count,
                 s->blobs, s->opened, s->tag_count);
    spool_keys_close(s->file);
    free(s->tags);
    free(s);
    return 0;
}

int main(int argc, char **argv)
{
    if (secrets_init() != ST_OK)
        die("libsodium");
    if (argc > 4 && slice_eq(slice_of(argv[1]), SLICE("windows")))
        return windows(argv + 2, argc - 2);
    if (argc == 7 && slice_eq(slice_of(argv[1]), SLICE("spool")))
        return spool(argv + 2);
    die("usage: windows MASTER PAIRS FILE... | "
        "spool STATE MASTER OPTOUT SITE CANDIDATES");
}
