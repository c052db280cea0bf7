/* The one function of json_tree.h that touches a file lives here: policy/
 * itself reads none. */
#include "lethe/policy/json_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Up to `room` bytes of `fd`. Errors: ST_IO. */
static enum status read_up_to(int fd, char *to, size_t room, size_t *out_len)
{
    size_t len = 0;

    while (len < room) {
        ssize_t got = read(fd, to + len, room - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ST_IO;
        if (got == 0)
            break;
        len += (size_t)got;
    }
    *out_len = len;
    return ST_OK;
}

enum status json_tree_load(const char *path, bool comments,
                           struct json_tree **out,
                           struct json_complaint *out_complaint)
{
    enum status st = ST_IO;
    char *text = NULL;
    size_t len = 0;

    *out_complaint = (struct json_complaint){.text = "out of memory"};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        goto out;
    text = malloc(JSON_FILE_MAX + 1);
    if (text == NULL) {
        st = ST_NOMEM;
        goto out;
    }
    st = read_up_to(fd, text, JSON_FILE_MAX + 1, &len);
    if (st == ST_OK)
        st = json_tree_read((struct slice){text, len}, comments, out,
                            out_complaint);
out:
    if (st == ST_IO)
        (void)snprintf(out_complaint->text, sizeof(out_complaint->text),
                       "cannot be read: %s", strerror(errno));
    free(text);
    if (fd >= 0)
        (void)close(fd);
    return st;
}
