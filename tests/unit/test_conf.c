/* Walks tests/conf/: each folder has a lethe.json and either `expected` (what
 * was read, line by line; '@' is the folder) or `error` (how the complaint
 * begins). Run from the top folder, as make does. */
#include "lethe/gateway/conf.h"
#include "lethe/policy/base/buf.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CASES "tests/conf"

static const char *yes_no(bool yes)
{
    return yes ? "yes" : "no";
}

/* A path with the config's folder shortened to '@'. */
static void put_path(struct buf *b, const struct conf *c, const char *path)
{
    size_t len = strlen(c->folder);

    if (path == NULL)
        buf_put_char(b, '-');
    else if (strncmp(path, c->folder, len) == 0 && path[len] == '/')
        buf_printf(b, "@%s", path + len);
    else
        buf_printf(b, "%s", path);
}

static void put_line(struct buf *b, const struct conf *c, const char *what,
                     const char *path)
{
    buf_printf(b, "%s ", what);
    put_path(b, c, path);
    buf_put_char(b, '\n');
}

static void put_tls(struct buf *b, const struct conf *c,
                    const struct conf_tls *tls)
{
    if (tls->certificate == NULL) {
        buf_printf(b, " tls no\n");
        return;
    }
    buf_printf(b, " tls %d ", tls->min_version);
    put_path(b, c, tls->certificate);
    buf_put_char(b, ' ');
    put_path(b, c, tls->key);
    buf_put_char(b, '\n');
}

static void put_top(struct buf *b, const struct conf *c)
{
    put_line(b, c, "state_dir", c->state_dir);
    for (unsigned i = 0; i < c->listen_count; i++) {
        buf_printf(b, "listen %s proxies %u", c->listen[i].text,
                   c->listen[i].proxy_count);
        put_tls(b, c, &c->listen[i].tls);
    }
    if (c->admin.text == NULL) {
        buf_printf(b, "admin none\n");
    } else {
        buf_printf(b, "admin %s hosts %u", c->admin.text, c->admin_host_count);
        put_tls(b, c, &c->admin.tls);
    }
    buf_printf(b, "workers %u forwarders %u\n", c->workers, c->forwarders);
    put_line(b, c, "master_key", c->master_key_file);
    put_line(b, c, "optout_key", c->optout_key_file);
    put_line(b, c, "optout_journal", c->optout_journal);
    buf_printf(b, "epoch_store %d ", (int)c->epoch_store);
    put_path(b, c, c->epoch_runtime);
    buf_put_char(b, '\n');
    put_line(b, c, "signer", c->signer_dir);
    buf_printf(b, "audit %s rows %d step %lld search %lld\n", c->audit_origin,
               (int)c->audit_rows, (long long)c->audit_time_step_ms,
               (long long)c->subject_search_ms);
    for (unsigned i = 0; i < c->witness_count; i++) {
        buf_printf(b, "witness %s %s %s ", c->witnesses[i].name,
                   c->witnesses[i].url, c->witnesses[i].key);
        put_path(b, c, c->witnesses[i].ca);
        buf_put_char(b, '\n');
    }
    buf_printf(b,
               "limits %u %llu %llu %lld rate %u %u disk %llu %llu %llu\n"
               "log %d %s\nrequire_approval %s\n",
               c->limit_connections, (unsigned long long)c->limit_body,
               (unsigned long long)c->limit_inflated,
               (long long)c->limit_request_ms, c->rate_optout, c->rate_events,
               (unsigned long long)c->limit_journal,
               (unsigned long long)c->limit_spool,
               (unsigned long long)c->limit_disk_free, (int)c->log_level,
               c->log_json ? "json" : "text", yes_no(c->require_approval));
}

static void put_destination(struct buf *b, const struct conf *c,
                            const struct conf_destination *d)
{
    buf_printf(b, "%s %s ", destination_type_name(d->type), d->name);
    if (d->type == DESTINATION_HTTP) {
        buf_printf(b, "%s body %s type %s bearer ", d->url,
                   d->body != NULL ? d->body : "-", d->content_type);
        put_path(b, c, d->secret_file);
        buf_printf(b, " ca ");
        put_path(b, c, d->ca);
    } else if (destination_is_network(d->type)) {
        buf_printf(b, "%s api %d id %s secret ", d->url, (int)d->api,
                   d->measurement_id != NULL ? d->measurement_id : "-");
        put_path(b, c, d->secret_file);
        buf_printf(b, " ca ");
        put_path(b, c, d->ca);
    } else {
        put_path(b, c, d->path);
        buf_printf(b, " mode %o group %s", d->mode,
                   d->group != NULL ? d->group : "-");
    }
    buf_printf(b, " batch %u timeout %lld concurrency %u age %lld\n", d->batch,
               (long long)d->timeout_ms, d->concurrency,
               (long long)d->max_age_ms);
}

static void put_site(struct buf *b, const struct conf *c,
                     const struct conf_site *s)
{
    buf_printf(b, "site %s %s ", s->id, s->name);
    put_path(b, c, s->policy);
    buf_printf(b, " debug %s hosts %u origins %u returns %u keys %u\n",
               yes_no(s->debug), s->host_count, s->origin_count,
               s->optout_return_count, s->key_count);
    for (unsigned i = 0; i < s->origin_count; i++)
        buf_printf(b, "origin %d %s %s\n", (int)s->origins[i].kind,
                   s->origins[i].scheme, s->origins[i].text);
    for (unsigned i = 0; i < s->key_count; i++)
        buf_printf(b, "key %s\n", s->keys[i]);
    for (unsigned i = 0; i < s->destination_count; i++)
        put_destination(b, c, &s->destinations[i]);
}

/* The file as text, or NULL if there is none. */
static char *slurp(const char *folder, const char *name)
{
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return NULL;
    char *text = calloc(1, 65536);
    text[fread(text, 1, 65535, f)] = '\0';
    (void)fclose(f);
    return text;
}

static bool good_case(const char *folder, const struct conf *c,
                      const char *want)
{
    struct buf b;

    buf_init(&b, 1u << 20);
    put_top(&b, c);
    for (unsigned i = 0; i < c->site_count; i++)
        put_site(&b, c, &c->sites[i]);
    buf_put_char(&b, '\0');
    bool same = want != NULL && strcmp(b.data, want) == 0;
    if (!same)
        print_error("%s: read\n%s", folder, b.data);
    buf_free(&b);
    return same;
}

static bool bad_case(const char *folder, const char *got, char *want)
{
    size_t len = strlen(folder);

    if (want != NULL)
        want[strcspn(want, "\n")] = '\0';
    bool same = want != NULL && want[0] != '\0' &&
                strncmp(got, folder, len) == 0 && got[len] == '/' &&
                strncmp(got + len + 1, want, strlen(want)) == 0;
    if (!same)
        print_error("%s: said %s\n", folder, got);
    return same;
}

static bool run_case(const char *name)
{
    char folder[256], path[300];
    struct conf *c = NULL;
    struct conf_complaint why;
    bool same;

    (void)snprintf(folder, sizeof(folder), CASES "/%s", name);
    (void)snprintf(path, sizeof(path), "%s/lethe.json", folder);
    char *expected = slurp(folder, "expected"), *error = slurp(folder, "error");
    enum status st = conf_load(path, &c, &why);
    if (st == ST_OK)
        same = good_case(folder, c, expected) && error == NULL;
    else
        same = bad_case(folder, why.text, error) && c == NULL &&
               (st == ST_SYNTAX || st == ST_TYPE);
    conf_free(c);
    free(expected);
    free(error);
    return same;
}

static void cases_read_as_they_say(void **state)
{
    unsigned cases = 0, wrong = 0;
    DIR *dir = opendir(CASES);

    (void)state;
    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (e->d_name[0] == '.')
            continue;
        cases++;
        wrong += run_case(e->d_name) ? 0 : 1;
    }
    (void)closedir(dir);
    assert_int_equal(wrong, 0);
    assert_true(cases > 100);
}

static void finds_sites_and_destinations(void **state)
{
    struct conf *c = NULL;
    struct conf_complaint why;

    (void)state;
    assert_int_equal(conf_load(CASES "/full/lethe.json", &c, &why), ST_OK);
    assert_string_equal(why.text, "");
    assert_ptr_equal(conf_find_site(c, "mixbot"), &c->sites[0]);
    assert_ptr_equal(conf_find_site(c, "9f2c41d07a6be835"), &c->sites[0]);
    assert_ptr_equal(conf_find_site(c, "two"), &c->sites[1]);
    assert_null(conf_find_site(c, "three"));
    assert_null(conf_find_site(c, ""));
    assert_ptr_equal(conf_find_destination(&c->sites[0], "file"),
                     &c->sites[0].destinations[1]);
    assert_null(conf_find_destination(&c->sites[1], "file"));
    conf_free(c);
    conf_free(NULL);
}

static void addresses_are_ready_to_bind(void **state)
{
    struct conf *c = NULL;
    struct conf_complaint why;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    (void)state;
    assert_int_equal(conf_load(CASES "/full/lethe.json", &c, &why), ST_OK);
    assert_int_equal(c->listen[0].address_len, sizeof(v4));
    memcpy(&v4, &c->listen[0].address, sizeof(v4));
    assert_int_equal(v4.sin_family, AF_INET);
    assert_int_equal(ntohs(v4.sin_port), 8080);
    assert_int_equal(v4.sin_addr.s_addr, 0);
    assert_int_equal(c->listen[1].address_len, sizeof(v6));
    memcpy(&v6, &c->listen[1].address, sizeof(v6));
    assert_int_equal(v6.sin6_family, AF_INET6);
    assert_int_equal(ntohs(v6.sin6_port), 8080);
    assert_int_equal(v6.sin6_addr.s6_addr[15], 1);

    const struct conf_network *n = c->listen[0].proxies;
    assert_int_equal(n[0].family, AF_INET);
    assert_int_equal(n[0].bytes[0], 10);
    assert_int_equal(n[0].bits, 8);
    assert_int_equal(n[1].family, AF_INET6);
    assert_int_equal(n[1].bytes[0], 0x20);
    assert_int_equal(n[1].bits, 32);
    assert_int_equal(n[2].bits, 32);
    conf_free(c);
}

static void missing_file_is_said(void **state)
{
    struct conf *c = NULL;
    struct conf_complaint why;

    (void)state;
    assert_int_equal(conf_load("/nowhere/lethe.json", &c, &why), ST_IO);
    assert_string_equal(why.text, "/nowhere/lethe.json: cannot be read: No "
                                  "such file or directory");
    assert_int_equal(conf_load("/tmp", &c, &why), ST_IO);
    assert_null(c);
}

static enum status load_text(const struct buf *b, struct conf_complaint *why,
                             unsigned *out_listeners, unsigned *out_sites)
{
    char path[] = "/tmp/lethe-conf-XXXXXX";
    struct conf *c = NULL;
    int fd = mkstemp(path);

    assert_int_equal(write(fd, b->data, b->len), (ssize_t)b->len);
    assert_int_equal(close(fd), 0);
    enum status st = conf_load(path, &c, why);
    if (st == ST_OK) {
        *out_listeners = c->listen_count;
        *out_sites = c->site_count;
    }
    conf_free(c);
    assert_int_equal(unlink(path), 0);
    return st;
}

static enum status load_many(unsigned listeners, unsigned sites,
                             struct conf_complaint *why)
{
    unsigned got_listeners = 0, got_sites = 0;
    struct buf b;

    buf_init(&b, 1u << 20);
    buf_printf(&b, "{\"listen\":[");
    for (unsigned i = 0; i < listeners; i++)
        buf_printf(&b, "%s{\"address\":\"127.0.0.1:0\"}", i > 0 ? "," : "");
    buf_printf(&b, "],\"sites\":[");
    for (unsigned i = 0; i < sites; i++)
        buf_printf(&b,
                   "%s{\"id\":\"%016x\",\"name\":\"s-%u\",\"policy\":\"p\"}",
                   i > 0 ? "," : "", i, i);
    buf_printf(&b, "]}");
    enum status st = load_text(&b, why, &got_listeners, &got_sites);
    if (st == ST_OK) {
        assert_int_equal(got_listeners, listeners);
        assert_int_equal(got_sites, sites);
    }
    buf_free(&b);
    return st;
}

static void limits_at_and_beyond(void **state)
{
    struct conf_complaint why;

    (void)state;
    assert_int_equal(load_many(CONF_LISTEN_MAX, CONF_SITES_MAX, &why), ST_OK);
    assert_int_equal(load_many(CONF_LISTEN_MAX + 1, 1, &why), ST_TYPE);
    assert_non_null(strstr(why.text, "listen: has too many entries"));
    assert_int_equal(load_many(1, CONF_SITES_MAX + 1, &why), ST_TYPE);
    assert_non_null(strstr(why.text, "sites: has too many entries"));
}

static enum status load_path(size_t len, struct conf_complaint *why)
{
    unsigned listeners, sites;
    struct buf b;

    buf_init(&b, 1u << 20);
    buf_printf(&b, "{\"listen\":[{\"address\":\"127.0.0.1:0\"}],\"sites\":[{"
                   "\"id\":\"9f2c41d07a6be835\",\"name\":\"x\",\"policy\":\"/");
    for (size_t i = 1; i < len; i++)
        buf_put_char(&b, 'p');
    buf_printf(&b, "\"}]}");
    enum status st = load_text(&b, why, &listeners, &sites);
    buf_free(&b);
    return st;
}

static void paths_have_a_limit(void **state)
{
    struct conf_complaint why;

    (void)state;
    assert_int_equal(load_path(CONF_PATH_MAX - 1, &why), ST_OK);
    assert_int_equal(load_path(CONF_PATH_MAX, &why), ST_TYPE);
    assert_non_null(strstr(why.text, "sites[0].policy: is too long"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases_read_as_they_say),
        cmocka_unit_test(finds_sites_and_destinations),
        cmocka_unit_test(addresses_are_ready_to_bind),
        cmocka_unit_test(missing_file_is_said),
        cmocka_unit_test(limits_at_and_beyond),
        cmocka_unit_test(paths_have_a_limit),
    };

    return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
