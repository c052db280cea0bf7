/* serve.h - the gateway as a process. */
#ifndef LETHE_GATEWAY_SERVE_H
#define LETHE_GATEWAY_SERVE_H

/* Run until SIGTERM or SIGINT, or until it cannot go on. Returns the exit
 * code: 0 after a clean stop, 1 when it refused to start (the reason is on
 * standard error) or had to stop by itself. */
int serve_run(const char *conf_path);

/* The process's log goes to standard error as `c` says (NULL: info, text). */
struct conf;
void serve_log(const struct conf *c);

#endif
