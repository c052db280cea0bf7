#include "json_scan.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* A byte that ends a run of plain ASCII inside a string. */
static bool stops(unsigned char c)
{
    return c < 0x20 || c >= 0x80 || c == '"' || c == '\\';
}

#ifdef __SSE2__
/* One bit a byte that stops, for 16 bytes. */
static unsigned stop_mask(const char *at)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
    __m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
    /* Signed: true for control characters and for bytes from 0x80. */
    __m128i other = _mm_cmplt_epi8(v, _mm_set1_epi8(0x20));
    __m128i any = _mm_or_si128(_mm_or_si128(quote, slash), other);

    return (unsigned)_mm_movemask_epi8(any);
}

/* Counts what opens or follows a value, 16 bytes at a time; moves *at. */
static size_t count_by_16(const char **at, const char *end)
{
    __m128i zero = _mm_setzero_si128(), total = zero;

    while (end - *at >= 16) {
        __m128i sums = zero; /* 16 counters of a byte: 255 steps at most */
        for (int i = 0; i < 255 && end - *at >= 16; i++, *at += 16) {
            __m128i v = _mm_loadu_si128((const __m128i *)(const void *)*at);
            __m128i comma = _mm_cmpeq_epi8(v, _mm_set1_epi8(','));
            /* '[' and '{' differ in one bit. */
            v = _mm_or_si128(v, _mm_set1_epi8('[' ^ '{'));
            v = _mm_cmpeq_epi8(v, _mm_set1_epi8('{'));
            sums = _mm_sub_epi8(sums, _mm_or_si128(comma, v));
        }
        total = _mm_add_epi64(total, _mm_sad_epu8(sums, zero));
    }
    total = _mm_add_epi64(total, _mm_unpackhi_epi64(total, total));
    return (size_t)_mm_cvtsi128_si64(total);
}
#endif

size_t json_scan_nodes_bound(const char *at, const char *end)
{
    size_t count = 1;

#ifdef __SSE2__
    count += count_by_16(&at, end);
#endif
    for (; at < end; at++)
        count += *at == ',' || *at == '[' || *at == '{';
    return count;
}

static char *skip_plain(char *at, char *end)
{
#ifdef __SSE2__
    while (end - at >= 16) {
        unsigned mask = stop_mask(at);
        if (mask != 0)
            return at + __builtin_ctz(mask);
        at += 16;
    }
#endif
    while (at < end && !stops((unsigned char)*at))
        at++;
    return at;
}

/* Length of the well-formed UTF-8 sequence at `at` (RFC 3629: shortest form,
 * no surrogates, up to U+10FFFF), or 0. The first byte is 0x80 or more. */
static size_t utf8_length(const char *text, const char *end)
{
    const unsigned char *at = (const unsigned char *)text;
    unsigned char low = 0x80, high = 0xBF; /* bounds of the second byte */
    size_t len;

    if (at[0] >= 0xC2 && at[0] <= 0xDF)
        len = 2;
    else if (at[0] >= 0xE0 && at[0] <= 0xEF)
        len = 3;
    else if (at[0] >= 0xF0 && at[0] <= 0xF4)
        len = 4;
    else
        return 0;
    if ((size_t)(end - text) < len)
        return 0;
    if (at[0] == 0xE0)
        low = 0xA0;
    else if (at[0] == 0xED)
        high = 0x9F;
    else if (at[0] == 0xF0)
        low = 0x90;
    else if (at[0] == 0xF4)
        high = 0x8F;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    return len;
}

bool json_scan_is_text(struct slice s)
{
    const char *at = s.at, *end = s.at + s.len;

    while (at < end) {
        size_t len = 1;
        if (*at == '\0')
            return false;
        if ((unsigned char)*at >= 0x80)
            len = utf8_length(at, end);
        if (len == 0)
            return false;
        at += len;
    }
    return true;
}

/* Four hex digits, or -1. */
static long hex4(const char *at, const char *end)
{
    long v = 0;

    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        if (c >= '0' && c <= '9')
            v = v * 16 + (c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v * 16 + (c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            v = v * 16 + (c - 'A' + 10);
        else
            return -1;
    }
    return v;
}

/* At most 4 bytes; never longer than the escape it replaces. */
static char *put_utf8(char *to, unsigned long c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xC0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *to++ = (char)(0xE0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
        *to++ = (char)(0x80 | (c & 0x3F));
    } else {
        *to++ = (char)(0xF0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3F));
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
        *to++ = (char)(0x80 | (c & 0x3F));
    }
    return to;
}

/* The escape "\uXXXX" whose backslash is at *at, or a pair of them. */
static enum json_fault unescape_unicode(char **at, const char *end, char **to)
{
    char *from = *at;
    long first = hex4(from + 2, end);

    if (first < 0)
        return JSON_FAULT_SYNTAX;
    if (first == 0)
        return JSON_FAULT_NUL;
    if (first >= 0xDC00 && first <= 0xDFFF)
        return JSON_FAULT_SURROGATE;
    from += 6;
    unsigned long c = (unsigned long)first;
    if (first >= 0xD800 && first <= 0xDBFF) {
        if (end - from < 6 || from[0] != '\\' || from[1] != 'u')
            return JSON_FAULT_SURROGATE;
        long second = hex4(from + 2, end);
        if (second < 0xDC00 || second > 0xDFFF)
            return JSON_FAULT_SURROGATE;
        c = 0x10000 + (c - 0xD800) * 0x400 + (unsigned long)(second - 0xDC00);
        from += 6;
    }
    *to = put_utf8(*to, c);
    *at = from;
    return JSON_FAULT_NONE;
}

/* The escape whose backslash is at *at. */
static enum json_fault unescape(char **at, const char *end, char **to)
{
    static const char plain[] = "\"\"\\\\//b\bf\fn\nr\rt\t";

    if (end - *at < 2)
        return JSON_FAULT_SYNTAX;
    char kind = (*at)[1];
    if (kind == 'u')
        return unescape_unicode(at, end, to);
    for (size_t i = 0; i + 1 < sizeof(plain); i += 2)
        if (plain[i] == kind) {
            *(*to)++ = plain[i + 1];
            *at += 2;
            return JSON_FAULT_NONE;
        }
    return JSON_FAULT_SYNTAX;
}

/* Move [from, upto) down to *to; nothing moves before the first escape. */
static void keep(char **to, const char *from, const char *upto)
{
    size_t len = (size_t)(upto - from);

    if (*to != from)
        memmove(*to, from, len);
    *to += len;
}

enum json_fault json_scan_string(char **at, char *end, struct slice *out)
{
    char *start = *at, *to = start, *from = start;

    for (;;) {
        char *stop = skip_plain(from, end);
        keep(&to, from, stop);
        from = stop;
        *at = stop;
        if (stop == end)
            return JSON_FAULT_SYNTAX;
        if (*stop == '"')
            break;
        if (*stop == '\\') {
            enum json_fault fault = unescape(&from, end, &to);
            if (fault != JSON_FAULT_NONE)
                return fault;
            continue;
        }
        if ((unsigned char)*stop < 0x20)
            return *stop == '\0' ? JSON_FAULT_NUL : JSON_FAULT_SYNTAX;
        size_t len = utf8_length(stop, end);
        if (len == 0)
            return JSON_FAULT_UTF8;
        keep(&to, stop, stop + len);
        from = stop + len;
    }
    *at += 1;
    *out = (struct slice){start, (size_t)(to - start)};
    return JSON_FAULT_NONE;
}

/* Moves *at over digits; false if there is none. */
static bool skip_digits(char **at, const char *end)
{
    char *first = *at;

    while (*at < end && **at >= '0' && **at <= '9')
        (*at)++;
    return *at > first;
}

enum json_fault json_scan_number(char **at, char *end, struct slice *out)
{
    char *start = *at;

    if (**at == '-')
        (*at)++;
    if (*at < end && **at == '0')
        (*at)++;
    else if (!skip_digits(at, end))
        return JSON_FAULT_SYNTAX;
    if (*at < end && **at == '.') {
        (*at)++;
        if (!skip_digits(at, end))
            return JSON_FAULT_SYNTAX;
    }
    if (*at < end && (**at == 'e' || **at == 'E')) {
        (*at)++;
        if (*at < end && (**at == '+' || **at == '-'))
            (*at)++;
        if (!skip_digits(at, end))
            return JSON_FAULT_SYNTAX;
    }
    if ((size_t)(*at - start) > JSON_NUMBER_MAX) {
        *at = start;
        return JSON_FAULT_SIZE;
    }
    *out = (struct slice){start, (size_t)(*at - start)};
    return JSON_FAULT_NONE;
}
