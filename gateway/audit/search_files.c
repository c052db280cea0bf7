/* search_files.c - bytes of a file through one window of memory. Read, not
 * mapped: a start after a crash may cut a file while a search looks at it. */
#include "search_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define WINDOW_BYTES (1u << 20)

enum status window_open(struct window *w, const char *path)
{
    w->at = w->len = 0;
    w->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (w->fd < 0)
        return errno == ENOENT ? ST_UNKNOWN : ST_IO;
    return ST_OK;
}

static bool make_room(struct window *w, size_t len)
{
    size_t room = len > WINDOW_BYTES ? len : WINDOW_BYTES;

    if (w->room >= room)
        return true;
    free(w->data);
    w->data = malloc(room);
    w->room = w->data == NULL ? 0 : room;
    w->len = 0;
    return w->data != NULL;
}

const uint8_t *window_get(struct window *w, uint64_t at, size_t len,
                          bool backward)
{
    uint64_t end = at + len;

    if (at >= w->at && end <= w->at + w->len)
        return w->data + (at - w->at);
    if (w->fd < 0 || !make_room(w, len))
        return NULL;
    w->at = !backward ? at : end > w->room ? end - w->room : 0;
    w->len = 0;
    while (w->len < w->room) {
        ssize_t n = pread(w->fd, w->data + w->len, w->room - w->len,
                          (off_t)(w->at + w->len));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        w->len += (size_t)n;
    }
    return end <= w->at + w->len ? w->data + (at - w->at) : NULL;
}

void window_close(struct window *w)
{
    if (w->fd >= 0)
        (void)close(w->fd);
    w->fd = -1;
    w->len = 0;
}

void window_free(struct window *w)
{
    window_close(w);
    free(w->data);
    w->data = NULL;
    w->room = 0;
}
