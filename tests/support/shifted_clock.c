// Preloaded into a daemon: once the file $SHMD_TEST_SHIFT is there, the wall clock is ten years ahead. Other clocks go on.
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    const char *file = getenv("SHMD_TEST_SHIFT");
    if (!failed && clock == CLOCK_REALTIME && file && access(file, F_OK) == 0) now->tv_sec += 10L * 365 * 24 * 3600;
    return failed;
}
