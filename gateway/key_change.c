#include "lethe/gateway/key_change.h"

#include "lethe/gateway/keys/keyfile.h"
#include "lethe/policy/base/log.h"

#include <stdio.h>
#include <string.h>

enum status keys_end_epochs(struct gateway *g)
{
    const struct world *w = g->world;
    enum status st = ST_OK;

    supervisor_pause(g); /* nothing more is decided with them */
    pthread_mutex_lock(&g->epochs_lock);
    for (unsigned i = 0; i < w->site_count; i++)
        for (unsigned d = 0; d < POLICY_DESTINATIONS_MAX; d++) {
            if (w->sites[i].to[d] == NULL)
                continue;
            enum status one =
                epochs_forget(g->epochs, w->sites[i].id,
                              slice_of(w->sites[i].to[d]->conf->name));
            if (one != ST_OK && one != ST_UNKNOWN)
                st = one;
        }
    pthread_mutex_unlock(&g->epochs_lock);
    enum status renewed = supervisor_renew(g);
    return st == ST_OK ? renewed : st;
}

/* From here on the new key is the one: on disk, then in memory. */
static enum status take_over(struct gateway *g, const char *path)
{
    enum key_fault fault = KEY_FAULT_NONE;
    uint8_t *fresh = NULL;
    enum status st = keyfile_next_use(path);

    if (st == ST_OK)
        st = keyfile_load(path, NULL, &fresh, &fault);
    if (st == ST_OK)
        memcpy(g->master, fresh, KEY_BYTES);
    secret_free(fresh);
    return st;
}

static enum status rewrap(struct gateway *g, const char *path)
{
    char next[CONF_PATH_MAX + sizeof(KEYFILE_NEXT)];
    enum key_fault fault = KEY_FAULT_NONE;
    uint8_t *fresh = NULL;
    enum status st = keyfile_next_create(path);

    if (st != ST_OK)
        return st == ST_IO ? ST_DENIED : st;
    (void)snprintf(next, sizeof(next), "%s" KEYFILE_NEXT, path);
    st = keyfile_load(next, NULL, &fresh, &fault);
    if (st == ST_OK)
        st = spool_keys_rewrap(g->spool_keys, fresh);
    secret_free(fresh);
    return st;
}

enum status keys_rotate_master(struct gateway *g)
{
    const char *path = g->world->conf->master_key_file;

    supervisor_pause(g);
    enum status st = rewrap(g, path);
    if (st == ST_OK)
        st = take_over(g, path);
    if (st != ST_OK) {
        supervisor_go_on(g);
        return st;
    }
    return keys_end_epochs(g);
}

enum status keys_open_spool(struct gateway *g, const struct conf *c,
                            const char *path)
{
    char next[CONF_PATH_MAX + sizeof(KEYFILE_NEXT)];
    enum key_fault fault = KEY_FAULT_NONE;
    uint8_t *fresh = NULL;
    enum status st = spool_keys_open(path, g->master, &g->spool_keys);

    (void)snprintf(next, sizeof(next), "%s" KEYFILE_NEXT, c->master_key_file);
    if (keyfile_load(next, NULL, &fresh, &fault) != ST_OK)
        return st; /* there is none, as nearly always */
    if (st == ST_OK) {
        keyfile_next_forget(c->master_key_file);
    } else if (st == ST_CRYPTO &&
               spool_keys_open(path, fresh, &g->spool_keys) == ST_OK) {
        log_warn(LOG_KEYS, "a rotation of the master key is finished");
        st = take_over(g, c->master_key_file);
    }
    secret_free(fresh);
    return st;
}
