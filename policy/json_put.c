#include "lethe/policy/json_put.h"

struct json_put json_put_begin(struct buf *out, char bracket)
{
    buf_put_char(out, bracket);
    return (struct json_put){out, false};
}

void json_put_next(struct json_put *p)
{
    if (p->more)
        buf_put_char(p->out, ',');
    p->more = true;
}

void json_put_key(struct json_put *p, const char *key)
{
    json_put_next(p);
    buf_put_json_string(p->out, slice_of(key));
    buf_put_char(p->out, ':');
}

void json_put_text(struct json_put *p, const char *key, struct slice value)
{
    if (value.len == 0)
        return;
    json_put_key(p, key);
    buf_put_json_string(p->out, value);
}

void json_put_bool(struct json_put *p, const char *key, bool value)
{
    json_put_key(p, key);
    buf_put(p->out, value ? SLICE("true") : SLICE("false"));
}

void json_put_whole(struct json_put *p, const char *key, uint64_t value)
{
    json_put_key(p, key);
    buf_printf(p->out, "%llu", (unsigned long long)value);
}

enum status json_put_copy(struct json_put *p, const char *key,
                          const struct json_value *object)
{
    const struct json_value *v = object == NULL ? NULL : json_get(object, key);

    if (v == NULL)
        return ST_OK;
    json_put_key(p, key);
    return json_canonical(v, p->out);
}

/* Months, days and seconds: as exact as it was written. */
void json_put_duration(struct json_put *p, const char *key, struct duration d)
{
    int64_t days = d.ms / MS_PER_DAY, rest = d.ms % MS_PER_DAY / MS_PER_S;

    json_put_key(p, key);
    buf_put(p->out, SLICE("\"P"));
    if (d.months > 0)
        buf_printf(p->out, "%lldM", (long long)d.months);
    if (days > 0)
        buf_printf(p->out, "%lldD", (long long)days);
    if (rest > 0 || (d.months == 0 && days == 0))
        buf_printf(p->out, "T%lldS", (long long)rest);
    buf_put_char(p->out, '"');
}
