#include "lethe/gateway/http/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0,    0,
                                          0, 0, 0, 0, 0xff, 0xff};

/* One client has one form: "::ffff:192.0.2.1" is 192.0.2.1. */
static void unmap(struct address *a)
{
    if (a->family != AF_INET6 || memcmp(a->bytes, mapped_prefix, 12) != 0)
        return;
    memmove(a->bytes, a->bytes + 12, 4);
    memset(a->bytes + 4, 0, 12);
    a->family = AF_INET;
}

enum status address_of(const struct sockaddr *sa, struct address *out)
{
    struct address a = {.family = sa->sa_family};
    struct sockaddr_in four;
    struct sockaddr_in6 six;

    if (sa->sa_family == AF_INET) {
        memcpy(&four, sa, sizeof(four));
        memcpy(a.bytes, &four.sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        memcpy(&six, sa, sizeof(six));
        memcpy(a.bytes, &six.sin6_addr, 16);
    } else {
        return ST_TYPE;
    }
    unmap(&a);
    *out = a;
    return ST_OK;
}

/* The address alone: without brackets and port. */
static struct slice without_port(struct slice text)
{
    size_t colon = slice_find(text, ':');

    if (text.len > 0 && text.at[0] == '[') {
        size_t end = slice_find(text, ']');
        struct slice rest = slice_skip(text, end + 1);
        if (end == text.len || (rest.len > 0 && rest.at[0] != ':'))
            return SLICE_NONE;
        return slice_skip(slice_head(text, end), 1);
    }
    struct slice rest = slice_skip(text, colon + 1);
    if (colon < text.len && slice_find(rest, ':') == rest.len)
        return slice_head(text, colon); /* one colon: IPv4 and a port */
    return text;
}

enum status address_parse(struct slice text, struct address *out)
{
    char copy[ADDRESS_TEXT_MAX];
    struct address a = {.family = AF_INET};

    text = without_port(text);
    if (text.len == 0 || text.len >= sizeof(copy) ||
        slice_find(text, '\0') < text.len)
        return ST_SYNTAX;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    if (slice_find(text, ':') < text.len)
        a.family = AF_INET6;
    if (inet_pton(a.family, copy, a.bytes) != 1)
        return ST_SYNTAX;
    unmap(&a);
    *out = a;
    return ST_OK;
}

void address_format(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
    if (inet_ntop(a->family, a->bytes, out, ADDRESS_TEXT_MAX) == NULL)
        out[0] = '\0';
}

static bool network_holds(const struct conf_network *n, const struct address *a)
{
    unsigned whole = n->bits / 8, rest = n->bits % 8;
    unsigned bits_max = n->family == AF_INET ? 32 : 128;

    if (n->family != a->family || n->bits > bits_max ||
        memcmp(n->bytes, a->bytes, whole) != 0)
        return false;
    return rest == 0 ||
           ((n->bytes[whole] ^ a->bytes[whole]) >> (8 - rest)) == 0;
}

bool address_is_proxy(const struct conf_listen *l, const struct address *a)
{
    for (unsigned i = 0; i < l->proxy_count; i++)
        if (network_holds(&l->proxies[i], a))
            return true;
    return false;
}

/* The last element of a comma list; *list becomes what is left of it. */
static struct slice take_last(struct slice *list)
{
    size_t at = list->len;

    while (at > 0 && list->at[at - 1] != ',')
        at--;
    struct slice last = slice_skip(*list, at);
    *list = slice_head(*list, at > 0 ? at - 1 : 0);
    return slice_trim(last);
}

/* One header, from its right end. True: the client was found. */
static bool walk_back(const struct conf_listen *l, struct slice list,
                      unsigned *hops, struct address *client)
{
    while (list.len > 0) {
        struct address hop;
        if ((*hops)++ == ADDRESS_HOPS_MAX ||
            address_parse(take_last(&list), &hop) != ST_OK)
            return true;
        *client = hop;
        if (!address_is_proxy(l, &hop))
            return true;
    }
    return false;
}

struct address address_client(const struct conf_listen *l,
                              const struct address *peer,
                              const struct beacon_header *headers,
                              unsigned count)
{
    struct address client = *peer;
    unsigned hops = 0;

    if (!address_is_proxy(l, peer))
        return client;
    for (unsigned i = count; i > 0; i--)
        if (slice_eq_fold(headers[i - 1].name, SLICE("X-Forwarded-For")) &&
            walk_back(l, headers[i - 1].value, &hops, &client))
            break;
    return client;
}
