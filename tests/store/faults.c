/* Preloaded into a test process: lets the N-th write or fsync of the database or its mark fail. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_int armed_kind, remaining, lasting, error_number, hits;

/* kind 1: writes, 2: syncs. The nth from now fails with `error`; all later ones too when `stay`. */
void arm(int kind, int nth, int error, int stay) {
    hits = 0;
    remaining = nth;
    error_number = error;
    lasting = stay;
    armed_kind = kind;
}

int fault_hits(void) { return hits; }

static int fails(int kind, int fd) {
    char link[64], path[4096];
    if (armed_kind != kind) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size <= 0) return 0;
    path[size] = 0;
    if (!strstr(path, "pointillist.")) return 0;
    int left = --remaining;
    if (left > 0 || (left < 0 && !lasting)) return 0;
    hits++;
    errno = error_number;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *body, size_t size) { return fails(1, fd) ? -1 : REAL(write)(fd, body, size); }
ssize_t pwrite(int fd, const void *body, size_t size, off_t at) {
    return fails(1, fd) ? -1 : REAL(pwrite)(fd, body, size, at);
}
ssize_t pwrite64(int fd, const void *body, size_t size, off64_t at) {
    return fails(1, fd) ? -1 : REAL(pwrite64)(fd, body, size, at);
}
int fsync(int fd) { return fails(2, fd) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return fails(2, fd) ? -1 : REAL(fdatasync)(fd); }
