/* log_recover.c - what is left of the log at start-up.
 *
 * Reads every record once: where the log ends, its totals, each site's rows.
 * A last line that was never finished is cut; anything else that is wrong is
 * damage, and then the gateway does not start. */
#include "log_internal.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT_DIGITS 12u

struct name_line {
    uint64_t index, number, gap;
    char label[NAME_BYTES];
};

struct scan {
    struct audit_log *l;
    struct audit_recovery *found;
    struct name_line *names;
    size_t name_count;
    uint64_t segment_rows; /* rows of this segment's records */
    uint64_t good;         /* bytes of this segment's good lines */
    bool bad;              /* a bad line was seen */
};

/* What follows the first `key` in `s`. Strings hold no quotes, so a key with
 * its quotes is found nowhere else. */
static struct slice after(struct slice s, const char *key)
{
    struct slice k = slice_of(key);
    const char *at = s.len < k.len ? NULL : memmem(s.at, s.len, k.at, k.len);

    return at == NULL ? SLICE_NONE : slice_skip(s, (size_t)(at - s.at) + k.len);
}

static uint64_t number_at(struct slice s)
{
    unsigned long long v = 0;
    size_t n = 0;

    while (n < s.len && s.at[n] >= '0' && s.at[n] <= '9')
        n++;
    return slice_to_u64(slice_head(s, n), &v) ? v : 0;
}

static struct slice text_at(struct slice s)
{
    return slice_head(s, slice_find(s, '"'));
}

static int64_t time_at(struct slice s)
{
    int64_t t = 0;

    return time_parse(text_at(s), &t) == ST_OK ? t : 0;
}

static bool line_ok(const struct audit_log *l, struct slice line)
{
    char frame[48];
    int n = snprintf(frame, sizeof(frame),
                     "{\"v\":1,\"i\":%" PRIu64 ",\"t\":\"", l->next_index);

    return line.len <= AUDIT_RECORD_MAX &&
           slice_starts(line, (struct slice){frame, (size_t)n}) &&
           record_d_ok(line);
}

/* A record of some other index. */
static bool looks_whole(struct slice line)
{
    return slice_starts(line, SLICE("{\"v\":1,\"i\":")) && record_d_ok(line);
}

static uint64_t sum_exceptions(struct slice ex)
{
    uint64_t sum = 0;

    for (ex = slice_head(ex, slice_find(ex, '}')); ex.len > 0;) {
        size_t end = slice_find(ex, ']');
        size_t at = end;
        while (at > 0 && ex.at[at - 1] != ',')
            at--;
        sum += at == 0 ? 0 : number_at(slice_skip(ex, at));
        ex = slice_skip(ex, end + 1);
    }
    return sum;
}

/* The id that `label` stood for at record `index`. */
static bool name_lookup(const struct scan *c, struct slice label,
                        uint64_t index, uint64_t *out_number)
{
    for (size_t i = c->name_count; i > 0; i--) {
        const struct name_line *n = &c->names[i - 1];
        if (n->index <= index && slice_eq(slice_of(n->label), label)) {
            *out_number = n->number;
            return true;
        }
    }
    return false;
}

static void read_counts(struct slice d, struct audit_counts *out)
{
    *out = (struct audit_counts){
        .in = number_at(after(d, "\"in\":")),
        .fwd = number_at(after(d, "\"fwd\":")),
        .mod = number_at(after(d, "\"mod\":")),
        .drop = number_at(after(d, "\"drop\":")),
    };
}

static void read_optouts(struct scan *c, struct slice d)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    struct slice text = text_at(after(d, "\"ooh\":\""));
    uint32_t bits = 0;
    unsigned have = 0;
    size_t n = 0;

    c->found->newest_optout = number_at(after(d, "\"oo\":"));
    for (size_t i = 0; i < text.len && n < HASH_BYTES; i++) {
        const char *at = memchr(digits, text.at[i], sizeof(digits) - 1);
        if (at == NULL)
            break;
        bits = bits << 6 | (uint32_t)(at - digits);
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        c->found->newest_hash[n++] = (uint8_t)(bits >> have);
    }
}

static enum status read_site(struct scan *c, struct slice label, struct slice d,
                             int64_t t1)
{
    struct audit_counts counts;
    struct audit_site *s;
    uint64_t number;

    if (!name_lookup(c, label, c->l->next_index, &number))
        return ST_CORRUPT;
    s = site_add(c->l, number);
    if (s == NULL)
        return ST_LIMIT;
    read_counts(d, &counts);
    s->t1 = t1;
    s->total += counts.in + sum_exceptions(after(d, "\"ex\":["));
    if (label.len >= NAME_BYTES)
        return ST_CORRUPT;
    memcpy(s->label, label.at, label.len);
    s->label[label.len] = '\0';
    return ST_OK;
}

static enum status read_batch(struct scan *c, struct slice d)
{
    struct slice site = after(d, "\"site\":\"");
    struct slice tag = after(d, "\"tag\":\"");
    int64_t t1 = time_at(after(d, "\"t1\":\""));

    read_counts(after(d, "\"cum\":{"), &c->l->cum);
    read_optouts(c, d);
    c->segment_rows += number_at(after(d, "\"n\":"));
    tag = text_at(tag);
    if (tag.len > 0 && tag.len < sizeof(c->l->last_tag)) {
        memset(c->l->last_tag, 0, sizeof(c->l->last_tag));
        memcpy(c->l->last_tag, tag.at, tag.len);
    }
    if (site.at != NULL)
        return read_site(c, text_at(site), d, t1);
    c->l->heartbeat_t1 = t1;
    for (unsigned i = 0; i < c->l->site_count; i++)
        c->l->sites[i]->t1 = t1;
    return ST_OK;
}

static enum status read_record(struct scan *c, struct slice line)
{
    struct audit_log *l = c->l;
    struct slice act = text_at(after(line, "\"act\":\""));
    struct slice d = after(line, "\"d\":");
    enum status st = ST_OK;

    l->last_t = time_at(after(line, "\"t\":\""));
    if (l->next_index == l->segment_first)
        l->segment_day = l->last_t / MS_PER_DAY;
    if (slice_eq(act, SLICE("batch")))
        st = read_batch(c, d);
    else if (slice_eq(act, SLICE("policy.load")))
        st = policy_note(l, l->next_index, d);
    if (!l->has_base)
        l->heartbeat_t1 = l->last_t;
    l->has_base = true;
    l->next_index++;
    c->found->records++;
    return st == ST_OK ? publish_found(l, line) : st;
}

/* One segment's lines. *out_bad_at is where the first bad one begins. */
static enum status read_lines(struct scan *c, FILE *f)
{
    char *text = NULL;
    size_t size = 0;
    ssize_t n;
    enum status st = ST_OK;

    while (st == ST_OK && (n = getline(&text, &size, f)) > 0) {
        struct slice line = {text, (size_t)n};
        bool whole = text[n - 1] == '\n';
        line.len -= whole;
        bool good = whole && !c->bad && line_ok(c->l, line);
        if (c->bad && whole && looks_whole(line))
            st = ST_CORRUPT; /* damage with good records behind it */
        else if (good)
            st = read_record(c, line);
        c->bad = c->bad || !good;
        c->good += c->bad ? 0 : (uint64_t)n;
    }
    if (st == ST_OK && ferror(f))
        st = ST_IO;
    free(text);
    return st;
}

static enum status cut(struct audit_file *f, uint64_t to)
{
    if (f->size <= to)
        return ST_OK;
    if (ftruncate(f->fd, (off_t)to) != 0 || fdatasync(f->fd) != 0)
        return ST_IO;
    f->size = to;
    return ST_OK;
}

static enum status read_segment(struct scan *c, uint64_t first, bool is_last)
{
    struct audit_log *l = c->l;
    enum status st;
    FILE *f;

    if (c->bad || first != l->next_index)
        return ST_CORRUPT;
    st = segment_open(l, first);
    if (st != ST_OK)
        return st;
    f = fopen(l->seg.path, "re");
    if (f == NULL)
        return ST_IO;
    c->good = c->segment_rows = 0;
    st = read_lines(c, f);
    (void)fclose(f);
    if (st != ST_OK)
        return st;
    uint64_t rows = c->segment_rows * ROW_BYTES;
    if (l->rows.size < rows || (!is_last && l->rows.size != rows) ||
        (!is_last && c->bad))
        return ST_CORRUPT;
    c->found->cut_bytes += l->seg.size - c->good;
    c->found->rows_cut += l->rows.size - rows;
    st = cut(&l->rows, rows);
    return st == ST_OK ? cut(&l->seg, c->good) : st;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static enum status list_segments(const struct audit_log *l, uint64_t **out,
                                 size_t *out_count)
{
    char path[PATH_BYTES];
    uint64_t *list = NULL;
    size_t count = 0;
    struct dirent *e;

    (void)snprintf(path, sizeof(path), "%s/seg", l->folder);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return ST_IO;
    while ((e = readdir(dir)) != NULL) {
        struct slice name = slice_of(e->d_name);
        unsigned long long first;
        if (!slice_ends(name, SLICE(".jsonl")) ||
            name.len != SEGMENT_DIGITS + 6 ||
            !slice_to_u64(slice_head(name, SEGMENT_DIGITS), &first))
            continue;
        uint64_t *more = realloc(list, (count + 1) * sizeof(*list));
        if (more == NULL) {
            free(list);
            (void)closedir(dir);
            return ST_NOMEM;
        }
        list = more;
        list[count++] = first;
    }
    (void)closedir(dir);
    if (count > 0)
        qsort(list, count, sizeof(*list), compare_u64);
    *out = list;
    *out_count = count;
    return ST_OK;
}

static bool name_parse(struct slice line, struct name_line *out)
{
    char text[128];

    if (line.len >= sizeof(text))
        return false;
    memcpy(text, line.at, line.len);
    text[line.len] = '\0';
    return sscanf(text, "%" SCNu64 " %16" SCNx64 " %32s %" SCNu64, &out->index,
                  &out->number, out->label, &out->gap) == 4;
}

/* Which ids the labels stood for (written by log_batch.c). */
static enum status read_names(struct scan *c)
{
    struct audit_file *f = &c->l->names;
    uint64_t good = 0;
    char *text = NULL;
    size_t size = 0;
    ssize_t n;
    enum status st = ST_OK;
    FILE *in = fopen(f->path, "re");

    if (in == NULL)
        return ST_IO;
    while (st == ST_OK && (n = getline(&text, &size, in)) > 0) {
        struct name_line line;
        if (text[n - 1] != '\n' ||
            !name_parse((struct slice){text, (size_t)n - 1}, &line))
            break;
        void *more = realloc(c->names, (c->name_count + 1) * sizeof(*c->names));
        if (more == NULL) {
            st = ST_NOMEM;
            break;
        }
        c->names = more;
        c->names[c->name_count++] = line;
        good += (uint64_t)n;
    }
    free(text);
    (void)fclose(in);
    return st == ST_OK ? cut(f, good) : st;
}

static enum status add_gap(struct scan *c, const struct name_line *n)
{
    struct audit_site *s = n->gap == 0 ? NULL : site_add(c->l, n->number);

    if (s != NULL)
        s->total += n->gap;
    return n->gap == 0 || s != NULL ? ST_OK : ST_LIMIT;
}

enum status recover_read(struct audit_log *l, struct audit_recovery *out)
{
    struct scan c = {.l = l, .found = out};
    uint64_t *list = NULL;
    size_t count = 0;
    enum status st = read_names(&c);

    if (st == ST_OK)
        st = list_segments(l, &list, &count);
    /* Where records were pruned, the log begins at a later index. */
    if (st == ST_OK && count > 0) {
        l->next_index = list[0];
        st = publish_resume(l, list[0]);
    }
    for (size_t i = 0; i < count && st == ST_OK; i++)
        st = read_segment(&c, list[i], i + 1 == count);
    if (st == ST_OK && count == 0)
        st = segment_open(l, 0);
    for (size_t i = 0; i < c.name_count && st == ST_OK; i++)
        st = add_gap(&c, &c.names[i]);
    free(list);
    free(c.names);
    return st;
}
