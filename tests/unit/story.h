/* story.h - for tests: an event as JSON goes the whole way of an event, from
 * the reader to the encoded clean hit. A stand-in for the plain dialect that
 * knows no limits and no errors. */
#ifndef TESTS_STORY_H
#define TESTS_STORY_H

#include "lethe/policy/decide.h"
#include "lethe/policy/hit.h"
#include "lethe/policy/json_reader.h"
#include "lethe/policy/minimise.h"

#include <stdlib.h>
#include <string.h>

#define STORY_NOW INT64_C(1795338042123) /* 2026-11-22T09:00:42.123Z */

struct story {
    struct policy *p;
    struct arena *a;
    struct buf out;
    struct minimise_keys keys;
    uint8_t epoch[POLICY_DESTINATIONS_MAX][KEY_BYTES];
    struct hit h;
    struct consent c;
    struct verdict v;
    struct hit_view view;
    struct clean_hit clean;
    enum optout_state optout;
    uint16_t present;
    int64_t now_ms;
};

static inline void story_open(struct story *s, struct policy *p)
{
    memset(s, 0, sizeof *s);
    s->p = p;
    s->a = arena_new(8u << 20);
    buf_init(&s->out, 1u << 20);
    s->keys.site = SLICE("9f2c41d07a6be835");
    memset(s->keys.fresh_id, 7, sizeof s->keys.fresh_id);
    for (unsigned d = 0; d < POLICY_DESTINATIONS_MAX; d++) {
        memset(s->epoch[d], (int)d + 1, KEY_BYTES);
        s->keys.epoch_keys[d] = s->epoch[d];
    }
    s->present = 0xffff;
    s->now_ms = STORY_NOW;
}

static inline void story_close(struct story *s)
{
    arena_free(s->a);
    buf_free(&s->out);
    policy_unref(s->p);
}

static inline struct slice story_text(const struct json_node *o,
                                      const char *key)
{
    const struct json_node *n = json_member(o, slice_of(key));

    return n != NULL && n->type == JSON_STRING ? n->text : SLICE_NONE;
}

static inline void story_identify(struct hit *h, enum id_kind kind,
                                  struct slice id)
{
    if (id.at != NULL)
        h->identifiers[h->identifier_count++] =
            (struct identifier){kind, id, id};
}

static inline bool story_truth(const struct json_node *o, const char *key)
{
    const struct json_node *n = json_member(o, slice_of(key));

    return n != NULL && n->type == JSON_TRUE;
}

static inline void story_hit(struct hit *h, const struct json_node *e)
{
    const struct json_node *context = json_member(e, SLICE("context"));
    const struct json_node *consent = json_member(e, SLICE("consent"));
    struct slice time = story_text(e, "timestamp");

    memset(h, 0, sizeof *h);
    h->name = story_text(e, "action");
    h->client_id = story_text(e, "id");
    h->fields = json_member(e, SLICE("details"));
    story_identify(h, ID_SESSION, story_text(e, "session_id"));
    story_identify(h, ID_USER, story_text(e, "user_id"));
    story_identify(h, ID_DEVICE, story_text(e, "device_id"));
    story_identify(h, ID_GROUP, story_text(e, "group_id"));
    for (unsigned k = 0; k < CTX_COUNT && context != NULL; k++)
        h->context[k] =
            story_text(context, context_key_name((enum context_key)k));
    h->context[CTX_TIME] = SLICE_NONE;
    h->has_time = time.at != NULL && time_parse(time, &h->time_ms) == ST_OK;
    if (consent != NULL && consent->type == JSON_STRING)
        h->signals.denied = slice_eq(consent->text, SLICE("denied"));
    else
        h->signals.app = consent;
    if (context != NULL) {
        h->signals.gpc = story_truth(context, "gpc");
        h->signals.dnt = story_truth(context, "dnt");
    }
    h->source = SOURCE_PLAIN;
}

/* Read and decide; false if `text` is no JSON object. The hit borrows the
 * arena until the next call. */
static inline bool story_decide(struct story *s, struct slice text)
{
    const struct json_node *root;
    struct slice copy;

    arena_reset(s->a);
    copy = arena_copy(s->a, text);
    if (json_read(s->a, (char *)(size_t)copy.at, copy.len, &root, NULL) !=
            ST_OK ||
        root->type != JSON_OBJECT)
        return false;
    story_hit(&s->h, root);
    consent_decide(s->p, &s->h.signals, s->now_ms, s->optout, &s->c);
    decide(s->p, &s->h, &s->c, s->present, s->now_ms, &s->v);
    if (s->v.event != NULL)
        hit_view_make(s->v.event, &s->h, &s->view);
    return true;
}

/* The clean hit of the last decided event for `d` as NUL-terminated text;
 * NULL where it was not cleared. */
static inline const char *story_clean(struct story *s, unsigned d)
{
    if (((unsigned)s->v.cleared >> d & 1u) == 0)
        return NULL;
    if (minimise(s->p, &s->h, &s->view, &s->v, d, &s->keys, s->now_ms, s->a,
                 &s->clean) != ST_OK)
        abort();
    buf_reset(&s->out);
    clean_hit_encode_plain(&s->clean, s->p, &s->out);
    buf_put_char(&s->out, '\0');
    if (s->out.failed)
        abort();
    return s->out.data;
}

static inline struct policy *story_mixbot(void)
{
    static struct policy_problems problems;
    struct policy *p = NULL;
    struct slice text;

    if (policy_shipped(NULL, SLICE("mixbot"), &text) != ST_OK ||
        policy_load(text, "mixbot.json", policy_shipped, NULL, &p, &problems) !=
            ST_OK)
        abort();
    return p;
}

#endif
