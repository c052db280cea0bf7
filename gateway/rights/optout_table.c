#include "lethe/gateway/rights/optout_table.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SHARDS     64u
#define SLOTS_MIN  64u
#define HUGE_BYTES (2u << 20)
#define LIFTED_MAX UINT32_MAX

struct slot { /* 32 bytes: two in a cache line */
    uint8_t tag[TAG_BYTES];
    uint64_t newest;
    uint32_t lifted; /* index + 1 of the newest lifted entry; 0 = none */
    uint8_t standing;
    bool held;
    bool used;
    uint8_t unused;
};
static_assert(sizeof(struct slot) == 32, "memory of ten million tags");

struct lifted { /* an entry that fell */
    uint64_t number;
    int64_t set_ms, lift_ms;
    uint32_t next; /* as slot.lifted */
};

struct shard {
    pthread_rwlock_t lock;
    struct slot *slots;
    size_t size; /* a power of two */
    size_t used;
    struct lifted *lifted;
    uint32_t lifted_count, lifted_size;
} __attribute__((aligned(64)));

struct optout_table {
    struct shard shards[SHARDS];
    _Atomic uint64_t out_now, held_now;
};

/* Large tables in huge pages: a lookup is one cache miss, and should not be
 * one of the address translation as well. */
static struct slot *new_slots(size_t count)
{
    size_t bytes = count * sizeof(struct slot);

    if (bytes < HUGE_BYTES)
        return calloc(count, sizeof(struct slot));
    struct slot *slots = aligned_alloc(HUGE_BYTES, bytes);
    if (slots == NULL)
        return NULL;
    (void)madvise(slots, bytes, MADV_HUGEPAGE);
    memset(slots, 0, bytes);
    return slots;
}

/* Tags are keyed hashes, so their own bytes spread as well as any hash. */
static uint64_t tag_bits(const uint8_t tag[TAG_BYTES])
{
    uint64_t bits;

    memcpy(&bits, tag, sizeof(bits));
    return bits;
}

static struct shard *shard_of(const struct optout_table *t,
                              const uint8_t tag[TAG_BYTES])
{
    /* The lock is no part of what `const` promises. */
    return (struct shard *)(uintptr_t)&t->shards[tag_bits(tag) % SHARDS];
}

/* The tag's slot, or the empty one where it would go. */
static struct slot *find(const struct shard *s, const uint8_t tag[TAG_BYTES])
{
    size_t at = (size_t)(tag_bits(tag) / SHARDS) & (s->size - 1);

    while (s->slots[at].used && memcmp(s->slots[at].tag, tag, TAG_BYTES) != 0)
        at = (at + 1) & (s->size - 1);
    return &s->slots[at];
}

enum status optout_table_new(struct optout_table **out)
{
    struct optout_table *t = aligned_alloc(64, sizeof(*t));

    if (t == NULL)
        return ST_NOMEM;
    memset(t, 0, sizeof(*t));
    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *s = &t->shards[i];
        s->slots = new_slots(SLOTS_MIN);
        if (s->slots == NULL || pthread_rwlock_init(&s->lock, NULL) != 0) {
            free(s->slots);
            s->slots = NULL;
            optout_table_free(t);
            return ST_NOMEM;
        }
        s->size = SLOTS_MIN;
    }
    *out = t;
    return ST_OK;
}

void optout_table_free(struct optout_table *t)
{
    if (t == NULL)
        return;
    for (unsigned i = 0; i < SHARDS && t->shards[i].slots != NULL; i++) {
        (void)pthread_rwlock_destroy(&t->shards[i].lock);
        free(t->shards[i].slots);
        free(t->shards[i].lifted);
    }
    free(t);
}

/* Did an entry stand at `event_ms` that has fallen since, not too long ago? */
static bool was_out(const struct shard *s, const struct slot *slot,
                    int64_t event_ms, int64_t marked_since_ms)
{
    for (uint32_t at = slot->lifted; at != 0; at = s->lifted[at - 1].next) {
        const struct lifted *l = &s->lifted[at - 1];
        if (event_ms >= l->set_ms && event_ms <= l->lift_ms &&
            l->lift_ms >= marked_since_ms)
            return true;
    }
    return false;
}

enum optout_answer optout_table_lookup(const struct optout_table *t,
                                       const uint8_t tag[TAG_BYTES],
                                       int64_t event_ms,
                                       int64_t marked_since_ms)
{
    enum optout_answer answer = OPTOUT_ANSWER_NO;
    struct shard *s = shard_of(t, tag);

    if (pthread_rwlock_rdlock(&s->lock) != 0)
        return OPTOUT_ANSWER_OUT; /* fail closed */
    const struct slot *slot = find(s, tag);
    if (slot->standing > 0 || slot->held)
        answer = OPTOUT_ANSWER_OUT;
    else if (slot->lifted != 0 && event_ms != 0 &&
             was_out(s, slot, event_ms, marked_since_ms))
        answer = OPTOUT_ANSWER_THEN;
    (void)pthread_rwlock_unlock(&s->lock);
    return answer;
}

void optout_table_facts(const struct optout_table *t,
                        const uint8_t tag[TAG_BYTES],
                        struct optout_tag_facts *out)
{
    struct shard *s = shard_of(t, tag);

    (void)pthread_rwlock_rdlock(&s->lock);
    const struct slot *slot = find(s, tag);
    *out = (struct optout_tag_facts){slot->newest, slot->standing, slot->held};
    (void)pthread_rwlock_unlock(&s->lock);
}

/* Twice the slots when three quarters are used: at most 1/64 of all tags move
 * under one lock. */
static enum status make_room(struct shard *s)
{
    if (s->used < s->size / 4 * 3)
        return ST_OK;
    struct shard larger = *s;
    larger.size = s->size * 2;
    larger.slots = new_slots(larger.size);
    if (larger.slots == NULL)
        return ST_NOMEM;
    for (size_t i = 0; i < s->size; i++)
        if (s->slots[i].used)
            *find(&larger, s->slots[i].tag) = s->slots[i];
    free(s->slots);
    s->slots = larger.slots;
    s->size = larger.size;
    return ST_OK;
}

static enum status find_or_make(struct shard *s, const uint8_t tag[TAG_BYTES],
                                struct slot **out)
{
    struct slot *slot = find(s, tag);

    if (!slot->used) {
        enum status st = make_room(s);
        if (st != ST_OK)
            return st;
        slot = find(s, tag);
        memcpy(slot->tag, tag, TAG_BYTES);
        slot->used = true;
        s->used++;
    }
    *out = slot;
    return ST_OK;
}

enum status optout_table_hold(struct optout_table *t,
                              const uint8_t tag[TAG_BYTES])
{
    struct shard *s = shard_of(t, tag);
    struct slot *slot;

    (void)pthread_rwlock_wrlock(&s->lock);
    enum status st = find_or_make(s, tag, &slot);
    if (st == ST_OK) {
        if (slot->standing == 0 && !slot->held)
            atomic_fetch_add(&t->out_now, 1);
        if (!slot->held)
            atomic_fetch_add(&t->held_now, 1);
        slot->held = true;
    }
    (void)pthread_rwlock_unlock(&s->lock);
    return st;
}

enum status optout_table_set(struct optout_table *t,
                             const uint8_t tag[TAG_BYTES], uint64_t number)
{
    struct shard *s = shard_of(t, tag);
    struct slot *slot;

    (void)pthread_rwlock_wrlock(&s->lock);
    enum status st = find_or_make(s, tag, &slot);
    if (st == ST_OK) {
        if (slot->standing == 0 && !slot->held)
            atomic_fetch_add(&t->out_now, 1);
        if (slot->held)
            atomic_fetch_sub(&t->held_now, 1);
        slot->held = false;
        slot->newest = number;
        if (slot->standing < UINT8_MAX)
            slot->standing++;
    }
    (void)pthread_rwlock_unlock(&s->lock);
    return st;
}

static bool is_lifted(const struct shard *s, const struct slot *slot,
                      uint64_t number)
{
    for (uint32_t at = slot->lifted; at != 0; at = s->lifted[at - 1].next)
        if (s->lifted[at - 1].number == number)
            return true;
    return false;
}

bool optout_table_is_lifted(const struct optout_table *t,
                            const uint8_t tag[TAG_BYTES], uint64_t number)
{
    struct shard *s = shard_of(t, tag);

    (void)pthread_rwlock_rdlock(&s->lock);
    bool lifted = is_lifted(s, find(s, tag), number);
    (void)pthread_rwlock_unlock(&s->lock);
    return lifted;
}

static enum status add_lifted(struct shard *s, struct slot *slot,
                              struct lifted l)
{
    if (s->lifted_count == s->lifted_size) {
        uint32_t size = s->lifted_size == 0 ? 16 : s->lifted_size * 2;
        if (s->lifted_size > LIFTED_MAX / 2)
            return ST_NOMEM;
        struct lifted *more = realloc(s->lifted, size * sizeof(*more));
        if (more == NULL)
            return ST_NOMEM;
        s->lifted = more;
        s->lifted_size = size;
    }
    l.next = slot->lifted;
    s->lifted[s->lifted_count++] = l;
    slot->lifted = s->lifted_count;
    return ST_OK;
}

enum status optout_table_lift(struct optout_table *t,
                              const uint8_t tag[TAG_BYTES], uint64_t number,
                              int64_t set_ms, int64_t lift_ms)
{
    struct shard *s = shard_of(t, tag);
    enum status st = ST_UNKNOWN;

    (void)pthread_rwlock_wrlock(&s->lock);
    struct slot *slot = find(s, tag);
    if (slot->used && slot->standing > 0 && !is_lifted(s, slot, number)) {
        /* A clock that went back must not make the interval empty. */
        struct lifted l = {number, set_ms < lift_ms ? set_ms : lift_ms,
                           set_ms < lift_ms ? lift_ms : set_ms, 0};
        st = add_lifted(s, slot, l);
        if (st == ST_OK && --slot->standing == 0 && !slot->held)
            atomic_fetch_sub(&t->out_now, 1);
    }
    (void)pthread_rwlock_unlock(&s->lock);
    return st;
}

uint64_t optout_table_count(const struct optout_table *t)
{
    return atomic_load(&t->out_now);
}

uint64_t optout_table_held(const struct optout_table *t)
{
    return atomic_load(&t->held_now);
}

size_t optout_table_bytes(const struct optout_table *t)
{
    size_t bytes = sizeof(*t);

    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *s = (struct shard *)(uintptr_t)&t->shards[i];
        (void)pthread_rwlock_rdlock(&s->lock);
        bytes +=
            s->size * sizeof(*s->slots) + s->lifted_size * sizeof(*s->lifted);
        (void)pthread_rwlock_unlock(&s->lock);
    }
    return bytes;
}
