#include "lethe/gateway/http/rate.h"

#include "lethe/policy/base/clock.h"

#include <arpa/inet.h>
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PROBES 8u

struct client {
    uint64_t hash; /* 0 = free */
    uint32_t count;
};

struct rate {
    pthread_mutex_t lock;
    unsigned per_minute;
    rate_hash *hash;
    rate_random *random;
    void *random_ctx;
    uint8_t key[16];
    int64_t minute;
    struct client clients[RATE_CLIENTS_MAX];
};

struct rate *rate_new(unsigned per_minute, rate_hash *hash, rate_random *random,
                      void *random_ctx)
{
    struct rate *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return NULL;
    if (pthread_mutex_init(&r->lock, NULL) != 0) {
        free(r);
        return NULL;
    }
    r->per_minute = per_minute;
    r->hash = hash;
    r->random = random;
    r->random_ctx = random_ctx;
    r->minute = -1;
    return r;
}

void rate_free(struct rate *r)
{
    if (r == NULL)
        return;
    (void)pthread_mutex_destroy(&r->lock);
    explicit_bzero(r, sizeof(*r));
    free(r);
}

static void start_minute(struct rate *r, int64_t minute)
{
    if (r->minute == minute)
        return;
    r->random(r->random_ctx, r->key, sizeof(r->key));
    explicit_bzero(r->clients, sizeof(r->clients));
    r->minute = minute;
}

/* Hash of the address, or of the /64 it lies in. Never 0. */
static uint64_t client_hash(const struct rate *r, struct slice address)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr six;
    uint64_t hash;

    if (address.len < sizeof(text) && slice_find(address, ':') < address.len) {
        memcpy(text, address.at, address.len);
        text[address.len] = '\0';
        if (inet_pton(AF_INET6, text, &six) == 1) {
            hash = r->hash(r->key, six.s6_addr, 8);
            return hash != 0 ? hash : 1;
        }
    }
    hash = r->hash(r->key, address.at, address.len);
    return hash != 0 ? hash : 1;
}

static struct client *find_client(struct rate *r, uint64_t hash)
{
    struct client *quietest = NULL;

    for (unsigned i = 0; i < PROBES; i++) {
        struct client *c = &r->clients[(hash + i) % RATE_CLIENTS_MAX];
        if (c->hash == hash)
            return c;
        if (quietest == NULL || c->count < quietest->count)
            quietest = c;
    }
    *quietest = (struct client){.hash = hash};
    return quietest;
}

bool rate_take(struct rate *r, struct slice address, int64_t mono_ms)
{
    bool fits = true;

    assert(r != NULL);

    if (r->per_minute == 0)
        return true;
    (void)pthread_mutex_lock(&r->lock);
    start_minute(r, mono_ms / MS_PER_MIN);
    struct client *c = find_client(r, client_hash(r, address));
    fits = c->count < r->per_minute;
    if (fits)
        c->count++;
    (void)pthread_mutex_unlock(&r->lock);
    return fits;
}
