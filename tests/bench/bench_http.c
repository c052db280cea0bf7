/* One thread that answers 204 to everything: what the HTTP front alone costs.
 *
 *   bench_http [port]      then: wrk -t1 -c32 -d3 http://127.0.0.1:PORT/
 *
 * Prints its port, serves until it is ended by SIGTERM, prints the CPU time a
 * request took. */
#include "lethe/gateway/http/server.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static void on_request(void *ctx, struct http_exchange *x)
{
    static const struct http_answer answer = {.status = 204};
    uint64_t *count = ctx;

    (*count)++;
    http_answer(x, &answer);
}

static double cpu_us(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

int main(int argc, char **argv)
{
    uint64_t count = 0;
    struct event_base *base = event_base_new();
    struct conf_listen l = {.text = NULL};
    struct sockaddr_in at = {.sin_family = AF_INET};
    struct http_limits limits = {.connections = 10000,
                                 .body = 2u << 20,
                                 .inflated = 20u << 20,
                                 .request_ms = 30000};
    struct http_handlers handlers = {on_request, NULL, &count};
    struct sigaction act = {.sa_handler = on_signal};
    struct http_server *s;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port =
        htons((uint16_t)(argc > 1 ? strtoul(argv[1], NULL, 10) & 0xffff : 0));
    memcpy(&l.address, &at, sizeof(at));
    l.address_len = sizeof(at);
    (void)sigaction(SIGTERM, &act, NULL);
    if (base == NULL ||
        http_server_open(base, &l, false, &limits, &handlers, &s) != ST_OK)
        return 1;
    printf("port %u\n", http_server_port(s));
    (void)fflush(stdout);
    while (!stop) {
        (void)event_base_loop(base, EVLOOP_ONCE);
        http_server_flush(s);
    }
    if (count > 0)
        printf("http_204_cpu %.2f us/request\n", cpu_us() / (double)count);
    http_server_close(s);
    event_base_free(base);
    return 0;
}
