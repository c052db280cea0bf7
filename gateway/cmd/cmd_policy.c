/* cmd_policy.c - what an officer does with a policy before it runs. */
#include "lethe/gateway/cmd/cmd.h"
#include "lethe/gateway/cmd/sample.h"
#include "lethe/gateway/file.h"
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/system_clock.h"
#include "lethe/policy/policy_text.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_MAX (64u << 20)
#define PATH_BYTES 4096

int cmd_begin_policy(const struct cmd *self, int argc, char **argv,
                     unsigned positionals_min, struct cmd_line *l)
{
    int code = cmd_parse(self, argc, argv, l);

    if (code >= 0)
        return code;
    if (l->positional_count < positionals_min)
        return cmd_fail(CMD_USAGE, "%s needs %s; see `lethe %s --help`",
                        self->words, self->arguments, self->words);
    return secrets_init() == ST_OK
               ? -1
               : cmd_fail(CMD_WRONG, "libsodium cannot be initialised");
}

static int print_text(const struct cmd_line *l, const struct buf *text)
{
    if (text->failed)
        return cmd_fail(CMD_WRONG, "too much to print");
    if (!l->json) {
        (void)fwrite(text->data, 1, text->len, stdout);
        return CMD_OK;
    }
    struct buf quoted;
    buf_init(&quoted, OUTPUT_MAX);
    buf_put_json_string(&quoted, buf_slice(text));
    (void)printf("{\"text\":%.*s}\n", SLICE_ARG(buf_slice(&quoted)));
    buf_free(&quoted);
    return CMD_OK;
}

int cmd_policy_show(const struct cmd *self, int argc, char **argv)
{
    struct policy *p = NULL;
    struct cmd_line l;
    struct buf out;
    int code = cmd_begin_policy(self, argc, argv, 1, &l);

    if (code >= 0)
        return code;
    if (sample_policy(l.positionals[0], &p) != ST_OK)
        return CMD_WRONG;
    buf_init(&out, OUTPUT_MAX);
    enum status st;
    if (cmd_value(&l, "--words") != NULL)
        st = policy_show_words(p, &out);
    else if (cmd_value(&l, "--effective") != NULL)
        st = policy_show_effective(p, &out);
    else {
        st = json_pretty(json_tree_root(p->resolved), &out);
        buf_put_char(&out, '\n');
    }
    code = st == ST_OK ? print_text(&l, &out)
                       : cmd_fail(CMD_WRONG, "%s", status_name(st));
    buf_free(&out);
    policy_unref(p);
    return code;
}

static int say_diff(const struct cmd_line *l, struct buf *lines, bool loosens)
{
    if (lines->len == 0)
        buf_put(lines, SLICE("nothing changes for people\n"));
    if (loosens)
        buf_put(lines, SLICE("this change allows more than before\n"));
    return print_text(l, lines);
}

/* {"loosens":true,"changes":["more: ...", ...]} */
static int print_diff(const struct buf *lines, bool loosens)
{
    struct slice rest = buf_slice(lines);
    struct buf out;

    buf_init(&out, OUTPUT_MAX);
    buf_printf(&out, "{\"loosens\":%s,\"changes\":[",
               loosens ? "true" : "false");
    for (const char *comma = ""; rest.len > 0; comma = ",") {
        size_t end = slice_find(rest, '\n');
        buf_printf(&out, "%s", comma);
        buf_put_json_string(&out, slice_head(rest, end));
        rest = slice_skip(rest, end + 1);
    }
    buf_put(&out, SLICE("]}\n"));
    int code = out.failed || lines->failed
                   ? cmd_fail(CMD_WRONG, "too much to print")
                   : CMD_OK;
    if (code == CMD_OK)
        (void)fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
    return code;
}

int cmd_policy_diff(const struct cmd *self, int argc, char **argv)
{
    struct policy *before = NULL, *after = NULL;
    bool loosens = false;
    struct cmd_line l;
    struct buf out;
    int code = cmd_begin_policy(self, argc, argv, 2, &l);

    if (code >= 0)
        return code;
    buf_init(&out, OUTPUT_MAX);
    if (sample_policy(l.positionals[0], &before) != ST_OK ||
        sample_policy(l.positionals[1], &after) != ST_OK ||
        policy_diff_words(before, after, &out, &loosens) != ST_OK)
        code = CMD_WRONG;
    else {
        code = l.json ? print_diff(&out, loosens) : say_diff(&l, &out, loosens);
    }
    buf_free(&out);
    policy_unref(before);
    policy_unref(after);
    return code;
}

int cmd_policy_draft(const struct cmd *self, int argc, char **argv)
{
    struct cmd_line l;
    struct buf sample, out;
    unsigned skipped = 0;
    int code = cmd_begin_policy(self, argc, argv, 0, &l);

    if (code >= 0)
        return code;
    const char *path = l.positional_count > 0 ? l.positionals[0] : "-";
    if (file_read(path, SAMPLE_BYTES_MAX, &sample) != ST_OK) {
        buf_free(&sample);
        return cmd_fail(CMD_WRONG, "%s: cannot be read", path);
    }
    buf_init(&out, OUTPUT_MAX);
    enum status st = policy_draft(buf_slice(&sample), &out, &skipped);
    code = st == ST_OK ? print_text(&l, &out)
                       : cmd_fail(CMD_WRONG, "%s", status_name(st));
    if (skipped > 0)
        (void)cmd_fail(0, "%u lines were no events and are left out", skipped);
    buf_wipe(&sample);
    buf_free(&sample);
    buf_free(&out);
    return code;
}

/* ---- minimise ------------------------------------------------------------ */

static void flush_out(struct buf *out)
{
    if (out->len > 0)
        (void)fwrite(out->data, 1, out->len, stdout);
    buf_reset(out);
}

static int run_sample(const char *path, struct sample_run *run)
{
    struct buf text, out;

    if (file_read(path, SAMPLE_BYTES_MAX, &text) != ST_OK) {
        buf_free(&text);
        return cmd_fail(CMD_WRONG, "%s: cannot be read", path);
    }
    buf_init(&out, OUTPUT_MAX);
    enum status st = sample_events(run, text.data, text.len, &out, flush_out);
    flush_out(&out);
    buf_wipe(&text);
    buf_free(&text);
    buf_free(&out);
    (void)fprintf(
        stderr,
        "%llu events: %llu written, %llu dropped, %llu not "
        "understood\n",
        (unsigned long long)run->events, (unsigned long long)run->cleared,
        (unsigned long long)run->dropped, (unsigned long long)run->bad);
    return st == ST_OK ? (run->bad > 0 ? CMD_INCOMPLETE : CMD_OK)
                       : cmd_fail(CMD_WRONG, "%s", status_name(st));
}

int cmd_minimise(const struct cmd *self, int argc, char **argv)
{
    struct policy *p = NULL;
    struct cmd_line l;
    int code = cmd_begin_policy(self, argc, argv, 0, &l);

    if (code >= 0)
        return code;
    const char *path = cmd_value(&l, "--policy");
    const char *name = cmd_value(&l, "--destination");
    if (path == NULL)
        return cmd_fail(CMD_USAGE, "minimise needs --policy FILE");
    if (sample_policy(path, &p) != ST_OK)
        return CMD_WRONG;
    int d = name == NULL ? 0 : policy_find_destination(p, slice_of(name));
    struct sample_run run = {
        .policy = p,
        .destination = d,
        .bare = true,
        .now_ms = system_clock()->wall_ms(NULL),
    };
    code =
        d < 0 || p->destination_count == 0
            ? cmd_fail(CMD_USAGE, "the policy has no such destination")
            : run_sample(l.positional_count > 0 ? l.positionals[0] : "-", &run);
    policy_unref(p);
    return code;
}

int cmd_policy_explain(const struct cmd *self, int argc, char **argv)
{
    struct policy *p = NULL;
    struct cmd_line l;
    int code = cmd_begin_policy(self, argc, argv, 1, &l);

    if (code >= 0)
        return code;
    if (sample_policy(l.positionals[0], &p) != ST_OK)
        return CMD_WRONG;
    struct sample_run run = {
        .policy = p,
        .destination = -1,
        .explain = true,
        .json = l.json,
        .now_ms = system_clock()->wall_ms(NULL),
    };
    code = run_sample(l.positional_count > 1 ? l.positionals[1] : "-", &run);
    policy_unref(p);
    return code;
}

/* ---- policy test ----------------------------------------------------------
 */

#define CASE_TIME_MS INT64_C(1795338000000) /* 2026-11-22T09:00:00Z */

/* First line in which the two differ, from 1; 0 if they are equal. */
static unsigned differing_line(struct slice a, struct slice b)
{
    for (unsigned line = 1; a.len > 0 || b.len > 0; line++) {
        size_t ea = slice_find(a, '\n'), eb = slice_find(b, '\n');
        if (!slice_eq(slice_head(a, ea), slice_head(b, eb)))
            return line;
        a = slice_skip(a, ea + 1);
        b = slice_skip(b, eb + 1);
    }
    return 0;
}

static bool run_case(const char *folder, const char *name, bool json)
{
    char path[PATH_BYTES];
    struct policy *p = NULL;
    struct buf events = {0}, expected = {0}, out;
    bool ok = false;

    buf_init(&out, OUTPUT_MAX);
    (void)snprintf(path, sizeof(path), "%s/%s/policy.json", folder, name);
    if (sample_policy(path, &p) != ST_OK)
        goto out;
    (void)snprintf(path, sizeof(path), "%s/%s/events.jsonl", folder, name);
    if (file_read(path, SAMPLE_BYTES_MAX, &events) != ST_OK)
        goto out;
    (void)snprintf(path, sizeof(path), "%s/%s/expected.jsonl", folder, name);
    if (file_read(path, SAMPLE_BYTES_MAX, &expected) != ST_OK)
        goto out;
    struct sample_run run = {.policy = p,
                             .destination = -1,
                             .fixed_keys = true,
                             .now_ms = CASE_TIME_MS};
    if (sample_events(&run, events.data, events.len, &out, NULL) != ST_OK)
        goto out;
    unsigned line = differing_line(buf_slice(&out), buf_slice(&expected));
    if (line > 0)
        (void)fprintf(stderr, "%s: line %u differs from expected.jsonl\n", name,
                      line);
    ok = line == 0;
out:
    if (!json)
        (void)printf("%s %s\n", ok ? "ok  " : "FAIL", name);
    policy_unref(p);
    buf_free(&events);
    buf_free(&expected);
    buf_free(&out);
    return ok;
}

static int only_cases(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

int cmd_policy_test(const struct cmd *self, int argc, char **argv)
{
    struct dirent **list = NULL;
    struct cmd_line l;
    unsigned failed = 0;
    int code = cmd_begin_policy(self, argc, argv, 1, &l);

    if (code >= 0)
        return code;
    int count = scandir(l.positionals[0], &list, only_cases, alphasort);
    if (count <= 0)
        return cmd_fail(CMD_USAGE, "%s holds no test cases", l.positionals[0]);
    for (int i = 0; i < count; i++) {
        failed += !run_case(l.positionals[0], list[i]->d_name, l.json);
        free(list[i]);
    }
    free(list);
    (void)printf(l.json ? "{\"passed\":%d,\"failed\":%u}\n"
                        : "%d passed, %u failed\n",
                 count - (int)failed, failed);
    return failed == 0 ? CMD_OK : CMD_WRONG;
}
