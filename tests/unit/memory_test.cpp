#include "memory.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

using namespace shmd;

namespace {

struct stat status_of(const UniqueFd& fd) {
    struct stat status {};
    REQUIRE(::fstat(fd.get(), &status) == 0);
    return status;
}

std::int64_t reserved_bytes(const Memory& memory) {
    auto fd = memory.grant(Access::read);
    return std::int64_t{status_of(*fd).st_blocks} * 512;
}

}  // namespace

TEST_CASE("memory has exactly the size asked for, is all zeros, and cannot shrink or grow") {
    auto memory = Memory::create("test", 5000);
    REQUIRE(memory);
    auto fd = memory->grant(Access::write);
    REQUIRE(fd);
    CHECK(status_of(*fd).st_size == 5000);
    std::vector<char> bytes(5000, 'x');
    REQUIRE(::pread(fd->get(), bytes.data(), bytes.size(), 0) == 5000);
    CHECK(std::string(bytes.begin(), bytes.end()) == std::string(5000, '\0'));
    CHECK(::ftruncate(fd->get(), 100) == -1);
    CHECK(errno == EPERM);
    CHECK(::ftruncate(fd->get(), 50'000) == -1);
    CHECK(errno == EPERM);
}

TEST_CASE("the inode belongs to the daemon's user alone") {
    auto memory = Memory::create("test", 1);
    REQUIRE(memory);
    auto fd = memory->grant(Access::read);
    REQUIRE(fd);
    CHECK((status_of(*fd).st_mode & 07777) == 0600);
    CHECK(status_of(*fd).st_uid == ::geteuid());
}

TEST_CASE("a grant for reading can be mapped for reading only") {
    auto memory = Memory::create("test", 4096);
    REQUIRE(memory);
    auto fd = memory->grant(Access::read);
    REQUIRE(fd);
    CHECK(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd->get(), 0) == MAP_FAILED);
    CHECK(errno == EACCES);
    void* address = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd->get(), 0);
    REQUIRE(address != MAP_FAILED);
    CHECK(::mprotect(address, 4096, PROT_READ | PROT_WRITE) == -1);
    CHECK(errno == EACCES);
    ::munmap(address, 4096);
}

TEST_CASE("grants share the memory and are closed on exec") {
    auto memory = Memory::create("test", 4096);
    REQUIRE(memory);
    auto writer = memory->grant(Access::write);
    auto reader = memory->grant(Access::read);
    REQUIRE(::pwrite(writer->get(), "shared", 6, 10) == 6);
    char text[6];
    REQUIRE(::pread(reader->get(), text, 6, 10) == 6);
    CHECK(std::string(text, 6) == "shared");
    CHECK((::fcntl(reader->get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("a reservation reserves everything, in steps, and a lazy one nothing") {
    constexpr std::int64_t size = 100 << 20;
    for (Reserve how : {Reserve::allocate, Reserve::populate}) {
        auto memory = Memory::create("test", size);
        REQUIRE(memory);
        Reservation reservation(*memory, how, 0, size);
        REQUIRE_FALSE(reservation.done());
        REQUIRE(reservation.step());
        CHECK(reserved_bytes(*memory) < size);
        REQUIRE(reservation.finish());
        CHECK(reservation.done());
        CHECK(reserved_bytes(*memory) == size);
    }
    auto memory = Memory::create("test", size);
    REQUIRE(memory);
    CHECK(Reservation(*memory, Reserve::lazy, 0, size).done());
    CHECK(reserved_bytes(*memory) == 0);
}

TEST_CASE("a large reservation takes no more than asked for, keeps what was there, and is zeros otherwise") {
    constexpr std::int64_t begin = (3 << 20) + 5000, end = (27 << 20) + 5000, capacity = 40 << 20;
    for (PageSize pages : {PageSize::huge, PageSize::any, PageSize::usual}) {
        auto memory = Memory::create("test", capacity);
        REQUIRE(memory);
        auto fd = memory->grant(Access::write);
        REQUIRE(::pwrite(fd->get(), "before", 6, begin - 6) == 6);
        REQUIRE(::pwrite(fd->get(), "inside", 6, 10 << 20) == 6);
        REQUIRE(Reservation(*memory, Reserve::allocate, begin, end, pages).finish());
        constexpr std::int64_t page = 4096;
        CHECK(reserved_bytes(*memory) == (end + page - 1) / page * page - (begin - 6) / page * page);
        std::string content(capacity, 'x');
        REQUIRE(::pread(fd->get(), content.data(), capacity, 0) == capacity);
        CHECK(content.substr(begin - 6, 6) == "before");
        CHECK(content.substr(10 << 20, 6) == "inside");
        CHECK(static_cast<std::int64_t>(std::count(content.begin(), content.end(), '\0')) == capacity - 12);
    }
}

TEST_CASE("all pages are given back, also the last one of a size that is not in whole pages") {
    for (std::int64_t size : {1, 4096, 5000, 1 << 20}) {
        auto memory = Memory::create("test", size);
        REQUIRE(memory);
        REQUIRE(Reservation(*memory, Reserve::allocate, 0, size).finish());
        auto fd = memory->grant(Access::write);
        REQUIRE(::pwrite(fd->get(), "x", 1, size - 1) == 1);
        memory->drop_pages();
        CHECK(reserved_bytes(*memory) == 0);
        char last = 'y';
        REQUIRE(::pread(fd->get(), &last, 1, size - 1) == 1);
        CHECK(last == '\0');
    }
}

TEST_CASE("what is trimmed is given back to the end of its last page") {
    auto memory = Memory::create("test", 5 * 4096);
    REQUIRE(memory);
    REQUIRE(Reservation(*memory, Reserve::allocate, 0, 9000).finish());
    REQUIRE(Trim(*memory, 4096, 9000).finish());
    CHECK(reserved_bytes(*memory) == 4096);
    // What shares a page with bytes that stay is zeroed.
    REQUIRE(Reservation(*memory, Reserve::allocate, 4096, 9000).finish());
    auto fd = memory->grant(Access::write);
    REQUIRE(::pwrite(fd->get(), "abc", 3, 4999) == 3);
    REQUIRE(Trim(*memory, 5000, 9000).finish());
    CHECK(reserved_bytes(*memory) == 2 * 4096);
    char bytes[3] = {};
    REQUIRE(::pread(fd->get(), bytes, 3, 4999) == 3);
    CHECK(std::string(bytes, 3) == std::string("a\0\0", 3));
}

TEST_CASE("without descriptors the refusal names them and their limit") {
    auto memory = Memory::create("test", 1);
    REQUIRE(memory);
    rlimit old{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &old) == 0);
    rlimit low{3, old.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
    auto grant = memory->grant(Access::read);
    auto other = Memory::create("test", 1);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &old) == 0);
    REQUIRE_FALSE(grant);
    CHECK(grant.error() == Error::quota_exceeded("fileDescriptors", 3));
    REQUIRE_FALSE(other);
    CHECK(other.error() == Error::quota_exceeded("fileDescriptors", 3));
}

TEST_CASE("charges are in whole pages") {
    CHECK(Memory::charged_bytes(1) == 4096);
    CHECK(Memory::charged_bytes(4096) == 4096);
    CHECK(Memory::charged_bytes(4097) == 8192);
}
