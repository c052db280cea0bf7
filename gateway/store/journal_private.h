/* journal_private.h - what the journal's own files share. Nothing outside
 * gateway/store/journal*.c includes it.
 *
 *   journal.c          open, close, checksum, facts
 *   journal_format.c   bytes of a group <-> structs, bounds-checked
 *   journal_segment.c  segment files: make, find, zero; the spare maker
 *   journal_recover.c  what a scan of all segments means
 *   journal_append.c   the one writer
 *   journal_marks.c    destinations, marks, what may be recycled
 *   journal_read.c     cursors and replay
 *
 * A segment's life: SPARE -> ACTIVE -> FULL -> FREED -> SPARE. FREED becomes
 * SPARE when a synced group has said that the oldest kept sequence lies
 * beyond it (`oldest` in its header): only then may it be overwritten, so
 * that recovery never takes recycling for damage. */
#ifndef LETHE_GATEWAY_STORE_JOURNAL_PRIVATE_H
#define LETHE_GATEWAY_STORE_JOURNAL_PRIVATE_H

#include "lethe/gateway/store/journal.h"

#include <pthread.h>

#define JOURNAL_SEGMENTS_MAX     4096u
#define JOURNAL_DESTINATIONS_MAX 4096u
#define JOURNAL_SITES_MAX        4096u
#define JOURNAL_SPARES           1u /* kept ready: made, zeroed, synced */
/* Sequences left out at each start, so that a position that a sink stored
 * for a lost group never names a new one. */
#define JOURNAL_SEQUENCE_JUMP (UINT64_C(1) << 20)
#define JOURNAL_SEQUENCE_MAX  (UINT64_C(1) << 62)
#define JOURNAL_MARKS_MS      100
#define JOURNAL_STATFS_US     INT64_C(1000000)

#define HEADER_BYTES          136u
#define BLOB_ENTRY_BYTES      56u
#define ROWS_ENTRY_BYTES      88u
#define MARK_ENTRY_BYTES      88u
#define SITE_ENTRY_BYTES      16u

struct journal_header {
    uint64_t generation; /* the life of the segment it is in */
    uint64_t sequence;
    uint64_t ordinal;     /* groups ever written before it: a gap is damage */
    uint64_t oldest;      /* oldest kept sequence when it was written */
    uint64_t length;      /* bytes before the padding */
    uint64_t body;        /* bytes of sealed blobs, behind the head */
    uint64_t optout_seen; /* lowest of its lookups */
    int64_t accepted_ms;
    uint32_t blobs, sections, marks, sites;
    uint64_t rows; /* audit rows in all */
};

struct blob_entry {
    uint64_t destination;
    uint32_t slot, use, count, first_fragment;
    uint64_t offset, len; /* offset from the group's start */
    int64_t expires_min_ms;
    uint64_t optout_seen;
};

struct site_entry { /* running count, repeated at each segment's start */
    uint64_t site, rows;
};

/* --- journal_format.c */
size_t journal_head_bytes(
    const struct journal_header *h); /* header + directory */
uint64_t journal_padded(uint64_t length);
void journal_header_encode(const struct journal_header *h, uint8_t *at);
/* Checks what one page can tell: magic, version, lengths within `room`. */
enum status journal_header_decode(const uint8_t *at, uint64_t room,
                                  struct journal_header *out) MUST_CHECK;
void journal_blob_entry_encode(const struct blob_entry *e, uint8_t *at);
void journal_blob_entry_at(const uint8_t *group, uint32_t index,
                           struct blob_entry *out);
void journal_rows_entry_encode(const struct group_rows *r, uint64_t offset,
                               uint64_t rows_before, uint8_t *at);
/* .offset becomes the offset from the group's start. */
void journal_rows_entry_at(const struct journal_header *h, const uint8_t *group,
                           uint32_t index, struct group_rows *out,
                           uint64_t *out_before);
void journal_mark_entry_encode(const struct mark *m, uint8_t *at);
void journal_mark_entry_at(const struct journal_header *h, const uint8_t *group,
                           uint32_t index, struct mark *out);
void journal_site_entry_encode(const struct site_entry *s, uint8_t *at);
void journal_site_entry_at(const struct journal_header *h, const uint8_t *group,
                           uint32_t index, struct site_entry *out);
/* Sums over head and whole group, set in place or compared. */
void journal_group_set_sums(const struct journal_header *h, uint8_t *group);
bool journal_head_sum_ok(const struct journal_header *h, const uint8_t *group);
bool journal_group_sum_ok(const struct journal_header *h, const uint8_t *group);
/* Every offset and length in the directory lies within the group. */
bool journal_head_in_bounds(const struct journal_header *h,
                            const uint8_t *group);

/* --- journal.c */
uint64_t journal_checksum(const uint8_t *bytes, size_t len);
int64_t journal_mono_us(void);

/* --- segments */
enum segment_state { SEG_SPARE, SEG_ACTIVE, SEG_FULL, SEG_FREED, SEG_ZEROING };

struct group_at { /* one valid, synced group of a segment */
    uint64_t sequence;
    uint32_t page, pages;
    int64_t accepted_ms;
};

struct share { /* one destination's part of a segment */
    bool present;
    uint64_t first_sequence, last_sequence;
    uint64_t last_end; /* fragments of the last group: a mark at or beyond
                          (last_sequence, last_end) is past */
    int64_t last_ms;
};

struct segment {
    int fd;
    unsigned number; /* in its file's name */
    enum segment_state state;
    bool dirty;          /* SPARE: holds old bytes */
    uint64_t generation; /* 0: nothing of it may be read */
    uint64_t used;       /* bytes, page-aligned */
    struct group_at *groups;
    unsigned group_count, group_size;
    struct share *shares; /* by destination's index */
    unsigned share_size;
    uint64_t rows_last;   /* last sequence with audit rows; 0 none */
    struct segment *next; /* held ones, oldest first */
};

struct destination {  /* everything known of one destination */
    struct mark mark; /* .cleared is kept apart, below */
    uint64_t cleared;
    uint64_t version, written;        /* of the mark: dirty while they differ */
    uint64_t carried;                 /* version in the group being written */
    bool reads;                       /* in the list of readers */
    bool waits;                       /* something lies beyond the mark */
    int64_t waits_since_ms;           /* accept time of the first that did */
    uint64_t last_sequence, last_end; /* its newest fragment */
    uint32_t in_group; /* scratch of the append: fragments so far */
};

struct journal {
    char *folder;
    uint64_t segment_bytes;
    pthread_mutex_t lock; /* guards all below but the writer's own */
    pthread_cond_t changed;
    struct journal_limits limits;
    uint64_t other_bytes;
    struct segment *segments[JOURNAL_SEGMENTS_MAX];
    unsigned segment_count, next_number;
    struct segment *oldest, *active; /* list of held segments */
    struct destination *destinations;
    unsigned destination_count, destination_size;
    uint32_t *slots; /* hash: index + 1 by destination key */
    struct site_entry *sites;
    unsigned site_count, site_size;
    uint64_t next_sequence, next_ordinal, next_generation;
    uint64_t rows_safe;
    bool readers_known;
    bool oldest_moved; /* a FREED segment waits for a group that says so */
    bool roll;         /* the next append begins a segment */
    bool broken;
    /* the spare maker */
    pthread_t maker;
    bool maker_runs, stopping, wanted;
    uint64_t attempts;
    enum status attempt_status;
    /* the writer's own */
    uint8_t *buffer;
    size_t buffer_size;
    int64_t marks_ms;
    int64_t sync_us;
    int64_t statfs_us; /* when free space was asked last */
    bool statfs_low;
};

/* --- journal_segment.c (lock held unless it says otherwise) */
enum status journal_segments_find(struct journal *j)
    MUST_CHECK; /* no lock: open */
enum status journal_segment_make(const struct journal *j, uint64_t keep_free,
                                 struct segment **out)
    MUST_CHECK; /* without lock */
enum status journal_segments_take(struct journal *j,
                                  struct segment *made) MUST_CHECK;
void journal_segment_free(struct segment *s);
struct segment *journal_segment_spare(struct journal *j);
unsigned journal_segments_spare(const struct journal *j);
enum status journal_maker_start(struct journal *j)
    MUST_CHECK;                             /* without lock */
void journal_maker_stop(struct journal *j); /* without lock */
/* A spare, waiting for the maker's next attempt if there is none. */
enum status journal_segment_await(struct journal *j,
                                  struct segment **out) MUST_CHECK;
/* Room for one more group; then adding it cannot fail. */
enum status journal_segment_reserve(struct segment *s) MUST_CHECK;
void journal_segment_add_group(struct segment *s,
                               const struct journal_header *h, uint64_t offset);
uint64_t journal_segment_last_sequence(const struct segment *s); /* 0: empty */
bool journal_disk_is_low(const struct journal *j, uint64_t more,
                         uint64_t keep_free);

/* --- journal_marks.c (lock held) */
struct destination *journal_destination_find(const struct journal *j,
                                             uint64_t key);
/* NULL: out of memory or JOURNAL_DESTINATIONS_MAX. May move the others. */
struct destination *journal_destination_add(struct journal *j, uint64_t key);
enum status journal_destination_share(struct journal *j, struct segment *s,
                                      unsigned index,
                                      struct share **out) MUST_CHECK;
void journal_destination_note(struct journal *j, struct segment *s,
                              unsigned index, const struct journal_header *h,
                              uint32_t end);
struct site_entry *journal_site_add(struct journal *j, uint64_t site);
bool journal_segment_is_needed(const struct journal *j,
                               const struct segment *s);
void journal_recycle(struct journal *j);
uint64_t journal_needed_bytes(const struct journal *j);
uint64_t journal_oldest_sequence(const struct journal *j);

/* --- journal_append.c (lock held) */
void journal_segment_begin(struct journal *j, struct segment *s);

/* --- journal_recover.c */
enum status journal_recover(struct journal *j,
                            struct journal_recovery *out) MUST_CHECK;

/* --- journal_read.c: head of a group into memory of its own (free it) */
enum status journal_group_load(int fd, uint64_t offset, uint64_t pages,
                               bool whole, struct journal_header *out_header,
                               uint8_t **out_bytes) MUST_CHECK;

/* journal_open with another size of segment (a multiple of JOURNAL_PAGE), for
 * tests. */
enum status journal_open_sized(const char *folder,
                               const struct journal_limits *limits,
                               uint64_t segment_bytes, struct journal **out,
                               struct journal_recovery *out_found) MUST_CHECK;

#endif
