/* A disk that is full, for a PostgreSQL server that loads this before all else: while there is the file that
   SOAK_DISK_FULL names, none of its files grows. What is written over stays possible, as on a real one. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *flag;

__attribute__((constructor)) static void remember(void) {
    /* The server moves its environment. */
    const char *named = getenv("SOAK_DISK_FULL");
    flag = named ? strdup(named) : NULL;
}

static int is_full(int fd, off_t end) {
    struct stat file;
    int before = errno;
    int is = flag && access(flag, F_OK) == 0 && fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && end > file.st_size;
    errno = is ? ENOSPC : before;
    return is;
}

static off_t length(const struct iovec *parts, int count) {
    off_t sum = 0;
    for (int i = 0; i < count; i++) sum += parts[i].iov_len;
    return sum;
}

/* Each has two names in glibc. */
#define PWRITE(name)                                                                                                   \
    ssize_t name(int fd, const void *bytes, size_t count, off_t at) {                                                  \
        static ssize_t (*real)(int, const void *, size_t, off_t);                                                      \
        if (!real) real = dlsym(RTLD_NEXT, #name);                                                                     \
        return is_full(fd, at + count) ? -1 : real(fd, bytes, count, at);                                              \
    }
#define PWRITEV(name)                                                                                                  \
    ssize_t name(int fd, const struct iovec *parts, int count, off_t at) {                                             \
        static ssize_t (*real)(int, const struct iovec *, int, off_t);                                                 \
        if (!real) real = dlsym(RTLD_NEXT, #name);                                                                     \
        return is_full(fd, at + length(parts, count)) ? -1 : real(fd, parts, count, at);                               \
    }
#define FALLOCATE(name)                                                                                                \
    int name(int fd, off_t at, off_t count) {                                                                          \
        static int (*real)(int, off_t, off_t);                                                                         \
        if (!real) real = dlsym(RTLD_NEXT, #name);                                                                     \
        return is_full(fd, at + count) ? ENOSPC : real(fd, at, count);                                                 \
    }

PWRITE(pwrite)
PWRITE(pwrite64)
PWRITEV(pwritev)
PWRITEV(pwritev64)
FALLOCATE(posix_fallocate)
FALLOCATE(posix_fallocate64)
