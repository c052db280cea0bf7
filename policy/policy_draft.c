/* A first policy from a sample: names of events and fields, never values. */
#include "lethe/policy/policy_text.h"

#include "policy_inside.h"

#include <stdio.h>

#define DRAFT_ARENA_MAX (64u << 20)

enum seen { SEEN_BOOL = 1, SEEN_NUMBER = 2, SEEN_TEXT = 4, SEEN_URL = 8 };

struct draft_field {
    struct draft_field *next;
    struct slice path;
    unsigned kinds; /* enum seen bits */
};
struct draft_event {
    struct draft_event *next;
    struct slice name;
    struct draft_field *fields;
    unsigned field_count;
    unsigned left_out; /* names that cannot stand in a policy */
};
struct draft {
    struct arena *a;
    struct draft_event *events;
    unsigned event_count;
    bool nomem;
};

static struct draft_event *draft_event_of(struct draft *x, struct slice name)
{
    struct draft_event **at = &x->events;

    while (*at != NULL && !slice_eq((*at)->name, name))
        at = &(*at)->next;
    if (*at != NULL || x->event_count == POLICY_EVENTS_MAX)
        return *at;
    struct draft_event *e = arena_zalloc(x->a, 1, sizeof(*e));
    if (e == NULL) {
        x->nomem = true;
        return NULL;
    }
    e->name = arena_copy(x->a, name);
    x->nomem |= e->name.at == NULL;
    x->event_count++;
    *at = e;
    return e;
}

/* One is read whole and the other by its parts: a policy refuses that. */
static bool clash(struct slice a, struct slice b)
{
    struct slice small = a.len < b.len ? a : b;
    struct slice large = a.len < b.len ? b : a;
    struct slice rest;

    if (!slice_starts(large, small))
        return false;
    rest = slice_skip(large, small.len);
    return rest.len == 0 || rest.at[0] == '.' || rest.at[0] == '[';
}

static void add_field(struct draft *x, struct draft_event *e, struct slice path,
                      unsigned kind)
{
    struct draft_field **at = &e->fields;
    bool many, wildcard;

    for (; *at != NULL; at = &(*at)->next) {
        if (slice_eq((*at)->path, path)) {
            (*at)->kinds |= kind;
            return;
        }
        if (clash((*at)->path, path)) {
            e->left_out++;
            return;
        }
    }
    if (e->field_count == POLICY_FIELDS_MAX ||
        !path_check(path, &many, &wildcard) || wildcard) {
        e->left_out++;
        return;
    }
    struct draft_field *f = arena_zalloc(x->a, 1, sizeof(*f));
    if (f == NULL) {
        x->nomem = true;
        return;
    }
    f->path = arena_copy(x->a, path);
    f->kinds = kind;
    e->field_count++;
    *at = f;
}

static unsigned kind_seen(const struct json_value *v)
{
    struct slice s = json_string(v);

    switch (json_kind_of(v)) {
    case JSON_KIND_BOOL:
        return SEEN_BOOL;
    case JSON_KIND_NUMBER:
        return SEEN_NUMBER;
    case JSON_KIND_STRING:
        return slice_starts(s, SLICE("http://")) ||
                       slice_starts(s, SLICE("https://"))
                   ? SEEN_URL
                   : SEEN_TEXT;
    case JSON_KIND_NULL:
    case JSON_KIND_ARRAY:
    case JSON_KIND_OBJECT:
        break;
    }
    return 0;
}

/* Recursion is bounded by JSON_DEPTH_MAX. */
static void walk(struct draft *x, struct draft_event *e,
                 const struct json_value *v, struct slice path)
{
    char text[POLICY_PATH_MAX + 1];
    bool list = json_kind_of(v) == JSON_KIND_ARRAY;

    if (json_kind_of(v) != JSON_KIND_OBJECT && !list) {
        if (path.len > 0 && json_kind_of(v) != JSON_KIND_NULL)
            add_field(x, e, path, kind_seen(v));
        return;
    }
    for (const struct json_value *m = json_child(v); m != NULL;
         m = json_sibling(m)) {
        struct slice name = list ? SLICE("[]") : json_name(m);
        bool odd = false;
        for (size_t i = 0; !list && i < name.len; i++)
            odd |= name.at[i] == '.' || name.at[i] == '[' ||
                   name.at[i] == ']' || (unsigned char)name.at[i] < 0x20;
        int len = snprintf(text, sizeof(text), "%.*s%s%.*s", SLICE_ARG(path),
                           path.len > 0 && !list ? "." : "", SLICE_ARG(name));
        if (odd || name.len == 0 || len < 0 || (size_t)len >= sizeof(text))
            e->left_out++;
        else
            walk(x, e, m, (struct slice){text, (size_t)len});
    }
}

static bool take_event(struct draft *x, const struct json_value *v)
{
    const struct json_value *action = json_get(v, "action");
    const struct json_value *details = json_get(v, "details");

    if (action == NULL || json_kind_of(action) != JSON_KIND_STRING)
        return false;
    struct slice name = json_string(action);
    if (name.len == 0 || name.len > POLICY_PATH_MAX ||
        slice_find(name, '*') < name.len)
        return false;
    struct draft_event *e = draft_event_of(x, name);
    if (e != NULL && details != NULL)
        walk(x, e, details, SLICE_NONE);
    return e != NULL;
}

static enum status take_line(struct draft *x, struct slice line,
                             unsigned *skipped)
{
    struct json_tree *tree = NULL;
    struct json_complaint c;
    enum status st = json_tree_read(line, false, &tree, &c);

    if (st == ST_NOMEM)
        return st;
    if (st != ST_OK) {
        (*skipped)++;
        return ST_OK;
    }
    const struct json_value *v = json_tree_root(tree);
    if (json_kind_of(v) == JSON_KIND_ARRAY) {
        for (const struct json_value *m = json_child(v); m != NULL;
             m = json_sibling(m))
            *skipped += take_event(x, m) ? 0u : 1u;
    } else if (!take_event(x, v)) {
        (*skipped)++;
    }
    json_tree_free(tree);
    return x->nomem ? ST_NOMEM : ST_OK;
}

static const char *proposal(const struct draft_field *f)
{
    struct slice name = f->path;

    if (f->kinds == SEEN_BOOL)
        return "\"bool\"";
    if (f->kinds == SEEN_NUMBER)
        return "{\"number\": {\"round\": 10, \"min\": 0, \"max\": 1000}}";
    if (f->kinds == SEEN_URL)
        return "\"host\"";
    if (slice_ends(name, SLICE("file_name")) ||
        slice_ends(name, SLICE("filename")))
        return "{\"extension\": [\"pdf\"], \"as\": \"file_extension\"}";
    return "{\"enum\": [\"...\"], \"other\": \"other\"}";
}

/* A name that may leave, made from one that may not. */
static void put_as(struct slice name, struct buf *out)
{
    char text[POLICY_NAME_MAX];
    size_t n = 0;

    if (name_leaves(name))
        return;
    for (; n < name.len && n < sizeof(text); n++) {
        struct slice one = {name.at + n, 1};
        text[n] = name_leaves(one) ? name.at[n] : '_';
    }
    buf_put(out, SLICE("\"as\": "));
    buf_put_json_string(out, (struct slice){text, n});
    buf_put(out, SLICE(", "));
}

static void put_event(const struct draft_event *e, struct buf *out)
{
    buf_put(out, SLICE("    "));
    buf_put_json_string(out, e->name);
    buf_put(out, SLICE(": {"));
    put_as(e->name, out);
    buf_put(out, SLICE("\"purpose\": [\"audience\"], \"fields\": {\n"));
    for (const struct draft_field *f = e->fields; f != NULL; f = f->next) {
        buf_put(out, SLICE("      "));
        buf_put_json_string(out, f->path);
        buf_printf(out, ": \"drop\"%s // %s\n", f->next != NULL ? "," : "",
                   proposal(f));
    }
    if (e->left_out > 0)
        buf_printf(out,
                   "      // left out: %u values whose names cannot stand in "
                   "a policy, or clash with another\n",
                   e->left_out);
    buf_printf(out, "    }}%s\n", e->next != NULL ? "," : "");
}

static const char head[] =
    "// A draft: it lets nothing through. Read it field by field; where a value"
    "\n// is needed, put the rule from the comment, or a narrower one, in place"
    " of\n// \"drop\". Replace every \"...\".\n"
    "{\n"
    "  \"format\": 1, \"policy\": \"draft\", \"version\": \"1\", \"extends\": "
    "\"cnil-strict\",\n"
    "  \"controller\": {\"name\": \"...\", \"contact\": \"...\"},\n"
    "  \"hosting\": {\"region\": \"EU\", \"processors\": []},\n"
    "  \"purposes\": {\"audience\": {\"basis\": \"consent\", \"retention\": "
    "\"P13M\",\n"
    "    \"consent\": {\"app\": [\"audience\"]}, \"text\": {\"en\": \"...\"}}},"
    "\n  \"identifiers\": {\"session\": \"drop\"},\n"
    "  \"context\": {\"user_agent\": \"drop\", \"time\": \"drop\"},\n"
    "  \"events\": {\n";
static const char tail[] =
    "  },\n"
    "  // {\"store\": {\"role\": \"controller\", \"country\": \"FR\", "
    "\"recipient\": \"ourselves\",\n"
    "  //   \"profile\": \"cnil-strict\", \"purposes\": [\"audience\"]}}\n"
    "  \"destinations\": {}\n"
    "}\n";

enum status policy_draft(struct slice sample, struct buf *out,
                         unsigned *out_skipped)
{
    struct draft x = {.a = arena_new(DRAFT_ARENA_MAX)};
    unsigned skipped = 0;
    enum status st = x.a != NULL ? ST_OK : ST_NOMEM;

    while (st == ST_OK && sample.len > 0) {
        size_t end = slice_find(sample, '\n');
        struct slice line = slice_trim(slice_head(sample, end));
        sample = slice_skip(sample, end + 1);
        if (line.len > 0)
            st = take_line(&x, line, &skipped);
    }
    if (st == ST_OK) {
        buf_put(out, slice_of(head));
        for (const struct draft_event *e = x.events; e != NULL; e = e->next)
            put_event(e, out);
        buf_put(out, slice_of(tail));
        st = out->failed ? ST_LIMIT : ST_OK;
    }
    if (st == ST_OK)
        *out_skipped = skipped;
    arena_free(x.a);
    return st;
}
