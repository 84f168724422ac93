#include "blanks.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace shmd;

namespace {

std::size_t open_descriptors() {
    (void)Memory::blank();  // the first one opens what it keeps for all
    std::filesystem::directory_iterator entries("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

struct stat status_of(const UniqueFd& fd) {
    struct stat status {};
    REQUIRE(::fstat(fd.get(), &status) == 0);
    return status;
}

Memory memory_of(UniqueFd file) {
    auto made = Memory::create("test", 5000, {}, std::move(file));
    REQUIRE(made);
    return *std::move(made);
}

}  // namespace

TEST_CASE("memory that is made of a blank is as any other, and its writer is a grant for writing") {
    Blanks blanks(1);
    blanks.settle();
    auto blank = blanks.take();
    REQUIRE(blank);
    CHECK(status_of(blank->file).st_size == 0);
    CHECK(blank->reserved == 4096);
    CHECK((status_of(blank->file).st_mode & 07777) == 0600);
    for (const UniqueFd* fd : {&blank->file, &blank->writer}) {
        CHECK((::fcntl(fd->get(), F_GETFL) & O_ACCMODE) == O_RDWR);
        CHECK((::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC) != 0);
    }
    Memory memory = memory_of(std::move(blank->file));
    CHECK(status_of(blank->writer).st_size == 5000);
    CHECK(status_of(blank->writer).st_blocks * 512 == 4096);
    std::string zeros(5000, 'x');
    REQUIRE(::pread(blank->writer.get(), zeros.data(), zeros.size(), 0) == 5000);
    CHECK(zeros == std::string(5000, '\0'));
    REQUIRE(::pwrite(blank->writer.get(), "word", 4, 10) == 4);
    char word[4];
    REQUIRE(::pread(memory.grant(Access::read)->get(), word, 4, 10) == 4);
    CHECK(std::string(word, 4) == "word");
    CHECK(memory.in_use());
    blank->writer.reset();
    CHECK_FALSE(memory.in_use());
}

TEST_CASE("a blank is known again by a later process, and what was made of it is not") {
    auto blank = Memory::blank();
    REQUIRE(blank);
    auto again = Memory::adopt_blank(blank->file);
    REQUIRE(again);
    CHECK_FALSE(again->writer);
    CHECK(again->reserved == 4096);
    UniqueFd seen(::dup(again->file.get()));
    Memory memory = memory_of(std::move(again->file));
    CHECK_FALSE(Memory::adopt_blank(seen));
    CHECK(seen);
}

TEST_CASE("each blank is taken once, and when they get few as many are made as are missing") {
    constexpr std::size_t full = 8;
    Blanks blanks(full);
    std::set<ino_t> seen;
    std::vector<Blank> taken;
    for (int round = 0; round < 4; round++) {
        blanks.settle();
        CHECK(blanks.size() == full);
        // The thread is woken at the last of these, and not before.
        for (std::size_t i = 0; i < full / 2; i++) {
            CHECK(blanks.size() == full - i);
            taken.push_back(blanks.take().value());
            CHECK(seen.insert(status_of(taken.back().file).st_ino).second);
            CHECK(status_of(taken.back().writer).st_ino == status_of(taken.back().file).st_ino);
        }
    }
}

TEST_CASE("blanks that are given up are closed, and are made again when so many have been asked for") {
    std::size_t before = open_descriptors();
    Blanks blanks(4);
    blanks.settle();
    CHECK(open_descriptors() == before + 8);
    CHECK(blanks.give_up());
    CHECK(open_descriptors() == before);
    CHECK_FALSE(blanks.give_up());
    for (std::size_t i = 0; i < Blanks::pause; i++) {
        blanks.settle();
        CHECK_FALSE(blanks.take());
    }
    blanks.settle();
    CHECK(blanks.size() == 4);
}

TEST_CASE("giving up also closes what is just being made") {
    std::size_t before = open_descriptors();
    for (int round = 0; round < 200; round++) {
        Blanks blanks(64);
        for (int i = 0; i < round % 16; i++) (void)blanks.take();
        blanks.give_up();
        CHECK(open_descriptors() == before);
    }
}

TEST_CASE("blanks go with their owner, and none are open then") {
    std::size_t before = open_descriptors();
    for (int round = 0; round < 50; round++) {
        Blanks blanks(16);
        if (round % 2 == 0) blanks.settle();
    }
    CHECK(open_descriptors() == before);
}

TEST_CASE("no blanks are kept where descriptors are scarce") {
    rlimit old{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &old) == 0);
    rlimit low{64, old.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
    CHECK(Blanks::fitting() == 1);
    std::vector<UniqueFd> others;
    while (others.empty() || others.back().get() < 47) others.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    {
        // What is left is the last quarter.
        Blanks blanks(16);
        blanks.settle();
        CHECK(blanks.size() == 0);
        // What it took for a moment may be what somebody has lacked.
        CHECK(blanks.give_up());
        CHECK_FALSE(blanks.give_up());
    }
    others.resize(4);
    Blanks blanks(2);
    blanks.settle();
    CHECK(blanks.size() == 2);
    // What was closed can be had at once.
    for (int fd = 0; fd >= 0;) {
        fd = ::dup(others.front().get());
        if (fd >= 0) others.emplace_back(fd);
    }
    CHECK_FALSE(Memory::create("test", 1));
    CHECK(blanks.give_up());
    CHECK(Memory::create("test", 1));
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &old) == 0);
    CHECK(Blanks::fitting() <= Blanks::most);
}

TEST_CASE("none at all is a thread and descriptors less") {
    std::size_t before = open_descriptors();
    Blanks blanks(0);
    blanks.settle();
    CHECK_FALSE(blanks.take());
    CHECK(open_descriptors() == before);
    CHECK_FALSE(blanks.give_up());
}
