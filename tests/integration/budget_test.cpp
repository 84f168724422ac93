// What requests cost, as numbers that no clock and no load can change: system calls. A change that makes one more of them has to
// change the budget here, and to say why. Times are tests/bench's.
#include <doctest/doctest.h>
#include <shmd/shmd.h>
#include <shmd/sync.h>

#include <functional>
#include <string>
#include <vector>

#include "libshmd_handles.hpp"
#include "process.hpp"
#include "syscall_counter.hpp"

using namespace shmd::test;

namespace {

constexpr int rounds = 50;
// After so many a connection has its detach queue.
constexpr int settled = 10;

void open_and_close(shmd_client* client) {
    shmd_segment* segment = nullptr;
    if (shmd_open(client, "key", SHMD_READ, &segment) != 0) fail(shmd_last_error()->message);
    shmd_close(segment);
}

void create_and_delete(shmd_client* client) {
    shmd_segment* segment = nullptr;
    if (shmd_create(client, "made", 4096, nullptr, &segment) != 0) fail(shmd_last_error()->message);
    shmd_close(segment);
    if (shmd_delete(client, "made") != 0) fail(shmd_last_error()->message);
}

std::string text_of(const Syscalls& counts) {
    std::string text;
    for (const auto& [name, count] : counts) text += name + " " + std::to_string(count) + ", ";
    return text;
}

// What the program itself does, `rounds` times: exactly this.
void check_client(Daemon& daemon, const std::function<void(shmd_client*)>& act, Syscalls budget) {
    auto counts = count_in_child([&](const std::function<void()>& mark) {
        Client client(daemon);
        for (int i = 0; i < settled; i++) act(client.get());
        mark();
        for (int i = 0; i < rounds; i++) act(client.get());
        mark();
    });
    if (!counts) {
        MESSAGE("SKIPPED: this machine lets nobody trace system calls");
        return;
    }
    for (auto& [name, count] : budget) count *= rounds;
    INFO(text_of(*counts));
    CHECK(*counts == budget);
}

// Once a second the daemon looks after memory: a few calls beside those of the requests.
constexpr int beside = 20;
// So much more than is taken may be made ahead.
constexpr int ahead = 64;

void check_at_most(const Syscalls& counts, const Syscalls& budget, int acts) {
    INFO(text_of(counts));
    for (const auto& [name, count] : counts) {
        CAPTURE(name);
        auto allowed = budget.find(name);
        CHECK(count <= (allowed == budget.end() ? 0 : allowed->second * acts) + beside);
    }
}

// What the daemon does for that: at most this. Less where it meets two messages at once. others: by other threads than the event
// loop's, which nobody waits for.
void check_daemon(Daemon& daemon, const std::function<void(shmd_client*)>& act, const Syscalls& budget,
                  const Syscalls& others = {}) {
    Client client(daemon);
    for (int i = 0; i < settled; i++) act(client.get());
    auto counts = count_in_process(daemon.pid(), [&] {
        for (int i = 0; i < rounds; i++) act(client.get());
    });
    if (!counts) {
        MESSAGE("SKIPPED: this machine lets nobody trace system calls");
        return;
    }
    check_at_most(counts->first, budget, rounds);
    check_at_most(counts->others, others, rounds + ahead);
}

}  // namespace

TEST_CASE("what opening and closing costs" * doctest::skip(sanitized)) {
    Daemon daemon;
    Client owner(daemon);
    Segment segment = owner.create("key", 4096);
    check_client(daemon, open_and_close,
                 {{"sendmsg", 1},  // Open; Detach is put in the queue
                  {"recvmsg", 1},
                  {"fcntl", 1},  // does the memory stay as large
                  {"lseek", 1},  // as it was told to be
                  {"mmap", 1},
                  {"munmap", 1},
                  {"close", 1},
                  {"geteuid", 1},  // is this still who the connection is
                  {"getegid", 1}});
    check_daemon(daemon, open_and_close,
                 {{"epoll_wait", 1},
                  {"epoll_ctl", 1},
                  {"recvmsg", 1},
                  {"sendmsg", 1},
                  {"openat", 1},
                  {"close", 1},
                  {"fcntl", 1},    // is it sealed
                  {"ioctl", 1}});  // has the client read what it was sent before; asked for every fourth
}

TEST_CASE("what a batch costs, its end included" * doctest::skip(sanitized)) {
    Daemon daemon;
    Client owner(daemon);
    std::vector<Segment> made;
    std::vector<std::string> names;
    constexpr int count = 20;
    for (int i = 0; i < count; i++) names.push_back("key" + std::to_string(i));
    std::vector<const char*> keys;
    for (const std::string& name : names) {
        made.push_back(owner.create(name.c_str(), 4096));
        keys.push_back(name.c_str());
    }
    auto open_and_close_all = [&](shmd_client* client) {
        std::vector<shmd_segment*> segments(count);
        if (shmd_open_many(client, keys.data(), keys.size(), SHMD_READ, segments.data(), nullptr) != count) fail(shmd_last_error()->message);
        shmd_close_many(segments.data(), segments.size());
    };
    check_client(daemon, open_and_close_all,
                 {{"sendmsg", 1},  // OpenMany; every Detach is put in the queue
                  {"recvmsg", 4},  // reads grow with the reply
                  {"fcntl", count},
                  {"lseek", count},
                  {"mmap", count},
                  {"munmap", count},
                  {"close", count},
                  {"geteuid", 1},
                  {"getegid", 1}});
}

TEST_CASE("what creating and deleting costs" * doctest::skip(sanitized)) {
    Daemon daemon;
    check_client(daemon, create_and_delete,
                 {{"sendmsg", 3},
                  {"recvmsg", 2},
                  {"fcntl", 1},
                  {"lseek", 1},
                  {"mmap", 1},
                  {"munmap", 1},
                  {"close", 1},
                  {"geteuid", 2},
                  {"getegid", 2}});
    check_daemon(daemon, create_and_delete,
                 {{"epoll_wait", 6},
                  {"epoll_ctl", 3},
                  {"recvmsg", 3},
                  {"sendmsg", 2},
                  {"close", 2},  // the grant when it is sent, and what was kept
                  {"ftruncate", 1},
                  {"fallocate", 1},  // its pages are given back
                  {"fcntl", 3},      // sealed; does somebody have it
                  {"ioctl", 1}},
                 // What the next ones are made of.
                 {{"memfd_create", 1},
                  {"fchmod", 1},
                  {"openat", 2},  // one to keep, one to grant
                  {"fallocate", 1},
                  {"close", 1}});
}

TEST_CASE("what nobody else wants is locked, read and told of without the kernel" * doctest::skip(sanitized)) {
    Daemon daemon;
    Client owner(daemon);
    Segment segment = owner.create("key", 4096);
    auto counts = count_in_child([&](const std::function<void()>& mark) {
        Client client(daemon);
        Segment mine = client.open("key", SHMD_WRITE);
        auto use = [&] {
            std::uint64_t version = 0;
            char copy[64];
            bool good = shmd_lock(mine.get(), -1) == 0 && shmd_unlock(mine.get()) == 0 &&
                        shmd_read_lock(mine.get(), -1) == 0 && shmd_read_unlock(mine.get()) == 0 &&
                        shmd_write_lock(mine.get(), 1'000'000) == 0 && shmd_write_unlock(mine.get()) == 0 &&
                        shmd_begin_write(mine.get(), -1) == 0 && shmd_end_write(mine.get()) == 0 &&
                        shmd_snapshot(mine.get(), 0, copy, sizeof copy, -1) == 0 && shmd_notify(mine.get(), &version) == 0 &&
                        shmd_wait(mine.get(), version - 1, -1, &version) == 0;
            if (!good) fail("a call failed");
        };
        use();
        mark();
        for (int i = 0; i < rounds; i++) use();
        mark();
    });
    if (!counts) {
        MESSAGE("SKIPPED: this machine lets nobody trace system calls");
        return;
    }
    INFO(text_of(*counts));
    CHECK(counts->empty());
}
