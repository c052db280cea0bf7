/* folder.h - for tests: a folder of the test's own goes away whole, and what
 * lies in it is searched, without a shell. */
#ifndef TESTS_FOLDER_H
#define TESTS_FOLDER_H

#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_OPEN_MAX 16 /* descriptors of one walk */

static inline int folder_drop_entry(const char *path, const struct stat *s,
                                    int flag, struct FTW *at)
{
    (void)s;
    (void)flag;
    (void)at;
    return remove(path);
}

/* Remove `folder` and all below it; links are not followed. 0, or -1. */
static inline int folder_remove(const char *folder)
{
    return nftw(folder, folder_drop_entry, FOLDER_OPEN_MAX,
                FTW_DEPTH | FTW_PHYS);
}

/* Do these bytes occur in the file? A file that is not there holds nothing. */
static inline bool file_holds(const char *path, const void *bytes, size_t len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat s;
    bool found = false;

    if (fd < 0)
        return false;
    if (fstat(fd, &s) == 0 && s.st_size > 0) {
        size_t size = (size_t)s.st_size;
        void *all = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (all == MAP_FAILED)
            abort(); /* "not found" would be a guess */
        found = memmem(all, size, bytes, len) != NULL;
        (void)munmap(all, size);
    }
    (void)close(fd);
    return found;
}

/* nftw() has no argument of its own. */
static struct {
    const void *bytes;
    size_t len;
} folder_wanted;

static inline int folder_look(const char *path, const struct stat *s, int flag,
                              struct FTW *at)
{
    (void)s;
    (void)at;
    return flag == FTW_F &&
           file_holds(path, folder_wanted.bytes, folder_wanted.len);
}

/* Do these bytes occur in any file below `folder`? */
static inline bool folder_holds(const char *folder, const void *bytes,
                                size_t len)
{
    folder_wanted.bytes = bytes;
    folder_wanted.len = len;
    int found = nftw(folder, folder_look, FOLDER_OPEN_MAX, FTW_PHYS);
    if (found < 0)
        abort();
    return found == 1;
}

#endif
