/* The sync area's layout. SYNC.md describes it and what may be done with it. C and C++. */
#ifndef SHMD_SYNC_AREA_H
#define SHMD_SYNC_AREA_H

#include <stdint.h>

#ifdef __cplusplus
#define SHMD_SYNC_STATIC_ASSERT static_assert
extern "C" {
#else
#define SHMD_SYNC_STATIC_ASSERT _Static_assert
#endif

enum {
    SHMD_SYNC_BYTES = 4096,
    SHMD_SYNC_FORMAT = 1,
    SHMD_SYNC_SLOTS = 896,
    SHMD_SYNC_SLOT_LINES = 56,
    SHMD_SYNC_SLOTS_PER_LINE = 16
};

/* In read_only, beside the count: there was such an attachment once. */
#define SHMD_SYNC_READERS UINT32_C(0x80000000)

/* A lock word's bits, beside the holder in the low half. */
#define SHMD_SYNC_HOLDER UINT64_C(0xffffffff)
#define SHMD_SYNC_WAITERS (UINT64_C(1) << 32)
#define SHMD_SYNC_OWNER_DIED (UINT64_C(1) << 33)

typedef struct shmd_sync_area {
    uint32_t format;
    uint32_t read_only;
    unsigned char reserved_0[56];
    uint64_t mutex;
    unsigned char reserved_1[56];
    uint64_t rwlock;
    uint32_t drain;
    uint32_t high_water;
    unsigned char reserved_2[48];
    uint64_t sequence;
    unsigned char reserved_3[56];
    uint64_t version;
    unsigned char reserved_4[248];
    uint32_t slots[SHMD_SYNC_SLOTS]; /* by place; shmd_sync_slot() finds the one of a number */
} shmd_sync_area;

SHMD_SYNC_STATIC_ASSERT(sizeof(shmd_sync_area) == SHMD_SYNC_BYTES, "the area is one page");

static inline uint32_t *shmd_sync_slot(shmd_sync_area *area, uint32_t number) {
    return &area->slots[SHMD_SYNC_SLOTS_PER_LINE * (number % SHMD_SYNC_SLOT_LINES) + number / SHMD_SYNC_SLOT_LINES];
}

/* The halves that are futexes. */
static inline uint32_t *shmd_sync_high_half(uint64_t *word) {
    return (uint32_t *)word + (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 1 : 0);
}

static inline uint32_t *shmd_sync_low_half(uint64_t *word) {
    return (uint32_t *)word + (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : 1);
}

#ifdef __cplusplus
}
#endif

#endif
