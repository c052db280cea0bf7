/* calls_report.c - `lethe report ...`: documents made of the running gateway.
 */
#include "lethe/gateway/calls.h"
#include "lethe/gateway/report.h"
#include "lethe/policy/pseudonym.h"

#include <stdio.h>

static unsigned live_spool_keys(const struct gateway *g)
{
    struct spool_key key;
    unsigned live = 0;

    while (spool_keys_each(g->spool_keys, live, &key) == ST_OK)
        live++;
    wipe(&key, sizeof(key));
    return live;
}

/* That it was made, and exactly what: with the end of line, so that it is the
 * hash of what `--json` prints. */
static enum status record(struct gateway *g, const struct control_call *call,
                          const char *kind, const char *why,
                          const struct world_site *s, struct slice data)
{
    uint8_t hash[32];
    char text[2 * sizeof(hash) + 1];
    struct buf file;

    buf_init(&file, REPORT_MAX + 1);
    buf_put(&file, data);
    buf_put_char(&file, '\n');
    enum status st = file.failed ? ST_LIMIT : ST_OK;
    if (st == ST_OK)
        sha256_hash(file.data, file.len, hash);
    buf_free(&file);
    for (size_t i = 0; st == ST_OK && i < sizeof(hash); i++)
        (void)snprintf(text + 2 * i, 3, "%02x", hash[i]);
    if (st == ST_OK)
        st = gateway_record(g, RECORD_REPORT_MADE, call->who, why, true, NULL,
                            "{\"kind\":\"%s\",\"site\":\"%s\",\"hash\":\"%s\"}",
                            kind, s->conf->name, text);
    return st;
}

/* The words are made of what --json prints, so that both say the same. */
static enum status in_words(struct slice data, struct buf *out)
{
    struct json_complaint complaint;
    struct json_tree *tree = NULL;
    enum status st = json_tree_read(data, false, &tree, &complaint);

    if (st == ST_OK)
        report_ropa_words(json_tree_root(tree), out);
    json_tree_free(tree);
    return st == ST_OK && out->failed ? ST_LIMIT : st;
}

void call_report_ropa(struct gateway *g, const struct control_call *call,
                      struct control_answer *out)
{
    const struct world_site *s = call_site(g, call, out);
    struct witness_facts witnesses[CONF_WITNESSES_MAX];
    struct buf data;

    if (s == NULL)
        return;
    struct report_view v = {
        .conf = g->world->conf,
        .site = s,
        .now_ms = gateway_now(g),
        .epoch_place = epoch_place_name(epochs_place(g->epochs)),
        .optout_list = optout_health_name(optout_health_of(g->optouts)),
        .spool_keys = live_spool_keys(g),
        .signed_records = audit_signed_size(g->audit),
        .witnesses = witnesses,
        .witness_count =
            witnesses_facts(g->witnesses, witnesses, CONF_WITNESSES_MAX),
    };
    buf_init(&data, REPORT_MAX);
    enum status st = report_ropa(&v, &data);
    if (st == ST_OK)
        st = in_words(buf_slice(&data), &out->text);
    if (st == ST_OK)
        st = record(g, call, "ropa", "art:30", s, buf_slice(&data));
    if (st == ST_OK)
        buf_put(&out->data, buf_slice(&data));
    else
        call_fail(out, 1, status_name(st),
                  "the report cannot be made, or not be recorded");
    buf_free(&data);
}
