#include "lethe/gateway/cmd/cmd.h"

#include "lethe/gateway/conf.h"
#include "lethe/gateway/control.h"
#include "lethe/gateway/state.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int cmd_fail(int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fputs("lethe: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    return code;
}

void cmd_help(const struct cmd *c)
{
    (void)printf("usage: lethe %s%s%s\n\n%s\n", c->words,
                 c->arguments[0] != '\0' ? " " : "", c->arguments, c->help);
    (void)printf("\noptions:\n");
    for (unsigned i = 0; i < c->option_count; i++) {
        char left[40];
        (void)snprintf(left, sizeof(left), "%s %s", c->options[i].name,
                       c->options[i].value != NULL ? c->options[i].value : "");
        (void)printf("  %-22s %s\n", left, c->options[i].help);
    }
    (void)printf("  %-22s %s\n  %-22s %s\n", "--json",
                 "print JSON instead of text", "--help", "this text");
    (void)printf("\nexit codes: 0 good, 1 found wrong, 2 incomplete, 3 "
                 "usage\n");
}

static int find_option(const struct cmd *c, const char *name)
{
    for (unsigned i = 0; i < c->option_count; i++)
        if (strcmp(c->options[i].name, name) == 0)
            return (int)i;
    return -1;
}

static int take_option(const struct cmd *c, int argc, char **argv, int *at,
                       struct cmd_line *out)
{
    int option = find_option(c, argv[*at]);

    if (option < 0)
        return cmd_fail(CMD_USAGE, "%s has no option %s; see `lethe %s --help`",
                        c->words, argv[*at], c->words);
    if (c->options[option].value == NULL)
        out->values[option] = c->options[option].name;
    else if (*at + 1 < argc)
        out->values[option] = argv[++*at];
    else
        return cmd_fail(CMD_USAGE, "%s needs a value", argv[*at]);
    return -1;
}

int cmd_parse(const struct cmd *c, int argc, char **argv, struct cmd_line *out)
{
    *out = (struct cmd_line){.cmd = c};
    for (int i = 0; i < argc; i++) {
        int code = -1;
        if (strcmp(argv[i], "--help") == 0) {
            cmd_help(c);
            return CMD_OK;
        }
        if (strcmp(argv[i], "--json") == 0)
            out->json = true;
        else if (argv[i][0] == '-' && argv[i][1] == '-')
            code = take_option(c, argc, argv, &i, out);
        else if (out->positional_count < CMD_POSITIONALS_MAX)
            out->positionals[out->positional_count++] = argv[i];
        else
            code = cmd_fail(CMD_USAGE, "too many arguments");
        if (code >= 0)
            return code;
    }
    return -1;
}

const char *cmd_value(const struct cmd_line *l, const char *name)
{
    int option = find_option(l->cmd, name);

    return option < 0 ? NULL : l->values[option];
}

static int print_answer(const struct cmd_line *l,
                        const struct control_answer *a)
{
    const struct buf *what = l->json ? &a->data : &a->text;
    FILE *to = a->exit == CMD_USAGE && !l->json ? stderr : stdout;

    if (what->len > 0)
        (void)fwrite(what->data, 1, what->len, to);
    if (l->json)
        (void)fputc('\n', to);
    return a->exit;
}

int cmd_ask(const struct cmd_line *l, struct slice args,
            int (*offline)(const struct cmd_line *l))
{
    const char *config = cmd_value(l, "--config");
    struct conf_complaint complaint;
    struct control_answer answer;
    struct conf *c = NULL;
    char path[CONF_PATH_MAX];
    int code;

    if (config == NULL)
        return cmd_fail(CMD_USAGE, "%s needs --config FILE", l->cmd->words);
    if (conf_load(config, &c, &complaint) != ST_OK)
        return cmd_fail(CMD_WRONG, "%s", complaint.text);
    bool fits = state_path(c, "control.sock", path);
    conf_free(c);
    if (!fits)
        return cmd_fail(CMD_WRONG, "state_dir is too long a path");
    control_answer_init(&answer);
    enum status st = control_ask(path, l->cmd->words, args, &answer);
    if (st == ST_OK)
        code = print_answer(l, &answer);
    else if (st == ST_UNKNOWN && offline != NULL)
        code = offline(l);
    else
        code = cmd_fail(
            CMD_WRONG, "%s",
            st == ST_UNKNOWN  ? "no gateway is running for this config"
            : st == ST_DENIED ? "the running gateway belongs to another user"
                              : "the running gateway did not answer");
    control_answer_free(&answer);
    return code;
}
