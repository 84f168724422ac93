/* For tests/bench/clients: what the other languages' opens are compared with. Opens, reads a byte and closes through libshmd, and the
 * same with a file in /dev/shm, in turns; prints a row of JSON. */
#include <fcntl.h>
#include <shmd/shmd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES 4000

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, shmd_last_error()->message);
    exit(1);
}

static volatile char seen;

int main(void) {
    static double ours[SAMPLES], plain[SAMPLES];
    static const char path[] = "/dev/shm/shmd-bench-libshmd";
    shmd_client *client;
    shmd_segment *segment;
    if (shmd_connect(NULL, &client) < 0 || shmd_create(client, "bench/libshmd", 4096, NULL, &segment) < 0) fail("create");
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || ftruncate(fd, 4096) != 0) return perror(path), 1;
    close(fd);
    for (int i = 0; i < SAMPLES; i++) {
        shmd_segment *again;
        double begin = now();
        if (shmd_open(client, "bench/libshmd", SHMD_READ, &again) < 0) fail("open");
        seen = *(const char *)shmd_data(again);
        shmd_close(again);
        ours[i] = now() - begin;
        begin = now();
        fd = open(path, O_RDONLY);
        void *data = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
        close(fd);
        seen = *(const char *)data;
        munmap(data, 4096);
        plain[i] = now() - begin;
    }
    unlink(path);
    shmd_delete(client, "bench/libshmd");
    qsort(ours, SAMPLES, sizeof *ours, ascending);
    qsort(plain, SAMPLES, sizeof *plain, ascending);
    printf("{\"case\": \"open+map+close\", \"language\": \"c\", \"ratio\": %.3f}\n", ours[SAMPLES / 2] / plain[SAMPLES / 2]);
    return 0;
}
