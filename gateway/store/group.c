#include "lethe/gateway/store/group.h"

#include <stdlib.h>

#define SEALED_CAP (24u << 20)
#define ROWS_CAP   (4u << 20)

struct group *group_new(void)
{
    struct group *g = calloc(1, sizeof(*g));

    if (g == NULL)
        return NULL;
    g->refs = 1;
    buf_init(&g->sealed, SEALED_CAP);
    buf_init(&g->rows, ROWS_CAP);
    return g;
}

struct group *group_ref(struct group *g)
{
    (void)__atomic_add_fetch(&g->refs, 1, __ATOMIC_RELAXED);
    return g;
}

void group_unref(struct group *g)
{
    if (g == NULL || __atomic_sub_fetch(&g->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    buf_free(&g->sealed);
    buf_free(&g->rows);
    free(g->blobs);
    free(g->sites);
    free(g);
}

/* A larger size for a list that holds `size` items; 0 at the limit. */
static unsigned next_size(unsigned size, unsigned max)
{
    unsigned want = size == 0 ? 8 : size * 2;

    return want > max ? (size < max ? max : 0) : want;
}

struct group_blob *group_add_blob(struct group *g)
{
    if (g->blob_count == g->blob_size) {
        unsigned size = next_size(g->blob_size, GROUP_BLOBS_MAX);
        void *more =
            size == 0 ? NULL : realloc(g->blobs, size * sizeof(*g->blobs));
        if (more == NULL)
            return NULL;
        g->blobs = more;
        g->blob_size = size;
    }
    g->blobs[g->blob_count] = (struct group_blob){0};
    return &g->blobs[g->blob_count++];
}

struct group_rows *group_add_rows(struct group *g)
{
    if (g->site_count == g->site_size) {
        unsigned size = next_size(g->site_size, GROUP_SITES_MAX);
        void *more =
            size == 0 ? NULL : realloc(g->sites, size * sizeof(*g->sites));
        if (more == NULL)
            return NULL;
        g->sites = more;
        g->site_size = size;
    }
    g->sites[g->site_count] = (struct group_rows){0};
    return &g->sites[g->site_count++];
}
