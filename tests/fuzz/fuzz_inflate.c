/* Whatever comes in, no more than the cap comes out; and what came out under
 * one cap comes out the same under any larger one. */
#include "fuzz.h"
#include "lethe/gateway/http/inflate.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice body = {(const char *)data, size};
    char *small, *large;
    size_t small_len = 0, large_len = 0;
    enum status a = inflate_gzip(body, 4096, &small, &small_len);
    enum status b = inflate_gzip(body, 1u << 20, &large, &large_len);

    if (a == ST_OK) {
        check(small_len <= 4096 && b == ST_OK && small_len == large_len);
        check(memcmp(small, large, small_len) == 0);
        inflate_free(small, small_len);
    } else if (b == ST_OK) {
        check(a == ST_LIMIT && large_len > 4096);
    }
    if (b == ST_OK) {
        check(large_len <= 1u << 20);
        inflate_free(large, large_len);
    }
    return 0;
}
