/* bench_policy.c - what one event costs in policy/: read, decide, minimise and
 * encode, on one core, in CPU time. Two figures: identifiers seen before (the
 * worker's cache answers), and a new identifier in each event.
 *
 *   bench_policy [rounds]      prints: name value unit */
#include "../unit/story.h"

#include "lethe/policy/pseudonym.h"

#include <sodium.h>
#include <stdio.h>
#include <time.h>

#define EVENTS     4096u
#define EVENT_MAX  800u
#define CACHE_SIZE 8192u

static char events[EVENTS][EVENT_MAX];
static size_t lengths[EVENTS];

static struct slot {
    uint64_t key;
    size_t len;
    char text[PSEUDONYM_TEXT_MAX];
} cache[CACHE_SIZE];
static const uint8_t cache_key[16] = {1};

/* The worker's cache in its simplest form. */
static size_t cached(void *ctx, unsigned d, unsigned purpose, enum id_kind kind,
                     struct slice id, char out[PSEUDONYM_TEXT_MAX])
{
    struct story *s = ctx;
    uint64_t key = cache_hash(cache_key, id.at, id.len) + (uint64_t)kind;
    struct slot *slot = &cache[key % CACHE_SIZE];

    if (slot->key != key) {
        struct pseudonym_scope scope = {s->keys.site,
                                        s->p->destinations[d].name,
                                        s->p->purposes[purpose].name};
        slot->key = key;
        slot->len = pseudonym_make(s->epoch[d], &scope, kind, id,
                                   s->p->destinations[d].bits, SHAPE_BASE32,
                                   slot->text);
    }
    memcpy(out, slot->text, slot->len);
    return slot->len;
}

static void make_events(void)
{
    static const char *const details[] = {
        "\"file_upload\",\"details\":{\"file_size\":48318382,\"file_type\":"
        "\"audio/x-wav\",\"file_name\":\"my demo mix v3.wav\"}",
        "\"daw_selection\",\"details\":{\"daw\":\"ableton live\"}",
        "\"genre_detection\",\"details\":{\"genre\":\"Electronic\","
        "\"confidence\":0.8734}",
        "\"analysis_completion\",\"details\":{\"duration_s\":4.2371,"
        "\"success\":true}",
        "\"feedback_download\",\"details\":{\"format\":\"pdf\"}",
        "\"page_view\",\"details\":{}"};

    for (unsigned i = 0; i < EVENTS; i++)
        lengths[i] = (size_t)snprintf(
            events[i], EVENT_MAX,
            "{\"timestamp\":\"2026-11-22T08:%02u:%02u.123Z\",\"session_id\":"
            "\"3f2a9c1e-77aa-4c0e-9d1b-%012u\",\"id\":\"ev-%u\",\"action\":%s,"
            "\"context\":{\"url\":\"https://mixbot.example/upload?ref=mail\","
            "\"user_agent\":\"Mozilla/5.0 (Windows NT 10.0; Win64; x64) "
            "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "
            "Safari/537.36\"}}",
            i / 60 % 60, i % 60, i / 8, i, details[i % 6]);
}

static double cpu_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void run(struct story *s, const char *name, unsigned rounds, int steps)
{
    double from = cpu_ns();

    for (unsigned r = 0; r < rounds; r++) {
        for (unsigned i = 0; i < EVENTS; i++) {
            if (!story_decide(s, (struct slice){events[i], lengths[i]}))
                abort();
            if (steps > 1 && minimise(s->p, &s->h, &s->view, &s->v, 0, &s->keys,
                                      s->now_ms, s->a, &s->clean) != ST_OK)
                abort();
            buf_reset(&s->out);
            if (steps > 2)
                clean_hit_encode_plain(&s->clean, s->p, &s->out);
        }
    }
    printf("%s %.0f ns\n", name, (cpu_ns() - from) / rounds / EVENTS);
}

int main(int argc, char **argv)
{
    static uint8_t event_keys[POLICY_PURPOSES_MAX][EVENT_KEY_BYTES];
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 50;
    struct story s;

    if (sodium_init() < 0 || rounds == 0)
        return 1;
    make_events();
    story_open(&s, story_mixbot());
    run(&s, "policy.read_decide", rounds, 1);
    s.keys.event_keys[0] = event_keys;
    s.keys.pseudonym = cached;
    s.keys.ctx = &s;
    run(&s, "policy.to_minimise_known", rounds, 2);
    run(&s, "policy.to_encode_known", rounds, 3);
    s.keys.pseudonym = NULL;
    run(&s, "policy.to_encode_new", rounds, 3);
    s.keys.event_keys[0] = NULL;
    run(&s, "policy.to_encode_new_no_keys", rounds, 3);
    story_close(&s);
    return 0;
}
