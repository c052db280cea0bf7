#include "lethe/gateway/cmd/cmd.h"

#include "lethe/gateway/conf.h"
#include "lethe/gateway/control.h"
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/state.h"
#include "lethe/gateway/tokens.h"

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

/* An option's own characters: what stands behind them may be a secret or a
 * person, and is not said again. */
static int option_len(const char *text)
{
    return (int)strspn(text, "-abcdefghijklmnopqrstuvwxyz");
}

static int refuse_option(const struct cmd *c, const char *text)
{
    const char *const keys[] = {"--key", "--master-key", "--optout-key"};
    int len = option_len(text);

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if ((size_t)len == strlen(keys[i]) &&
            memcmp(text, keys[i], (size_t)len) == 0)
            return cmd_fail(CMD_USAGE, "keys come from files that lethe.json "
                                       "names, never from arguments");
    return cmd_fail(CMD_USAGE,
                    "%s has no such option (%.*s); see `lethe %s "
                    "--help`",
                    c->words, text[len] == '\0' || text[len] == '=' ? len : 2,
                    text, c->words);
}

static int take_option(const struct cmd *c, int argc, char **argv, int *at,
                       struct cmd_line *out)
{
    int option = find_option(c, argv[*at]);

    if (option < 0)
        return refuse_option(c, argv[*at]);
    if (c->options[option].value == NULL)
        out->values[option] = c->options[option].name;
    else if (*at + 1 < argc)
        out->values[option] = argv[++*at];
    else
        return cmd_fail(CMD_USAGE, "%s needs a value", argv[*at]);
    return -1;
}

/* "POLICY [EVENTS]" takes two, "FILE..." as many as there may be. */
static unsigned positionals_max(const struct cmd *c)
{
    unsigned n = c->arguments[0] != '\0';

    if (slice_ends(slice_of(c->arguments), SLICE("...")))
        return CMD_POSITIONALS_MAX;
    for (const char *p = c->arguments; *p != '\0'; p++)
        n += *p == ' ';
    return n;
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
        else if (argv[i][0] == '-' && argv[i][1] != '\0')
            code = take_option(c, argc, argv, &i, out);
        else if (out->positional_count < positionals_max(c))
            out->positionals[out->positional_count++] = argv[i];
        else
            code = cmd_fail(CMD_USAGE,
                            "too many arguments; see `lethe %s "
                            "--help`",
                            c->words);
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

    if (l->json && l->answers != NULL) {
        buf_put(l->answers, buf_slice(what));
        buf_put_char(l->answers, '\n');
        return a->exit;
    }
    if (what->len > 0)
        (void)fwrite(what->data, 1, what->len, to);
    if (l->json)
        (void)fputc('\n', to);
    return a->exit;
}

int cmd_read_token(const struct cmd_line *l, char **out)
{
    const char *path = cmd_value(l, "--token-file");
    enum key_fault fault = KEY_FAULT_NONE;

    *out = NULL;
    if (path == NULL)
        return CMD_OK;
    if (secrets_init() != ST_OK)
        return cmd_fail(CMD_WRONG, "libsodium cannot be initialised");
    if (secret_text_load(path, TOKEN_TEXT_MAX, out, &fault) != ST_OK)
        return cmd_fail(CMD_WRONG, "%s: %s", path, key_fault_text(fault));
    return CMD_OK;
}

static int ask_at(const struct cmd_line *l, const char *path, struct slice args,
                  int (*offline)(const struct cmd_line *l))
{
    struct control_answer answer;
    char *token = NULL;
    int code = cmd_read_token(l, &token);

    if (code != CMD_OK)
        return code;
    control_answer_init(&answer);
    enum status st = control_ask_as(path, l->cmd->words, args, token, &answer);
    if (st == ST_OK)
        code = print_answer(l, &answer);
    else if (st == ST_UNKNOWN && offline != NULL && token == NULL)
        code = offline(l);
    else
        code = cmd_fail(
            CMD_WRONG, "%s",
            st == ST_UNKNOWN  ? "no gateway is running for this config"
            : st == ST_DENIED ? "the running gateway belongs to another user"
                              : "the running gateway did not answer");
    control_answer_free(&answer);
    secret_free(token);
    return code;
}

int cmd_ask(const struct cmd_line *l, struct slice args,
            int (*offline)(const struct cmd_line *l))
{
    const char *config = cmd_value(l, "--config");
    struct conf_complaint complaint;
    struct conf *c = NULL;
    char path[CONF_PATH_MAX];

    if (config == NULL)
        return cmd_fail(CMD_USAGE, "%s needs --config FILE", l->cmd->words);
    if (conf_load(config, &c, &complaint) != ST_OK)
        return cmd_fail(CMD_WRONG, "%s", complaint.text);
    bool fits = state_path(c, "control.sock", path);
    conf_free(c);
    if (!fits)
        return cmd_fail(CMD_WRONG, "state_dir is too long a path");
    return ask_at(l, path, args, offline);
}
