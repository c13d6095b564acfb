/* Sets the wall clock of one program from outside: preloaded, it stands before clock_gettime.
 *
 * What CLOCK_REALTIME shows is moved by the seconds in a file shared with the test (WALLCLOCK_FILE, a signed 64-bit number), at any
 * time. Every other clock is as it was, as when a real clock is set: none of them may be. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic int64_t *seconds;

__attribute__((constructor)) static void map_seconds(void) {
    const char *path = getenv("WALLCLOCK_FILE");
    if (path == NULL) return;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    void *memory = mmap(NULL, sizeof *seconds, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (memory != MAP_FAILED) seconds = memory;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_REALTIME && seconds != NULL) time->tv_sec += atomic_load(seconds);
    return result;
}
