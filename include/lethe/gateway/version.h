/* version.h - the one place of the version. */
#ifndef LETHE_GATEWAY_VERSION_H
#define LETHE_GATEWAY_VERSION_H

#define LETHE_VERSION "0.1.0"

#endif
