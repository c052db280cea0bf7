#include "conf_text.h"

#include "lethe/gateway/audit/tlog/note.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define ID_MIN      16u
#define ID_MAX      64u
#define KEY_MAX     256u
#define HOST_MAX    253u
#define URL_MAX     2048u
#define ADDRESS_MAX 64u /* bytes of an address or network as text */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f');
}

static bool is_lower(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-';
}

static bool is_name_char(char c)
{
    return is_lower(c) || c == '_';
}

static bool is_visible(char c)
{
    return c > ' ' && c < 0x7F;
}

static bool is_printable(char c)
{
    return c >= ' ' && c < 0x7F;
}

static bool is_host_char(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z') || c == '.';
}

static bool all(struct slice s, bool (*test)(char))
{
    for (size_t i = 0; i < s.len; i++)
        if (!test(s.at[i]))
            return false;
    return s.len > 0;
}

bool conf_is_site_id(struct slice s)
{
    return s.len >= ID_MIN && s.len <= ID_MAX && all(s, is_hex);
}

bool conf_is_site_name(struct slice s)
{
    return s.len <= CONF_NAME_MAX && all(s, is_lower) && !all(s, is_hex);
}

bool conf_is_name(struct slice s)
{
    return s.len <= CONF_NAME_MAX && all(s, is_name_char);
}

bool conf_is_key(struct slice s)
{
    return s.len <= KEY_MAX && all(s, is_visible);
}

static bool is_id_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '0' && c <= '9') || c == '-';
}

/* It stands in a URL as it is. */
bool conf_is_measurement_id(struct slice s)
{
    return s.len >= 1 && s.len <= 32 && all(s, is_id_char);
}

bool conf_is_header_text(struct slice s)
{
    return s.len <= KEY_MAX && all(s, is_printable);
}

/* C2SP tlog-checkpoint: a name without spaces, pluses and schemes. */
bool conf_is_log_origin(struct slice s)
{
    return conf_is_key(s) && slice_find(s, '+') == s.len &&
           !slice_starts(s, SLICE("http:")) &&
           !slice_starts(s, SLICE("https:"));
}

bool conf_is_template(struct slice s)
{
    static const char hole[] = "{events}";
    unsigned count = 0;

    for (size_t i = 0; i < s.len; i++)
        count += slice_starts(slice_skip(s, i), SLICE("{events}"));
    return s.len >= sizeof(hole) - 1 && count == 1;
}

static bool parse_port(struct slice s, unsigned *out)
{
    unsigned long long port;

    if (s.len > 5 || !slice_to_u64(s, &port) || port > 65535)
        return false;
    *out = (unsigned)port;
    return true;
}

/* "host", "host:port", "[v6]" or "[v6]:port"; *out_port SLICE_NONE if none. */
static bool split_host(struct slice s, struct slice *out_host,
                       struct slice *out_port)
{
    size_t end = s.len > 0 && s.at[0] == '[' ? slice_find(s, ']') + 1
                                             : slice_find(s, ':');

    if (end > s.len || end == 0)
        return false;
    struct slice rest = slice_skip(s, end);
    *out_host = slice_head(s, end);
    *out_port = SLICE_NONE;
    if (rest.len == 0)
        return true;
    *out_port = slice_skip(rest, 1);
    return rest.at[0] == ':' && out_port->len > 0;
}

/* inet_pton() for a slice. */
static bool parse_ip(struct slice s, int family, void *out)
{
    char text[ADDRESS_MAX];

    if (s.len >= sizeof(text))
        return false;
    if (s.len > 0)
        memcpy(text, s.at, s.len);
    text[s.len] = '\0';
    return inet_pton(family, text, out) == 1;
}

/* Without its brackets; false if it has none. */
static bool unbracket(struct slice *s)
{
    if (s->len < 2 || s->at[0] != '[' || s->at[s->len - 1] != ']')
        return false;
    *s = slice_skip(slice_head(*s, s->len - 1), 1);
    return true;
}

bool conf_is_host(struct slice s)
{
    struct slice host, port;
    struct in6_addr v6;
    unsigned number;

    if (!split_host(s, &host, &port) ||
        (port.at != NULL && !parse_port(port, &number)))
        return false;
    if (unbracket(&host))
        return parse_ip(host, AF_INET6, &v6);
    return host.len <= HOST_MAX && all(host, is_host_char);
}

static bool host_is_loopback(struct slice host)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (unbracket(&host))
        return parse_ip(host, AF_INET6, &v6) && IN6_IS_ADDR_LOOPBACK(&v6);
    return slice_eq_fold(host, SLICE("localhost")) ||
           (parse_ip(host, AF_INET, &v4) && ntohl(v4.s_addr) >> 24 == 127);
}

bool conf_is_url(struct slice s)
{
    bool secure = slice_starts(s, SLICE("https://"));
    struct slice rest, host, port;
    size_t end = 0;

    if (s.len > URL_MAX || !all(s, is_visible) ||
        (!secure && !slice_starts(s, SLICE("http://"))))
        return false;
    rest = slice_skip(s, secure ? 8 : 7);
    while (end < rest.len && rest.at[end] != '/' && rest.at[end] != '?')
        end++;
    rest = slice_head(rest, end);
    /* '@' would make the host something else than it seems. */
    if (!conf_is_host(rest) || !split_host(rest, &host, &port) ||
        slice_find(s, '#') < s.len || slice_find(s, '\\') < s.len)
        return false;
    return secure || host_is_loopback(host);
}

bool conf_is_url_prefix(struct slice s)
{
    return conf_is_url(s) && slice_find(s, '?') == s.len &&
           !slice_ends(s, SLICE("/"));
}

bool conf_is_witness_key(struct slice s)
{
    struct note_key key;

    return note_key_read(s, &key) == ST_OK && key.type == NOTE_COSIGNATURE;
}

bool conf_parse_address(struct slice s, struct conf_listen *out)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct slice host, port;
    unsigned number;

    if (!split_host(s, &host, &port) || !parse_port(port, &number))
        return false;
    if (unbracket(&host)) {
        v6.sin6_port = htons((uint16_t)number);
        if (!parse_ip(host, AF_INET6, &v6.sin6_addr))
            return false;
        memcpy(&out->address, &v6, sizeof(v6));
        out->address_len = sizeof(v6);
        return true;
    }
    v4.sin_port = htons((uint16_t)number);
    if (!parse_ip(host, AF_INET, &v4.sin_addr))
        return false;
    memcpy(&out->address, &v4, sizeof(v4));
    out->address_len = sizeof(v4);
    return true;
}

bool conf_address_is_loopback(const struct conf_listen *l)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (l->address.ss_family == AF_INET) {
        memcpy(&v4, &l->address, sizeof(v4));
        return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    }
    memcpy(&v6, &l->address, sizeof(v6));
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

bool conf_same_address(const struct conf_listen *a, const struct conf_listen *b)
{
    return strcmp(a->text, b->text) == 0 &&
           !slice_ends(slice_of(a->text), SLICE(":0"));
}

bool conf_parse_network(struct slice s, struct conf_network *out)
{
    size_t slash = slice_find(s, '/');
    struct slice ip = slice_head(s, slash);
    struct conf_network n = {.family = AF_INET};
    unsigned long long bits = 32;

    if (slice_find(ip, ':') < ip.len) {
        n.family = AF_INET6;
        bits = 128;
    }
    unsigned most = (unsigned)bits;
    if (!parse_ip(ip, n.family, n.bytes))
        return false;
    if (slash < s.len &&
        (!slice_to_u64(slice_skip(s, slash + 1), &bits) || bits > most))
        return false;
    for (unsigned i = (unsigned)bits; i < most; i++)
        if ((n.bytes[i / 8] & (0x80u >> i % 8)) != 0)
            return false;
    n.bits = (unsigned)bits;
    *out = n;
    return true;
}

bool conf_parse_mode(struct slice s, unsigned *out)
{
    unsigned mode = 0;

    if (s.len < 3 || s.len > 4)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '7')
            return false;
        mode = mode * 8 + (unsigned)(s.at[i] - '0');
    }
    if ((mode & 0600) != 0600 || (mode & ~0664u) != 0)
        return false;
    *out = mode;
    return true;
}

bool conf_parse_origin(struct slice s, enum origin_kind *out_kind,
                       struct slice *out_scheme, struct slice *out_text)
{
    bool secure = slice_starts(s, SLICE("https://"));
    struct slice host = slice_skip(s, secure ? 8 : 7);

    if (!secure && !slice_starts(s, SLICE("http://")))
        return false;
    *out_scheme = slice_head(s, secure ? 5 : 4);
    if (slice_eq(host, SLICE("localhost:*"))) {
        *out_kind = ORIGIN_ANY_PORT;
        *out_text = SLICE("localhost");
        return true;
    }
    if (slice_starts(host, SLICE("*."))) {
        *out_kind = ORIGIN_SUBDOMAINS;
        *out_text = slice_skip(host, 1);
        struct slice domain = slice_skip(host, 2);
        /* A whole top-level domain would list everybody. */
        return secure && all(domain, is_host_char) && domain.at[0] != '.' &&
               domain.len <= HOST_MAX && slice_find(domain, '.') < domain.len;
    }
    *out_kind = ORIGIN_EXACT;
    *out_text = s;
    return conf_is_host(host);
}
