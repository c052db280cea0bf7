#include "journal_private.h"

#include "lethe/gateway/store/bytes.h"
#include "lethe/gateway/store/fileio.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* Against accidents, not forgers: blobs are sealed, rows are in the audit.
 * SipHash-2-4, for it is the fastest here that mixes 64 bits. */
uint64_t journal_checksum(const uint8_t *bytes, size_t len)
{
    static const uint8_t key[crypto_shorthash_KEYBYTES] = {'l', 'e', 't', 'h',
                                                           'e', '.', 'j', '1'};
    uint8_t sum[crypto_shorthash_BYTES];

    (void)crypto_shorthash(sum, bytes, len, key);
    return be_get64(sum);
}

int64_t journal_mono_us(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static struct journal *journal_new(const char *folder,
                                   const struct journal_limits *limits,
                                   uint64_t segment_bytes)
{
    struct journal *j = calloc(1, sizeof(*j));
    pthread_condattr_t attr;

    if (j == NULL)
        return NULL;
    j->folder = strdup(folder);
    if (j->folder == NULL) {
        free(j);
        return NULL;
    }
    (void)pthread_mutex_init(&j->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&j->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    j->limits = *limits;
    j->segment_bytes = segment_bytes;
    j->next_number = 1;
    j->marks_ms = INT64_MIN / 2;
    return j;
}

static enum status folder_make(const char *folder)
{
    if (mkdir(folder, 0700) == 0)
        return file_sync_folder_of(folder);
    return errno == EEXIST ? ST_OK : file_error();
}

/* The first ones are made here; later ones by the maker. */
static enum status spares_make(struct journal *j)
{
    enum status st = ST_OK;
    unsigned want = JOURNAL_SPARES + (j->active == NULL ? 1 : 0);

    while (st == ST_OK && journal_segments_spare(j) < want) {
        struct segment *made = NULL;
        st = journal_segment_make(j, 0, &made);
        if (st == ST_OK) {
            st = journal_segments_take(j, made);
            if (st != ST_OK)
                journal_segment_free(made);
        }
    }
    /* On a full disk what is there must do. */
    if (st == ST_FULL && (j->active != NULL || journal_segments_spare(j) > 0))
        st = ST_OK;
    return st;
}

enum status journal_open_sized(const char *folder,
                               const struct journal_limits *limits,
                               uint64_t segment_bytes, struct journal **out,
                               struct journal_recovery *out_found)
{
    struct journal_recovery found;

    struct journal *j = journal_new(folder, limits, segment_bytes);
    if (j == NULL)
        return ST_NOMEM;
    enum status st = folder_make(folder);
    if (st == ST_OK)
        st = journal_segments_find(j);
    if (st == ST_OK)
        st = journal_recover(j, &found);
    if (st == ST_OK)
        st = spares_make(j);
    if (st == ST_OK)
        st = journal_maker_start(j);
    if (st != ST_OK) {
        journal_close(j);
        return st;
    }
    *out = j;
    *out_found = found;
    return ST_OK;
}

enum status journal_open(const char *folder,
                         const struct journal_limits *limits,
                         struct journal **out,
                         struct journal_recovery *out_found)
{
    return journal_open_sized(folder, limits, JOURNAL_SEGMENT_BYTES, out,
                              out_found);
}

void journal_close(struct journal *j)
{
    if (j == NULL)
        return;
    journal_maker_stop(j);
    for (unsigned i = 0; i < j->segment_count; i++)
        journal_segment_free(j->segments[i]);
    (void)pthread_mutex_destroy(&j->lock);
    (void)pthread_cond_destroy(&j->changed);
    free(j->destinations);
    free(j->slots);
    free(j->sites);
    free(j->buffer);
    free(j->folder);
    free(j);
}

uint64_t journal_next_sequence(const struct journal *j)
{
    return __atomic_load_n(&j->next_sequence, __ATOMIC_ACQUIRE);
}

int64_t journal_sync_us(const struct journal *j)
{
    return __atomic_load_n(&j->sync_us, __ATOMIC_RELAXED);
}

uint64_t journal_group_bytes(const struct group *g)
{
    return g->sealed.len + g->rows.len +
           (uint64_t)g->blob_count * BLOB_ENTRY_BYTES +
           (uint64_t)g->site_count * ROWS_ENTRY_BYTES;
}

uint64_t journal_group_limit(const struct journal *j)
{
    /* Marks and counts of all destinations and sites go along sometimes. */
    uint64_t own = journal_padded(
        HEADER_BYTES + (uint64_t)JOURNAL_DESTINATIONS_MAX * MARK_ENTRY_BYTES +
        (uint64_t)JOURNAL_SITES_MAX * SITE_ENTRY_BYTES);
    uint64_t most = j->segment_bytes < JOURNAL_GROUP_MAX ? j->segment_bytes
                                                         : JOURNAL_GROUP_MAX;
    return most > own ? most - own : 0;
}

void journal_set_other_bytes(struct journal *j, uint64_t bytes)
{
    (void)pthread_mutex_lock(&j->lock);
    j->other_bytes = bytes;
    (void)pthread_mutex_unlock(&j->lock);
}

void journal_set_limits(struct journal *j, const struct journal_limits *limits)
{
    (void)pthread_mutex_lock(&j->lock);
    j->limits = *limits;
    j->statfs_us = 0;
    (void)pthread_mutex_unlock(&j->lock);
}

void journal_roll(struct journal *j)
{
    (void)pthread_mutex_lock(&j->lock);
    j->roll = true;
    (void)pthread_mutex_unlock(&j->lock);
}

static struct segment *zeroing_begin(struct journal *j)
{
    struct segment *found = NULL;

    (void)pthread_mutex_lock(&j->lock);
    for (unsigned i = 0; i < j->segment_count && found == NULL; i++)
        if (j->segments[i]->state == SEG_SPARE && j->segments[i]->dirty)
            found = j->segments[i];
    if (found != NULL) {
        found->state = SEG_ZEROING;
        found->generation = 0;
        (void)pthread_cond_broadcast(&j->changed);
    }
    (void)pthread_mutex_unlock(&j->lock);
    return found;
}

enum status journal_zero_idle(struct journal *j)
{
    enum status st = ST_OK;
    struct segment *s;

    while (st == ST_OK && (s = zeroing_begin(j)) != NULL) {
        st = file_write_zeros(s->fd, 0, j->segment_bytes);
        if (st == ST_OK)
            st = file_sync(s->fd);
        (void)pthread_mutex_lock(&j->lock);
        s->state = SEG_SPARE;
        s->dirty = st != ST_OK;
        (void)pthread_cond_broadcast(&j->changed);
        (void)pthread_mutex_unlock(&j->lock);
    }
    return st == ST_OK ? ST_OK : ST_IO;
}
