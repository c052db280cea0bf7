/* The reader of records takes any bytes, and what it takes the writer's own
 * grammar, which shares no code with it, takes too. */
#include "../../gateway/audit/log_internal.h"
#include "../../gateway/audit/read_internal.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

static void check_d(struct slice d)
{
    static const char head[] = "{\"v\":1,\"i\":0,\"t\":"
                               "\"2026-11-22T09:00:00.000Z\",\"act\":\"x\","
                               "\"who\":\"gw:a\",\"why\":\"boot\","
                               "\"out\":\"ok\",\"d\":";
    struct record_view r;
    struct buf b;

    buf_init(&b, READ_LINE_MAX);
    buf_put_bytes(&b, head, sizeof(head) - 1);
    buf_put(&b, d);
    buf_put_char(&b, '}');
    if (!b.failed && !record_read(buf_slice(&b), &r))
        abort(); /* the writer would write what nobody can read */
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct batch_view batch;
    struct slice line = {(const char *)data, size};
    struct record_view r;

    if (record_read(line, &r)) {
        if (!record_d_ok(line) || !record_d_ok(r.d))
            abort();
        (void)batch_read(r.d, &batch);
    }
    if (record_d_ok(line))
        check_d(line);
    return 0;
}
