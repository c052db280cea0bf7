/* epoch_file.h - the small file of secrets under epochs.h: where it may lie,
 * and slots of fixed size that are overwritten in place. What it holds is
 * mirrored in locked memory. One thread. */
#ifndef LETHE_GATEWAY_KEYS_EPOCH_FILE_H
#define LETHE_GATEWAY_KEYS_EPOCH_FILE_H

#include "lethe/gateway/conf.h"
#include "lethe/gateway/keys/epochs.h"

#define EPOCH_SLOT_BYTES 128u
#define EPOCH_SLOTS_MAX  8192u /* sites x destinations, and day keys */

enum epoch_slot_kind { EPOCH_SLOT_FREE, EPOCH_SLOT_EPOCH, EPOCH_SLOT_DAY };

/* As in the file, in the machine's own byte order: the file never leaves the
 * machine. */
struct epoch_slot {
    uint64_t kind;              /* enum epoch_slot_kind */
    uint64_t id;                /* epoch: its id; day: which of its day's */
    int64_t starts_ms, ends_ms; /* day: its first and last + 1 ms */
    uint8_t name[16];           /* epoch: hash of site and destination */
    uint8_t secret[KEY_BYTES];  /* day: the first 16 bytes */
    char tag[EPOCH_DAY_TAG_MAX];
    uint8_t unused[8];
    uint8_t sum[16]; /* of all before it */
};

struct epoch_head { /* the file's first slot */
    uint8_t magic[8];
    uint8_t state_id[16];
    uint64_t optout_number;
    uint8_t optout_hash[32];
    uint8_t unused[48];
    uint8_t sum[16];
};

struct epoch_file;

/* As epochs_open(). */
enum status epoch_file_open(const struct conf *c, const uint8_t state_id[16],
                            struct epoch_file **out) MUST_CHECK;
void epoch_file_close(struct epoch_file *f); /* wipes memory */
enum epoch_place epoch_file_place(const struct epoch_file *f);

unsigned epoch_file_count(const struct epoch_file *f);
/* Slot `index`, 0..count-1; stays where it is until close. */
struct epoch_slot *epoch_file_slot(const struct epoch_file *f, unsigned index);
/* A free slot. Errors: ST_NOMEM, ST_LIMIT. */
enum status epoch_file_take(struct epoch_file *f,
                            unsigned *out_index) MUST_CHECK;
/* Bring a slot (or zeros, which free it) to the file, synced. What failed is
 * tried again before the next write: a secret that was to die is not
 * forgotten there. Errors: ST_IO. */
enum status epoch_file_write(struct epoch_file *f, unsigned index) MUST_CHECK;
enum status epoch_file_erase(struct epoch_file *f, unsigned index) MUST_CHECK;

struct epoch_head *epoch_file_head(const struct epoch_file *f);
enum status epoch_file_write_head(struct epoch_file *f) MUST_CHECK;

/* Folder for the file of `c`, opened: EPOCH_IN_MEMORY gives no folder (-1).
 * Files of this state in the other places are overwritten and removed.
 * Errors: ST_DENIED (a written `runtime` and no tmpfs of ours), ST_IO. */
enum status epoch_place_choose(const struct conf *c, const char *name,
                               int *out_dir,
                               enum epoch_place *out_place) MUST_CHECK;
#define EPOCH_DISK_NAME "epochs" /* in state_dir */

#endif
