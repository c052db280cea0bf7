/* calls_keys.c - `lethe keys ...`. Ids of keys, never keys. */
#include "lethe/gateway/calls.h"
#include "lethe/gateway/key_change.h"
#include "lethe/gateway/keys/keyfile.h"

#include <stdio.h>

void call_keys_status(struct gateway *g, const struct control_call *call,
                      struct control_answer *out)
{
    char master[13], optout[13];
    unsigned live = 0;
    struct spool_key key;

    (void)call;
    key_id_text(g->master, master);
    key_id_text(g->optout_key, optout);
    while (spool_keys_each(g->spool_keys, live, &key) == ST_OK)
        live++;
    buf_printf(&out->text,
               "master key %s\nopt-out key %s\nepochs kept in %s, next "
               "rotation or day change in %lld s\nspool keys alive: %u\n",
               master, optout, epoch_place_name(epochs_place(g->epochs)),
               (long long)((g->world->valid_until_ms - gateway_now(g)) / 1000),
               live);
    buf_printf(&out->data,
               "{\"master\":\"%s\",\"optout\":\"%s\",\"epoch_store\":\"%s\","
               "\"next_ms\":%lld,\"spool_keys\":%u}",
               master, optout, epoch_place_name(epochs_place(g->epochs)),
               (long long)g->world->valid_until_ms, live);
}

static const char *failure(enum status st)
{
    return st == ST_DENIED
               ? "the master key is no file that can be replaced here (a "
                 "credential, or a folder that is read-only)"
               : "the keys could not be changed; the old ones are in force "
                 "unless the log says otherwise";
}

/* Somebody may have had them: written down as such, for the breach report. */
static void mark_breach(struct gateway *g, const struct control_call *call,
                        const char *id)
{
    (void)gateway_record(g, RECORD_BREACH_MARK, call->who, "art:33", false,
                         NULL, "{\"kind\":\"master\",\"id\":\"%s\"}", id);
}

void call_keys_rotate(struct gateway *g, const struct control_call *call,
                      struct control_answer *out)
{
    const struct json_value *exposed = json_get(call->args, "exposed");
    char old[13], fresh[13];

    key_id_text(g->master, old);
    if (exposed != NULL && json_bool(exposed))
        mark_breach(g, call, old);
    enum status st = keys_rotate_master(g);
    if (st != ST_OK) {
        call_fail(out, 1, status_name(st), failure(st));
        return;
    }
    key_id_text(g->master, fresh);
    (void)gateway_record(g, RECORD_KEY_ROTATE, call->who, "art:32", false, NULL,
                         "{\"kind\":\"master\",\"id\":\"%s\",\"old\":\"%s\"}",
                         fresh, old);
    (void)gateway_record(g, RECORD_KEY_DESTROY, call->who, "art:32", false,
                         NULL, "{\"kind\":\"master\",\"id\":\"%s\"}", old);
    buf_printf(&out->text,
               "master key %s in place of %s; all epochs began anew\n", fresh,
               old);
    buf_printf(&out->data, "{\"master\":\"%s\",\"old\":\"%s\"}", fresh, old);
}

void call_keys_destroy(struct gateway *g, const struct control_call *call,
                       struct control_answer *out)
{
    (void)call;
    enum status st = keys_end_epochs(g);

    if (st != ST_OK) {
        call_fail(out, 1, status_name(st), failure(st));
        return;
    }
    buf_put(&out->text, SLICE("the secrets of all epochs are destroyed; new "
                              "ones have begun\n"));
    buf_put(&out->data, SLICE("{\"epochs\":\"new\"}"));
}
