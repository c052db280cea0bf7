/* lethe.json: what is taken keeps conf.h's promises, what is refused names
 * the file. */
#include "fuzz.h"
#include "lethe/gateway/conf.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];

static void remove_file(void)
{
    (void)unlink(path);
}

static void write_file(const uint8_t *data, size_t size)
{
    if (path[0] == '\0') {
        (void)snprintf(path, sizeof(path), "/tmp/lethe-fuzz-conf-%ld.json",
                       (long)getpid());
        (void)atexit(remove_file);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    check(fd >= 0 && write(fd, data, size) == (ssize_t)size && close(fd) == 0);
}

static void check_good(const struct conf *c)
{
    check(c->listen_count > 0 && c->site_count > 0 && c->forwarders > 0);
    check(c->state_dir[0] == '/' && c->master_key_file[0] == '/');
    check(c->limit_inflated >= c->limit_body);
    for (unsigned i = 0; i < c->site_count; i++) {
        const struct conf_site *s = &c->sites[i];
        check(conf_find_site(c, s->id) == s && conf_find_site(c, s->name) == s);
        check(s->policy[0] == '/');
        for (unsigned d = 0; d < s->destination_count; d++) {
            const struct conf_destination *to = &s->destinations[d];
            check(conf_find_destination(s, to->name) == to);
            check((to->type == DESTINATION_HTTP) == (to->url != NULL));
            check((to->type == DESTINATION_HTTP) == (to->path == NULL));
            check((to->mode & 02) == 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf *c = NULL;
    struct conf_complaint why;

    write_file(data, size);
    enum status st = conf_load(path, &c, &why);
    if (st == ST_OK)
        check_good(c);
    else
        check(c == NULL && strncmp(why.text, path, strlen(path)) == 0);
    conf_free(c);
    return 0;
}
