/* front_notice.c - what a site says of itself to machines. */
#include "lethe/gateway/front.h"
#include "lethe/policy/notice.h"

#include <string.h>

static struct slice base_of(const struct visit *v)
{
    char *text = arena_alloc(v->x->arena, 3 + v->path_site.len);

    if (v->path_site.len == 0 || text == NULL)
        return SLICE_NONE;
    memcpy(text, "/s/", 3);
    memcpy(text + 3, v->path_site.at, v->path_site.len);
    return (struct slice){text, 3 + v->path_site.len};
}

static struct notice_view view_of(const struct visit *v)
{
    const struct world_site *s =
        &intake_world(v->front->intake)->sites[v->site];

    return (struct notice_view){.policy = s->policy,
                                .present = s->present,
                                .since_ms = s->policy_since_ms,
                                .base = base_of(v)};
}

static void send_json(struct visit *v, enum status st, struct buf *body)
{
    struct http_answer answer = {.status = 200,
                                 .content_type = SLICE("application/json"),
                                 .body = buf_slice(body)};

    answer.headers[answer.header_count++] =
        (struct beacon_header){SLICE("Cache-Control"), SLICE("no-store")};
    if (st != ST_OK)
        visit_error(v, 503);
    else
        visit_answer(v, &answer);
    buf_free(body);
}

void front_gpc(struct visit *v)
{
    struct buf body;

    if (!visit_find_site(v))
        return;
    struct notice_view view = view_of(v);
    buf_init(&body, 256);
    notice_put_gpc(&view, &body);
    send_json(v, body.failed ? ST_NOMEM : ST_OK, &body);
}

void front_notice(struct visit *v)
{
    struct buf body;

    if (!visit_find_site(v))
        return;
    struct notice_view view = view_of(v);
    buf_init(&body, NOTICE_MAX);
    enum status st = notice_put(&view, &body);
    send_json(v, st, &body);
}
