#include "lethe/gateway/http/same_site.h"

#include <libpsl.h>
#include <string.h>

#define NAME_MAX_BYTES 253u /* RFC 1035 */

/* Lower case, NUL-terminated, without a last dot. */
static bool host_copy(struct slice host, char out[NAME_MAX_BYTES + 1])
{
    if (host.len > 0 && host.at[host.len - 1] == '.')
        host.len--;
    if (host.len == 0 || host.len > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.at[i];
        if (c == '\0')
            return false;
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    out[host.len] = '\0';
    return true;
}

/* An address has no registrable domain, though its last part may look like
 * one. */
static bool is_address(const char *host)
{
    size_t len = strlen(host);

    return host[0] == '[' || (host[len - 1] >= '0' && host[len - 1] <= '9');
}

bool hosts_same_site(struct slice a, struct slice b)
{
    char left[NAME_MAX_BYTES + 1], right[NAME_MAX_BYTES + 1];
    const psl_ctx_t *list = psl_builtin();

    if (!host_copy(a, left) || !host_copy(b, right))
        return false;
    if (strcmp(left, right) == 0)
        return true;
    if (list == NULL || is_address(left) || is_address(right))
        return false;
    const char *x = psl_registrable_domain(list, left);
    const char *y = psl_registrable_domain(list, right);
    return x != NULL && y != NULL && strcmp(x, y) == 0;
}
