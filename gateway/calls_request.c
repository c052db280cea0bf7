/* calls_request.c - `lethe request ...`: the register of people's requests
 * (GDPR Art. 12(3); R44). */
#include "lethe/gateway/calls.h"
#include "lethe/gateway/rights/register.h"

#include <stdio.h>
#include <string.h>

static const char *site_name(const struct gateway *g, const char *id)
{
    const struct conf_site *s = conf_find_site(g->world->conf, id);

    return s == NULL ? id : s->name;
}

/* One entry: a line for people, an object for --json. */
static void put_entry(const struct gateway *g, const struct request_entry *e,
                      struct control_answer *out)
{
    char received[TIME_TEXT_MAX], due[TIME_TEXT_MAX], closed[TIME_TEXT_MAX];
    bool open = e->outcome == REQUEST_ENDED_OPEN;
    bool overdue = open && e->due_ms < gateway_now(g);

    time_format(e->received_ms, false, received);
    time_format(e->due_ms, false, due);
    time_format(e->closed_ms, false, closed);
    buf_printf(&out->text, "%s  %-13s %-12s received %.10s  %s %.10s%s%s%s%s\n",
               e->id, request_kind_name(e->kind), site_name(g, e->site),
               received, open ? "due" : request_outcome_name(e->outcome),
               open ? due : closed, overdue ? "  OVERDUE" : "",
               e->delay != DELAY_NONE ? "  extended" : "",
               e->ticket[0] != '\0' ? "  " : "", e->ticket);
    buf_printf(&out->data,
               "{\"id\":\"%s\",\"kind\":\"%s\",\"site\":\"%s\",\"ticket\":"
               "\"%s\",\"received\":\"%s\",\"due\":\"%s\",\"overdue\":%s,"
               "\"extended\":\"%s\",\"outcome\":\"%s\"",
               e->id, request_kind_name(e->kind), site_name(g, e->site),
               e->ticket, received, due, overdue ? "true" : "false",
               request_delay_name(e->delay), request_outcome_name(e->outcome));
    if (!open)
        buf_printf(&out->data, ",\"closed\":\"%s\"", closed);
    buf_put_char(&out->data, '}');
}

/* The controller's own ticket says why, where there is one. */
static void why_text(const struct request_entry *e,
                     char out[REQUEST_TICKET_MAX + 8])
{
    if (e->ticket[0] != '\0')
        (void)snprintf(out, REQUEST_TICKET_MAX + 8, "ticket:%s", e->ticket);
    else
        (void)snprintf(out, REQUEST_TICKET_MAX + 8, "art:%u",
                       request_kind_article(e->kind));
}

static void record(struct gateway *g, const struct control_call *call,
                   enum audit_record_act act, const struct request_entry *e)
{
    char why[REQUEST_TICKET_MAX + 8], due[TIME_TEXT_MAX];

    why_text(e, why);
    time_format(e->due_ms, false, due);
    /* Logged where it fails: the register has it all the same. */
    (void)gateway_record(
        g, act, call->who, why, false, NULL,
        "{\"id\":\"%s\",\"kind\":\"%s\",\"site\":\"%s\","
        "\"due\":\"%s\",\"extended\":\"%s\","
        "\"outcome\":\"%s\"}",
        e->id, request_kind_name(e->kind), site_name(g, e->site), due,
        request_delay_name(e->delay), request_outcome_name(e->outcome));
}

static void answer(struct gateway *g, const struct control_call *call,
                   struct control_answer *out, enum audit_record_act act,
                   enum status st, const struct request_entry *e)
{
    if (st == ST_OK) {
        record(g, call, act, e);
        put_entry(g, e, out);
    } else if (st == ST_UNKNOWN) {
        call_fail(out, 3, "no-request", "there is no such request");
    } else if (st == ST_CLOSED) {
        call_fail(out, 1, "closed", "this request has ended");
    } else if (st == ST_EXISTS) {
        call_fail(out, 1, "extended", "this request was extended before");
    } else {
        call_fail(out, 1, status_name(st), "the register cannot be written");
    }
}

/* "2026-11-20" or a whole time; not in the future, nor before 2018-05-25, since
 * when requests have terms. False: the call failed. */
static bool read_received(const struct gateway *g,
                          const struct control_call *call, int64_t *out,
                          struct control_answer *answer)
{
    const char *text = call_text(call, "received");
    char whole[40];

    *out = gateway_now(g);
    if (text == NULL)
        return true;
    (void)snprintf(whole, sizeof(whole), "%.20s%s", text,
                   strlen(text) == 10 ? "T00:00:00Z" : "");
    if (time_parse(slice_of(whole), out) == ST_OK && *out <= gateway_now(g) &&
        *out >= INT64_C(1527206400000))
        return true;
    call_fail(answer, 3, "usage",
              "received: a day such as 2026-11-20, or a time in UTC, not in "
              "the future");
    return false;
}

void call_request_open(struct gateway *g, const struct control_call *call,
                       struct control_answer *out)
{
    const char *kind = call_text(call, "kind");
    const char *ticket = call_text(call, "ticket");
    const struct world_site *site = call_site(g, call, out);
    struct request_entry e = {0};

    if (site == NULL || !read_received(g, call, &e.received_ms, out))
        return;
    if (kind == NULL || !request_kind_find(slice_of(kind), &e.kind)) {
        call_fail(out, 3, "usage",
                  "kind: access, rectification, erasure, restriction, "
                  "portability or objection");
        return;
    }
    if (ticket != NULL && !request_ticket_ok(slice_of(ticket))) {
        call_fail(out, 3, "usage",
                  "ticket: 1 to 32 of letters, digits, '.', '_', '-'; never "
                  "a name or an address");
        return;
    }
    (void)snprintf(e.site, sizeof(e.site), "%s", site->conf->id);
    (void)snprintf(e.ticket, sizeof(e.ticket), "%s",
                   ticket == NULL ? "" : ticket);
    enum status st = register_add(g->requests, &e);
    if (st == ST_LIMIT)
        call_fail(out, 1, "limit", "the register is full");
    else
        answer(g, call, out, RECORD_REQUEST_OPEN, st, &e);
}

static struct slice id_of(const struct control_call *call)
{
    const char *id = call_text(call, "id");

    return id == NULL ? SLICE_NONE : slice_of(id);
}

void call_request_extend(struct gateway *g, const struct control_call *call,
                         struct control_answer *out)
{
    const char *why = call_text(call, "why");
    struct request_entry e = {0};
    enum request_delay delay;

    if (why == NULL || !request_delay_find(slice_of(why), &delay)) {
        call_fail(out, 3, "usage",
                  "why: complex (the request) or many (requests), and the "
                  "person must be told within the first month");
        return;
    }
    enum status st = register_extend(g->requests, id_of(call), delay, &e);
    answer(g, call, out, RECORD_REQUEST_OPEN, st, &e);
}

void call_request_close(struct gateway *g, const struct control_call *call,
                        struct control_answer *out)
{
    const char *text = call_text(call, "outcome");
    struct request_entry e = {0};
    enum request_outcome outcome;

    if (text == NULL || !request_outcome_find(slice_of(text), &outcome)) {
        call_fail(out, 3, "usage",
                  "outcome: done, partly, cannot-identify, refused or "
                  "withdrawn");
        return;
    }
    enum status st =
        register_end(g->requests, id_of(call), outcome, gateway_now(g), &e);
    answer(g, call, out, RECORD_REQUEST_CLOSE, st, &e);
}

struct listing {
    struct gateway *g;
    struct control_answer *out;
    bool first;
};

static enum status list_one(void *ctx, const struct request_entry *e)
{
    struct listing *l = ctx;

    if (!l->first)
        buf_put_char(&l->out->data, ',');
    l->first = false;
    put_entry(l->g, e, l->out);
    return l->out->text.failed || l->out->data.failed ? ST_LIMIT : ST_OK;
}

/* Exit 1 while one is overdue: a cron job then speaks up (R44). */
void call_request_list(struct gateway *g, const struct control_call *call,
                       struct control_answer *out)
{
    struct listing l = {g, out, true};
    struct register_facts facts = {0};
    const struct json_value *all = json_get(call->args, "all");

    buf_put_char(&out->data, '[');
    enum status st =
        register_each(g->requests, all != NULL && json_bool(all), list_one, &l);
    buf_put_char(&out->data, ']');
    if (st == ST_OK)
        st = register_count(g->requests, gateway_now(g), &facts);
    if (st != ST_OK) {
        call_fail(out, 1, status_name(st), "the register cannot be read");
        return;
    }
    if (l.first)
        buf_put(&out->text, SLICE("no requests\n"));
    out->exit = facts.overdue > 0 ? 1 : 0;
    out->status = 200;
}
