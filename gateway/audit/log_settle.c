/* log_settle.c - what was appended is in the files. */
#include "log_internal.h"

#include <stdlib.h>

enum status audit_settle(struct audit_log *l)
{
    struct audit_item *it = calloc(1, sizeof(*it));
    struct audit_waiter w = {.done = false};

    if (it == NULL)
        return ST_NOMEM;
    it->act = RECORD_ACT_COUNT; /* nothing to write */
    it->waiter = &w;
    pthread_mutex_lock(&l->lock);
    if (!log_push(l, it, true)) {
        free(it);
        w = (struct audit_waiter){.done = true, .st = ST_CLOSED};
    }
    while (!w.done)
        pthread_cond_wait(&l->done, &l->lock);
    pthread_mutex_unlock(&l->lock);
    return w.st;
}
