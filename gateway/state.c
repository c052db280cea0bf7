#include "lethe/gateway/state.h"

#include "lethe/gateway/random.h"
#include "lethe/policy/base/buf.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION_BYTES_MAX 128u
#define SITES_BYTES_MAX   ((STATE_SITE_MAX + 1u) * STATE_SITES_MAX)

struct state {
    int folder_fd;
    int lock_fd;
    uint8_t id[16];
    char (*sites)[STATE_SITE_MAX + 1];
    unsigned site_count;
};

const char *state_fault_text(enum state_fault fault)
{
    switch (fault) {
    case STATE_FAULT_LOCKED:
        return "another gateway or command is using this state folder";
    case STATE_FAULT_VERSION:
        return "the state folder was written by another version of Lethe";
    case STATE_FAULT_OWNER:
        return "the state folder must belong to the user that runs Lethe, "
               "mode 0700";
    case STATE_FAULT_DAMAGED:
        return "VERSION or sites in the state folder cannot be read";
    case STATE_FAULT_IO:
        return "the state folder cannot be read or written";
    case STATE_FAULT_NONE:
    default:
        return "no fault";
    }
}

bool state_path(const struct conf *c, const char *name, char out[CONF_PATH_MAX])
{
    int n = snprintf(out, CONF_PATH_MAX, "%s/%s", c->state_dir, name);

    return n > 0 && (size_t)n < CONF_PATH_MAX;
}

/* Whole file into `out`; ST_UNKNOWN if it is absent. */
static enum status read_small(int folder, const char *name, size_t max,
                              struct buf *out)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    enum status st = ST_OK;

    if (fd < 0)
        return errno == ENOENT ? ST_UNKNOWN : ST_IO;
    buf_init(out, max + 1);
    if (!buf_reserve(out, max + 1)) {
        st = ST_NOMEM;
        goto out;
    }
    for (;;) {
        ssize_t n = read(fd, out->data + out->len, out->cap - out->len);
        if (n < 0 || out->len + (size_t)n > max)
            st = n < 0 ? ST_IO : ST_LIMIT;
        if (n <= 0 || st != ST_OK)
            break;
        out->len += (size_t)n;
    }
out:
    (void)close(fd);
    if (st != ST_OK)
        buf_free(out);
    return st;
}

/* Replace a file by rename, synced. */
static enum status write_small(int folder, const char *name,
                               const struct buf *text)
{
    char fresh[64];
    enum status st = ST_IO;

    (void)snprintf(fresh, sizeof(fresh), "%s.new", name);
    int fd =
        openat(folder, fresh,
               O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return ST_IO;
    if (write(fd, text->data, text->len) == (ssize_t)text->len &&
        fsync(fd) == 0)
        st = ST_OK;
    if (close(fd) != 0)
        st = ST_IO;
    if (st == ST_OK &&
        (renameat(folder, fresh, folder, name) != 0 || fsync(folder) != 0))
        st = ST_IO;
    return st;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_id(struct slice hex, uint8_t out[16])
{
    if (hex.len != 32)
        return false;
    for (size_t i = 0; i < 16; i++) {
        int high = hex_digit(hex.at[2 * i]), low = hex_digit(hex.at[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

static enum status mint_version(struct state *s)
{
    struct random_source r;
    struct buf text;

    random_init(&r);
    random_take(&r, s->id, sizeof(s->id));
    random_wipe(&r);
    buf_init(&text, VERSION_BYTES_MAX);
    buf_printf(&text, "lethe-state %u ", STATE_FORMAT);
    for (size_t i = 0; i < sizeof(s->id); i++)
        buf_printf(&text, "%02x", s->id[i]);
    buf_put_char(&text, '\n');
    enum status st =
        text.failed ? ST_NOMEM : write_small(s->folder_fd, "VERSION", &text);
    buf_free(&text);
    return st;
}

/* "lethe-state <format> <32 hex>\n" */
static enum status load_version(struct state *s, enum state_fault *out_fault)
{
    struct buf text;
    unsigned long long format;
    enum status st =
        read_small(s->folder_fd, "VERSION", VERSION_BYTES_MAX, &text);

    if (st == ST_UNKNOWN)
        return mint_version(s);
    if (st != ST_OK)
        return st;
    struct slice line = slice_trim(buf_slice(&text));
    st = ST_CORRUPT;
    *out_fault = STATE_FAULT_DAMAGED;
    if (slice_starts(line, SLICE("lethe-state "))) {
        line = slice_skip(line, SLICE("lethe-state ").len);
        size_t space = slice_find(line, ' ');
        if (slice_to_u64(slice_head(line, space), &format)) {
            if (format != STATE_FORMAT)
                *out_fault = STATE_FAULT_VERSION;
            else if (parse_id(slice_skip(line, space + 1), s->id))
                st = ST_OK;
        }
    }
    buf_free(&text);
    return st;
}

static bool is_site_id(struct slice id)
{
    if (id.len < 16 || id.len > STATE_SITE_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (hex_digit(id.at[i]) < 0)
            return false;
    return true;
}

static int find_site(const struct state *s, struct slice id)
{
    for (unsigned i = 0; i < s->site_count; i++)
        if (slice_eq(slice_of(s->sites[i]), id))
            return (int)i;
    return -1;
}

static void add_site(struct state *s, struct slice id)
{
    memcpy(s->sites[s->site_count], id.at, id.len);
    s->sites[s->site_count][id.len] = '\0';
    s->site_count++;
}

static enum status load_sites(struct state *s)
{
    struct buf text;
    enum status st = read_small(s->folder_fd, "sites", SITES_BYTES_MAX, &text);

    if (st == ST_UNKNOWN)
        return ST_OK;
    if (st != ST_OK)
        return st;
    struct slice rest = buf_slice(&text);
    while (rest.len > 0 && st == ST_OK) {
        size_t end = slice_find(rest, '\n');
        struct slice id = slice_head(rest, end);
        if (end == rest.len || !is_site_id(id) ||
            s->site_count == STATE_SITES_MAX)
            st = ST_CORRUPT;
        else
            add_site(s, id);
        rest = slice_skip(rest, end + 1);
    }
    buf_free(&text);
    return st;
}

static enum status save_sites(struct state *s)
{
    struct buf text;

    buf_init(&text, SITES_BYTES_MAX);
    for (unsigned i = 0; i < s->site_count; i++) {
        buf_put(&text, slice_of(s->sites[i]));
        buf_put_char(&text, '\n');
    }
    enum status st =
        text.failed ? ST_NOMEM : write_small(s->folder_fd, "sites", &text);
    buf_free(&text);
    return st;
}

static enum status open_folder(const char *folder, struct state *s,
                               enum state_fault *out_fault)
{
    struct stat about;

    *out_fault = STATE_FAULT_IO;
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return ST_IO;
    s->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->folder_fd < 0 || fstat(s->folder_fd, &about) != 0)
        return ST_IO;
    if (about.st_uid != geteuid() || (about.st_mode & 0077) != 0) {
        *out_fault = STATE_FAULT_OWNER;
        return ST_DENIED;
    }
    s->lock_fd = openat(s->folder_fd, "lock",
                        O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock_fd < 0)
        return ST_IO;
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        *out_fault = STATE_FAULT_LOCKED;
        return ST_BUSY;
    }
    return ST_OK;
}

enum status state_open(const char *folder, struct state **out,
                       enum state_fault *out_fault)
{
    enum status st = ST_NOMEM;
    enum state_fault fault = STATE_FAULT_IO;
    struct state *s = calloc(1, sizeof(*s));

    if (s == NULL)
        goto fail;
    s->folder_fd = s->lock_fd = -1;
    s->sites = calloc(STATE_SITES_MAX, sizeof(*s->sites));
    if (s->sites == NULL)
        goto fail;
    st = open_folder(folder, s, &fault);
    if (st == ST_OK)
        st = load_version(s, &fault);
    if (st == ST_OK) {
        fault = STATE_FAULT_DAMAGED;
        st = load_sites(s);
    }
    if (st != ST_OK)
        goto fail;
    *out = s;
    return ST_OK;

fail:
    state_close(s);
    *out_fault = fault;
    return st;
}

void state_close(struct state *s)
{
    if (s == NULL)
        return;
    if (s->lock_fd >= 0)
        (void)close(s->lock_fd);
    if (s->folder_fd >= 0)
        (void)close(s->folder_fd);
    free(s->sites);
    free(s);
}

const uint8_t *state_id(const struct state *s)
{
    return s->id;
}

enum status state_enter_site(struct state *s, struct slice id)
{
    assert(is_site_id(id));
    if (find_site(s, id) >= 0)
        return ST_OK;
    if (s->site_count == STATE_SITES_MAX)
        return ST_LIMIT;
    add_site(s, id);
    enum status st = save_sites(s);
    if (st != ST_OK)
        s->site_count--;
    return st;
}

enum status state_retire_site(struct state *s, struct slice id)
{
    int at = find_site(s, id);

    if (at < 0)
        return ST_UNKNOWN;
    s->site_count--;
    memmove(s->sites[at], s->sites[at + 1],
            (s->site_count - (unsigned)at) * sizeof(*s->sites));
    return save_sites(s);
}

const char *state_site(const struct state *s, unsigned index)
{
    return index < s->site_count ? s->sites[index] : NULL;
}
