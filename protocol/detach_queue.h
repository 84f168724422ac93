/* The layout of a connection's detach queue. PROTOCOL.md describes it and what may be done with it. C and C++. */
#ifndef SHMD_DETACH_QUEUE_H
#define SHMD_DETACH_QUEUE_H

#include <stdint.h>

#ifdef __cplusplus
#define SHMD_DETACH_QUEUE_STATIC_ASSERT static_assert
#else
#define SHMD_DETACH_QUEUE_STATIC_ASSERT _Static_assert
#endif

enum { SHMD_DETACH_QUEUE_BYTES = 4096, SHMD_DETACH_QUEUE_FORMAT = 1, SHMD_DETACH_QUEUE_PLACES = 64 };

/* Both counts begin at 0 and go on beyond 2^32 at 0. */
typedef struct shmd_detach_queue {
    uint32_t format;
    unsigned char reserved_0[60];
    uint32_t put; /* how many attachments the client has put there */
    unsigned char reserved_1[60];
    uint32_t taken; /* how many of them the daemon has ended */
    unsigned char reserved_2[60];
    uint32_t watched; /* not 0: the daemon wants to be called at once, for somebody waits to hear of it */
    unsigned char reserved_3[60];
    uint32_t attachments[SHMD_DETACH_QUEUE_PLACES]; /* number N has place N modulo their number */
    int64_t usec[SHMD_DETACH_QUEUE_PLACES];         /* when, of CLOCK_REALTIME; 0: when the daemon sees it */
    unsigned char reserved_4[3072];
} shmd_detach_queue;

SHMD_DETACH_QUEUE_STATIC_ASSERT(sizeof(shmd_detach_queue) == SHMD_DETACH_QUEUE_BYTES, "the queue is one page");

#endif
