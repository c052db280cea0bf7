/* log_recover.c - what is left of the log at start-up.
 *
 * Reads every record once: where the log ends, its totals, each site's rows.
 * A last line that was never finished is cut; anything else that is wrong is
 * damage, and then the gateway does not start. */
#include "log_internal.h"
#include "prune_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scan {
    struct audit_log *l;
    struct audit_recovery *found;
    struct audit_names names;
    uint64_t segment_rows;      /* rows of this segment's records */
    struct row_batches batches; /* of this segment, and which are theirs */
    bool is_last;
    uint64_t good; /* bytes of this segment's good lines */
    bool bad;      /* a bad line was seen */
    bool any_batch;
    uint64_t no_rows_to; /* where the last file without rows ends */
};

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

static void read_optouts(struct scan *c, struct slice d)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    struct slice text = field_text(field_after(d, "\"ooh\":\""));
    uint32_t bits = 0;
    unsigned have = 0;
    size_t n = 0;

    c->found->newest_optout = field_number(field_after(d, "\"oo\":"));
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
    struct audit_site *s;
    uint64_t number;

    if (!names_find(&c->names, label, c->l->next_index, &number))
        return ST_CORRUPT;
    s = site_add(c->l, number);
    if (s == NULL)
        return ST_LIMIT;
    s->t1 = t1;
    s->total += field_rows(d);
    if (label.len >= NAME_BYTES)
        return ST_CORRUPT;
    memcpy(s->label, label.at, label.len);
    s->label[label.len] = '\0';
    return ST_OK;
}

/* A batch may be of a policy whose policy.load was pruned: its hash is in the
 * batch's own `why`, and batches to come may name it again. */
static enum status note_pruned_policy(struct audit_log *l, struct slice d,
                                      struct slice why)
{
    char text[64];
    struct slice pol = field_after(d, "\"pol\":");
    uint64_t index = field_number(pol);

    if (slice_starts(pol, SLICE("null")) || index >= l->first_index ||
        policy_is_known(l, index) || !slice_starts(why, SLICE("pol:")))
        return ST_OK;
    int n = snprintf(text, sizeof(text), "\"pol\":\"%.*s\"",
                     SLICE_ARG(slice_head(slice_skip(why, 4), POLICY_HEX)));
    struct slice load = {text, (size_t)n};
    uint64_t last = l->last_policy;
    enum status st =
        policy_has_hash(load) ? policy_note(l, index, load) : ST_OK;
    if (last != POLICY_NONE) /* a newer one was loaded since */
        l->last_policy = last;
    return st;
}

static enum status read_batch(struct scan *c, struct slice d, struct slice why)
{
    struct slice site = field_after(d, "\"site\":\"");
    struct slice tag = field_after(d, "\"tag\":\"");
    int64_t t1 = field_time(field_after(d, "\"t1\":\""));

    field_counts(field_after(d, "\"cum\":{"), &c->l->cum);
    read_optouts(c, d);
    c->any_batch = true;
    uint64_t rows = field_number(field_after(d, "\"n\":"));
    c->segment_rows += rows;
    tag = field_text(tag);
    if (tag.len > 0 && tag.len < sizeof(c->l->last_tag)) {
        memset(c->l->last_tag, 0, sizeof(c->l->last_tag));
        memcpy(c->l->last_tag, tag.at, tag.len);
    }
    enum status st = ST_OK;
    if (c->is_last)
        st = rows_note(&c->batches, c->l->next_index, rows,
                       field_text(field_after(d, "\"root\":\"")));
    if (st == ST_OK)
        st = note_pruned_policy(c->l, d, why);
    if (st != ST_OK)
        return st;
    if (site.at != NULL)
        return read_site(c, field_text(site), d, t1);
    c->l->heartbeat_t1 = t1;
    for (unsigned i = 0; i < c->l->site_count; i++)
        c->l->sites[i]->t1 = t1;
    return ST_OK;
}

static enum status read_record(struct scan *c, struct slice line)
{
    struct audit_log *l = c->l;
    struct slice act = field_text(field_after(line, "\"act\":\""));
    struct slice why = field_text(field_after(line, "\"why\":\""));
    struct slice d = field_after(line, "\"d\":");
    enum status st = ST_OK;

    l->last_t = field_time(field_after(line, "\"t\":\""));
    if (l->next_index == l->segment_first)
        l->segment_day = l->last_t / MS_PER_DAY;
    log_orders(l, l->next_index, l->last_t, act, why, d);
    if (slice_eq(act, SLICE("batch")))
        st = read_batch(c, d, why);
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

static enum status read_file(struct scan *c, const char *path)
{
    FILE *f = fopen(path, "re");

    if (f == NULL)
        return ST_IO;
    c->good = c->segment_rows = 0;
    enum status st = read_lines(c, f);
    (void)fclose(f);
    return st;
}

/* The one that grows: what was never finished is cut. */
static enum status read_last(struct scan *c, uint64_t first)
{
    struct audit_log *l = c->l;
    enum status st = segment_open(l, first);

    c->is_last = true;
    if (st == ST_OK)
        st = read_file(c, l->seg.path);
    if (st != ST_OK)
        return st;
    uint64_t rows = c->segment_rows * ROW_BYTES;
    if (l->rows.size < rows)
        return ST_CORRUPT;
    st = rows_check(&c->batches, l->rows.fd);
    if (st != ST_OK)
        return st;
    c->found->cut_bytes += l->seg.size - c->good;
    c->found->rows_cut += l->rows.size - rows;
    st = cut(&l->rows, rows);
    return st == ST_OK ? cut(&l->seg, c->good) : st;
}

/* One that was closed. Its rows may have been deleted since: whether by order,
 * the log's end tells. */
static enum status read_closed(struct scan *c, uint64_t first, uint64_t end)
{
    char path[PRUNE_PATH_MAX];
    struct stat about;

    c->l->segment_first = first;
    prune_path(c->l->folder, PRUNE_RECORDS, first, "", path);
    enum status st = read_file(c, path);
    if (st != ST_OK)
        return st;
    if (c->bad || c->l->next_index != end)
        return ST_CORRUPT;
    prune_path(c->l->folder, PRUNE_ROWS, first, "", path);
    if (stat(path, &about) != 0) {
        c->no_rows_to = end;
        return errno == ENOENT ? ST_OK : ST_IO;
    }
    return (uint64_t)about.st_size == c->segment_rows * ROW_BYTES ? ST_OK
                                                                  : ST_CORRUPT;
}

/* Nothing is missing that no audit.prune of the log orders to go. */
static enum status check_missing(const struct scan *c, uint64_t first)
{
    const struct audit_order *newest = c->l->orders.newest;

    if (first > newest[PRUNE_RECORDS].to ||
        c->no_rows_to > newest[PRUNE_ROWS].to)
        return ST_CORRUPT;
    return ST_OK;
}

static enum status add_total(void *ctx, uint64_t site, uint64_t rows)
{
    struct audit_site *s = site_add(ctx, site);

    if (s == NULL)
        return ST_LIMIT;
    s->total += rows;
    return ST_OK;
}

static enum status add_gap(struct scan *c, const struct audit_name *n)
{
    return n->gap == 0 ? ST_OK : add_total(c->l, n->number, n->gap);
}

static enum status read_segments(struct scan *c, const uint64_t *list,
                                 size_t count)
{
    struct audit_log *l = c->l;
    enum status st;

    if (count == 0)
        return segment_open(l, 0);
    /* Where records were pruned, the log begins at a later index. */
    l->next_index = l->first_index = list[0];
    st = publish_resume(l, list[0]);
    if (st == ST_OK)
        st = prune_read_totals(l->folder, list[0], add_total, l);
    for (size_t i = 0; i < count && st == ST_OK; i++)
        st = i + 1 == count ? read_last(c, list[i])
                            : read_closed(c, list[i], list[i + 1]);
    if (!c->any_batch)
        l->cum = l->orders.newest[PRUNE_RECORDS].cum1;
    return st == ST_OK ? check_missing(c, list[0]) : st;
}

enum status recover_read(struct audit_log *l, struct audit_recovery *out)
{
    struct scan c = {.l = l, .found = out};
    uint64_t *list = NULL;
    size_t count = 0;
    enum status st = names_read(l->names.path, &c.names);

    if (st == ST_OK)
        st = cut(&l->names, c.names.good);
    if (st == ST_OK)
        st = log_files(l->folder, "seg", ".jsonl", &list, &count);
    if (st == ST_OK)
        st = read_segments(&c, list, count);
    for (size_t i = 0; i < c.names.count && st == ST_OK; i++)
        st = add_gap(&c, &c.names.list[i]);
    l->synced = l->next_index;
    free(list);
    free(c.names.list);
    rows_forget(&c.batches);
    return st;
}
