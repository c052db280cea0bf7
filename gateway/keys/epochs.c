#include "lethe/gateway/keys/epochs.h"
#include "lethe/gateway/keys/day_tags.h"
#include "lethe/gateway/keys/epoch_file.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct epochs {
    struct epoch_file *file;
    int64_t subject_search_ms;
    char *state_dir;
};

enum status epochs_open(const struct conf *c, const uint8_t state_id[16],
                        struct epochs **out)
{
    struct epochs *e = calloc(1, sizeof(*e));

    if (e == NULL)
        return ST_NOMEM;
    e->subject_search_ms = c->subject_search_ms;
    e->state_dir = strdup(c->state_dir);
    enum status st = e->state_dir == NULL
                         ? ST_NOMEM
                         : epoch_file_open(c, state_id, &e->file);
    if (st != ST_OK) {
        epochs_close(e);
        return st;
    }
    *out = e;
    return ST_OK;
}

void epochs_close(struct epochs *e)
{
    if (e == NULL)
        return;
    epoch_file_close(e->file);
    free(e->state_dir);
    free(e);
}

enum epoch_place epochs_place(const struct epochs *e)
{
    return epoch_file_place(e->file);
}

const char *epoch_place_name(enum epoch_place place)
{
    switch (place) {
    case EPOCH_IN_MEMORY:
        return "memory";
    case EPOCH_ON_TMPFS:
        return "runtime";
    case EPOCH_ON_DISK:
        return "disk";
    }
    return "memory";
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && a < 0);
}

/* First instant after `now_ms` that lies whole periods after `at_ms` of
 * 1970-01-01. Months keep to the calendar; a period that mixes months with
 * shorter parts counts a month as 30 days. */
static int64_t next_rotation(struct duration rotate, int64_t at_ms,
                             int64_t now_ms)
{
    if (rotate.months > 0 && rotate.ms == 0) {
        /* No month is longer than 31 days: never a step too far. */
        int64_t k =
            floor_div(now_ms - at_ms, (int64_t)rotate.months * 31 * MS_PER_DAY);
        for (;; k++) {
            struct duration d = {(int32_t)(k * rotate.months), 0};
            int64_t at = duration_after(at_ms, d);
            if (at > now_ms)
                return at;
        }
    }
    int64_t period = duration_rough_ms(rotate);
    if (period <= 0) /* the policy refuses it; never keep one for ever */
        period = MS_PER_DAY;
    return at_ms + (floor_div(now_ms - at_ms, period) + 1) * period;
}

static void put_part(crypto_generichash_state *h, struct slice s)
{
    uint8_t len[4] = {(uint8_t)(s.len >> 24), (uint8_t)(s.len >> 16),
                      (uint8_t)(s.len >> 8), (uint8_t)s.len};

    (void)crypto_generichash_update(h, len, sizeof(len));
    if (s.len > 0)
        (void)crypto_generichash_update(h, (const uint8_t *)s.at, s.len);
}

static void name_of(struct slice site, struct slice destination,
                    uint8_t out[16])
{
    crypto_generichash_state h;

    (void)crypto_generichash_init(&h, NULL, 0, 16);
    put_part(&h, site);
    put_part(&h, destination);
    (void)crypto_generichash_final(&h, out, 16);
}

static bool find_epoch(const struct epochs *e, const uint8_t name[16],
                       unsigned *out)
{
    unsigned count = epoch_file_count(e->file);

    for (unsigned i = 0; i < count; i++) {
        const struct epoch_slot *s = epoch_file_slot(e->file, i);
        if (s->kind == EPOCH_SLOT_EPOCH && memcmp(s->name, name, 16) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static enum status make_epoch(struct epochs *e, const uint8_t name[16],
                              int64_t now_ms, int64_t ends_ms, unsigned *out)
{
    unsigned at;
    enum status st = epoch_file_take(e->file, &at);

    if (st != ST_OK)
        return st;
    struct epoch_slot *s = epoch_file_slot(e->file, at);
    s->kind = EPOCH_SLOT_EPOCH;
    do {
        randombytes_buf(&s->id, sizeof(s->id));
    } while (s->id == 0);
    s->starts_ms = now_ms;
    s->ends_ms = ends_ms;
    memcpy(s->name, name, 16);
    randombytes_buf(s->secret, sizeof(s->secret));
    st = epoch_file_write(e->file, at);
    if (st != ST_OK) { /* nothing may be made with what is not kept */
        sodium_memzero(s, sizeof(*s));
        return st;
    }
    *out = at;
    return ST_OK;
}

enum status epochs_current(struct epochs *e, struct slice site,
                           struct slice destination, struct duration rotate,
                           int64_t rotate_at_ms, int64_t now_ms,
                           struct epoch *out, bool *out_new)
{
    uint8_t name[16];
    unsigned at = 0;
    enum status st = ST_OK;
    int64_t next = next_rotation(rotate, rotate_at_ms, now_ms);

    name_of(site, destination, name);
    bool found = find_epoch(e, name, &at);
    if (found && now_ms >= epoch_file_slot(e->file, at)->ends_ms) {
        /* The old secret is gone from file and memory before a new one is. */
        st = epoch_file_erase(e->file, at);
        found = false;
    } else if (found && next < epoch_file_slot(e->file, at)->ends_ms) {
        /* The clock went back, or the policy rotates more often now: it must
         * not live longer than a period from here. */
        epoch_file_slot(e->file, at)->ends_ms = next;
        st = epoch_file_write(e->file, at);
    }
    bool made = st == ST_OK && !found;
    if (made)
        st = make_epoch(e, name, now_ms, next, &at);
    if (st != ST_OK)
        return st;
    const struct epoch_slot *s = epoch_file_slot(e->file, at);
    *out = (struct epoch){s->id, s->starts_ms, s->ends_ms, s->secret};
    *out_new = made;
    return ST_OK;
}

enum status epochs_forget(struct epochs *e, struct slice site,
                          struct slice destination)
{
    uint8_t name[16];
    unsigned at;

    name_of(site, destination, name);
    if (!find_epoch(e, name, &at))
        return ST_UNKNOWN;
    return epoch_file_erase(e->file, at);
}

/* Is the day key due? Also one from a clock that was far ahead, which would
 * else wait for that day to come. */
static bool day_is_due(const struct epochs *e, const struct epoch_slot *s,
                       int64_t now_ms)
{
    return now_ms >= s->ends_ms + e->subject_search_ms ||
           s->starts_ms > now_ms + MS_PER_DAY;
}

/* An epoch that is over although nobody asked for the next one: its
 * destination is gone from the config. */
static bool has_ended(const struct epoch_slot *s, int64_t now_ms)
{
    return s->kind == EPOCH_SLOT_EPOCH && now_ms >= s->ends_ms;
}

static enum status destroy_due(struct epochs *e, int64_t now_ms,
                               unsigned *out_destroyed)
{
    unsigned count = epoch_file_count(e->file);
    bool off = e->subject_search_ms <= 0;

    for (unsigned i = 0; i < count; i++) {
        const struct epoch_slot *s = epoch_file_slot(e->file, i);
        bool is_day = s->kind == EPOCH_SLOT_DAY;
        if (is_day ? !off && !day_is_due(e, s, now_ms) : !has_ended(s, now_ms))
            continue;
        enum status st = epoch_file_erase(e->file, i);
        if (st != ST_OK)
            return st;
        *out_destroyed += is_day;
    }
    return ST_OK;
}

/* Newest first: later days, and on one day the later made. */
static bool is_newer(const struct epoch_slot *a, const struct epoch_slot *b)
{
    return a->starts_ms != b->starts_ms ? a->starts_ms > b->starts_ms
                                        : a->id > b->id;
}

static const struct epoch_slot *find_day(const struct epochs *e,
                                         int64_t starts_ms)
{
    unsigned count = epoch_file_count(e->file);
    const struct epoch_slot *best = NULL;

    for (unsigned i = 0; i < count; i++) {
        const struct epoch_slot *s = epoch_file_slot(e->file, i);
        if (s->kind == EPOCH_SLOT_DAY && s->starts_ms == starts_ms &&
            (best == NULL || is_newer(s, best)))
            best = s;
    }
    return best;
}

static enum status make_day(struct epochs *e, int64_t starts_ms,
                            const struct epoch_slot **out)
{
    char tag[EPOCH_DAY_TAG_MAX];
    unsigned at, number = 0;
    /* On disk before the key: two keys never share a tag. */
    enum status st = day_tag_next(e->state_dir, starts_ms, tag, &number);

    if (st == ST_OK)
        st = epoch_file_take(e->file, &at);
    if (st != ST_OK)
        return st;
    struct epoch_slot *s = epoch_file_slot(e->file, at);
    s->kind = EPOCH_SLOT_DAY;
    s->id = number;
    s->starts_ms = starts_ms;
    s->ends_ms = starts_ms + MS_PER_DAY;
    randombytes_buf(s->secret, 16);
    memcpy(s->tag, tag, sizeof(s->tag));
    st = epoch_file_write(e->file, at);
    if (st != ST_OK) {
        sodium_memzero(s, sizeof(*s));
        return st;
    }
    *out = s;
    return ST_OK;
}

enum status epochs_day_key(struct epochs *e, int64_t now_ms,
                           uint8_t out_key[16], char out_tag[EPOCH_DAY_TAG_MAX],
                           bool *out_new, unsigned *out_destroyed)
{
    int64_t starts_ms = floor_div(now_ms, MS_PER_DAY) * MS_PER_DAY;
    unsigned destroyed = 0;
    bool made = false;
    enum status st = destroy_due(e, now_ms, &destroyed);

    if (st != ST_OK)
        return st;
    if (e->subject_search_ms <= 0) {
        memset(out_key, 0, 16);
        memset(out_tag, 0, EPOCH_DAY_TAG_MAX);
        day_format(starts_ms, out_tag);
    } else {
        const struct epoch_slot *s = find_day(e, starts_ms);
        made = s == NULL;
        if (made)
            st = make_day(e, starts_ms, &s);
        if (st != ST_OK)
            return st;
        memcpy(out_key, s->secret, 16);
        memcpy(out_tag, s->tag, EPOCH_DAY_TAG_MAX);
    }
    *out_new = made;
    *out_destroyed = destroyed;
    return ST_OK;
}

bool epochs_day_key_at(const struct epochs *e, unsigned index,
                       uint8_t out_key[16], char out_tag[EPOCH_DAY_TAG_MAX])
{
    unsigned count = epoch_file_count(e->file);

    for (unsigned i = 0; i < count; i++) {
        const struct epoch_slot *s = epoch_file_slot(e->file, i);
        unsigned newer = 0;
        if (s->kind != EPOCH_SLOT_DAY)
            continue;
        for (unsigned k = 0; k < count; k++) {
            const struct epoch_slot *other = epoch_file_slot(e->file, k);
            newer += other->kind == EPOCH_SLOT_DAY && is_newer(other, s);
        }
        if (newer == index) {
            memcpy(out_key, s->secret, 16);
            memcpy(out_tag, s->tag, EPOCH_DAY_TAG_MAX);
            return true;
        }
    }
    return false;
}

void epochs_optout_seen(const struct epochs *e, uint64_t *out_number,
                        uint8_t out_hash[32])
{
    const struct epoch_head *h = epoch_file_head(e->file);

    *out_number = h->optout_number;
    memcpy(out_hash, h->optout_hash, 32);
}

enum status epochs_note_optout(struct epochs *e, uint64_t number,
                               const uint8_t hash[32])
{
    struct epoch_head *h = epoch_file_head(e->file);

    if (h->optout_number == number && memcmp(h->optout_hash, hash, 32) == 0)
        return ST_OK;
    h->optout_number = number;
    memcpy(h->optout_hash, hash, 32);
    return epoch_file_write_head(e->file);
}
