#include "lethe/gateway/keys/day_tags.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAME       "day-tags"
#define NAME_NEW   "day-tags.new"
#define LINE_BYTES 32u /* "2026-11-22 999999\n" */

struct day_count {
    char day[DAY_TEXT_MAX];
    unsigned number;
};

/* Lines of `text` into `out`, newest first; what is damaged ends it: at worst
 * a number is used again after a loss of both. */
static unsigned read_days(struct slice text, struct day_count out[DAY_TAGS_MAX])
{
    unsigned count = 0;

    while (count < DAY_TAGS_MAX && text.len > 0) {
        size_t end = slice_find(text, '\n');
        struct slice line = slice_head(text, end);
        unsigned long long number;
        if (line.len < DAY_TEXT_MAX ||
            !slice_to_u64(slice_skip(line, DAY_TEXT_MAX), &number) ||
            number > DAY_NUMBER_MAX)
            break;
        memcpy(out[count].day, line.at, DAY_TEXT_MAX - 1);
        out[count].day[DAY_TEXT_MAX - 1] = '\0';
        out[count++].number = (unsigned)number;
        text = slice_skip(text, end + 1);
    }
    return count;
}

static enum status load(int dir, struct day_count out[DAY_TAGS_MAX],
                        unsigned *out_count)
{
    char text[DAY_TAGS_MAX * LINE_BYTES];
    int fd = openat(dir, NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    *out_count = 0;
    if (fd < 0)
        return errno == ENOENT ? ST_OK : ST_IO;
    ssize_t len = read(fd, text, sizeof(text));
    (void)close(fd);
    if (len < 0)
        return ST_IO;
    *out_count = read_days((struct slice){text, (size_t)len}, out);
    return ST_OK;
}

static enum status save(int dir, const struct day_count *days, unsigned count)
{
    char text[DAY_TAGS_MAX * LINE_BYTES];
    size_t len = 0;

    for (unsigned i = 0; i < count; i++) {
        int n = snprintf(text + len, sizeof(text) - len, "%s %u\n", days[i].day,
                         days[i].number);
        if (n < 0 || (size_t)n >= sizeof(text) - len)
            return ST_LIMIT;
        len += (size_t)n;
    }
    int fd =
        openat(dir, NAME_NEW,
               O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return ST_IO;
    bool good = write(fd, text, len) == (ssize_t)len && fsync(fd) == 0;
    if (close(fd) != 0 || !good || renameat(dir, NAME_NEW, dir, NAME) != 0 ||
        fsync(dir) != 0)
        return ST_IO;
    return ST_OK;
}

/* Count one more key of `day`; it becomes the first entry. */
static unsigned count_up(struct day_count days[DAY_TAGS_MAX], unsigned *count,
                         const char day[DAY_TEXT_MAX])
{
    unsigned at = 0, number = 1;

    while (at < *count && memcmp(days[at].day, day, DAY_TEXT_MAX) != 0)
        at++;
    if (at < *count)
        number = days[at].number + 1;
    else if (*count < DAY_TAGS_MAX)
        (*count)++;
    else
        at--; /* the oldest one falls out */
    memmove(&days[1], &days[0], at * sizeof(days[0]));
    memcpy(days[0].day, day, DAY_TEXT_MAX);
    days[0].number = number;
    return number;
}

enum status day_tag_next(const char *state_dir, int64_t starts_ms,
                         char out_tag[EPOCH_DAY_TAG_MAX], unsigned *out_number)
{
    struct day_count days[DAY_TAGS_MAX];
    char day[DAY_TEXT_MAX];
    unsigned count;
    int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return ST_IO;
    day_format(starts_ms, day);
    enum status st = load(dir, days, &count);
    unsigned number = st == ST_OK ? count_up(days, &count, day) : 0;
    if (st == ST_OK && number > DAY_NUMBER_MAX)
        st = ST_LIMIT;
    if (st == ST_OK)
        st = save(dir, days, count);
    (void)close(dir);
    if (st != ST_OK)
        return st;
    memset(out_tag, 0, EPOCH_DAY_TAG_MAX);
    if (number == 1)
        (void)snprintf(out_tag, EPOCH_DAY_TAG_MAX, "%s", day);
    else
        (void)snprintf(out_tag, EPOCH_DAY_TAG_MAX, "%s.%u", day, number);
    *out_number = number;
    return ST_OK;
}
