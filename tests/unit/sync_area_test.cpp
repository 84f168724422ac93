// What the daemon does in a sync area, without anybody else in it; and memory whose pages are gone.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "mapping.hpp"
#include "lost_pages.hpp"
#include "sync_area.hpp"

using namespace shmd;

namespace {

constexpr std::uint64_t died = SHMD_SYNC_OWNER_DIED;

struct Mapped {
    SyncArea area = *SyncArea::create();
    test::Mapping memory{area.grant(Access::write)->get(), SHMD_SYNC_BYTES, Access::write};
    shmd_sync_area& words = *reinterpret_cast<shmd_sync_area*>(memory.data());
};

}  // namespace

TEST_CASE_FIXTURE(Mapped, "a new area is zeros but for its format, and cannot change its size or be sealed") {
    CHECK(words.format == SHMD_SYNC_FORMAT);
    words.format = 0;
    for (char byte : memory.bytes()) CHECK(byte == 0);
    UniqueFd fd = *area.grant(Access::write);
    CHECK(::ftruncate(fd.get(), 1) != 0);
    CHECK(::lseek(fd.get(), 0, SEEK_END) == SHMD_SYNC_BYTES);
    CHECK_FALSE(area.memory()->sealable());
}

TEST_CASE_FIXTURE(Mapped, "the end of an attachment gives back what it holds, and nothing else") {
    words.mutex = 7 | SHMD_SYNC_WAITERS;
    words.rwlock = 8;
    *shmd_sync_slot(&words, 0) = 7;
    *shmd_sync_slot(&words, 500) = 8;
    *shmd_sync_slot(&words, SHMD_SYNC_SLOTS - 1) = 7;
    area.release(7);
    CHECK(words.mutex == died);
    CHECK(words.rwlock == 8);
    CHECK(*shmd_sync_slot(&words, 0) == 0);
    CHECK(*shmd_sync_slot(&words, 500) == 8);
    CHECK(*shmd_sync_slot(&words, SHMD_SYNC_SLOTS - 1) == 0);
    CHECK(words.drain == 1);
    area.release(8);
    CHECK(words.rwlock == died);
    CHECK(*shmd_sync_slot(&words, 500) == 0);
}

TEST_CASE_FIXTURE(Mapped, "recovering gives back what those hold who are not there") {
    words.mutex = 7;
    words.rwlock = 9;
    *shmd_sync_slot(&words, 3) = 7;
    *shmd_sync_slot(&words, 4) = 9;
    area.recover([](std::uint32_t attachment) { return attachment == 7; });
    CHECK(words.mutex == 7);
    CHECK(words.rwlock == died);
    CHECK(*shmd_sync_slot(&words, 3) == 7);
    CHECK(*shmd_sync_slot(&words, 4) == 0);
}

TEST_CASE_FIXTURE(Mapped, "who may read the area cannot write it") {
    UniqueFd fd = *area.grant(Access::read);
    CHECK(::mmap(nullptr, SHMD_SYNC_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0) == MAP_FAILED);
    area.set_read_only(0);
    CHECK(words.read_only == 0);
    area.set_read_only(3);
    CHECK(words.read_only == (3 | SHMD_SYNC_READERS));
    area.set_read_only(0);
    CHECK(words.read_only == SHMD_SYNC_READERS);
}

TEST_CASE("each slot has a place of its own in the area") {
    shmd_sync_area area{};
    for (std::uint32_t number = 0; number < SHMD_SYNC_SLOTS; number++) {
        std::uint32_t* slot = shmd_sync_slot(&area, number);
        CHECK(*slot == 0);
        CHECK(reinterpret_cast<char*>(slot) - reinterpret_cast<char*>(&area) == 512 + 64 * (number % 56) + 4 * (number / 56));
        *slot = 1;
    }
}

TEST_CASE("an access to pages that cannot be had ends, and the process goes on") {
    UniqueFd fd(::memfd_create("lost", MFD_CLOEXEC));
    REQUIRE(::ftruncate(fd.get(), 4096) == 0);
    test::Mapping memory(fd.get(), 4096, Access::write);
    volatile char* byte = memory.data();
    for (int i = 0; i < 3; i++) {
        CHECK(survives_lost_pages([&] { *byte = 1; }));
        REQUIRE(::ftruncate(fd.get(), 0) == 0);
        bool after = false;
        CHECK_FALSE(survives_lost_pages([&] {
            *byte = 2;
            after = true;
        }));
        CHECK_FALSE(after);
        REQUIRE(::ftruncate(fd.get(), 4096) == 0);
    }
}
