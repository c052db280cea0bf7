/* Paths of tiles: what is read is written again just so, and never leads out of
 * the folder. Input: a path. */
#include "fuzz.h"
#include "lethe/gateway/audit/tlog/tile_name.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = {(const char *)data, size};
    char path[TILE_PATH_MAX];
    struct tile_name n;

    if (tile_name_read(input, &n) != ST_OK)
        return 0;
    check(n.level <= TILE_LEVEL_MAX || n.level == TILE_ENTRIES);
    check(n.width >= 1 && n.width <= TILE_WIDTH);
    tile_path(n.level, n.number, n.width, path);
    check(slice_eq(slice_of(path), input));
    check(strstr(path, "..") == NULL && strstr(path, "//") == NULL);
    if (tile_name_within(&n, UINT64_MAX) && tile_name_end(&n) > 0) {
        uint64_t end = tile_name_end(&n);
        check(tile_name_within(&n, end) && !tile_name_within(&n, end - 1));
    }
    return 0;
}
