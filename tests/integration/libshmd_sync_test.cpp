// The calls of sync.h, as programs use them: locks, write sections, snapshots, versions. What deaths do is sync_death_test's.
#include <doctest/doctest.h>
#include <poll.h>
#include <shmd/sync.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include "libshmd_handles.hpp"
#include "process.hpp"

using namespace shmd::test;

namespace {

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t long_enough = 60 * second;

struct OneSegment {
    Daemon daemon;
    Client client{daemon};
    Segment segment = client.create("key", 4096, nullptr);

    Segment again(shmd_access access = SHMD_WRITE) { return client.open("key", access); }
};

}  // namespace

TEST_CASE("the mutex: held by one, given back by its holder alone") {
    OneSegment one;
    Segment other = one.again();
    CHECK(shmd_unlock(one.segment.get()) == -EPERM);
    REQUIRE(shmd_lock(one.segment.get(), 0) == 0);
    CHECK(shmd_lock(one.segment.get(), 0) == -EDEADLK);
    CHECK(shmd_lock(one.segment.get(), -1) == -EDEADLK);
    CHECK(shmd_lock(other.get(), 0) == -ETIMEDOUT);
    CHECK(shmd_lock(other.get(), 1000) == -ETIMEDOUT);
    CHECK(shmd_unlock(other.get()) == -EPERM);
    CHECK(shmd_unlock(one.segment.get()) == 0);
    CHECK(shmd_unlock(one.segment.get()) == -EPERM);
    CHECK(shmd_lock(other.get(), 0) == 0);
    CHECK(shmd_unlock(other.get()) == 0);
    CHECK(shmd_lock(other.get(), -2) == -EINVAL);
    CHECK(shmd_lock(nullptr, 0) == -EINVAL);
    CHECK(shmd_make_consistent(one.segment.get()) == -EPERM);
}

TEST_CASE("the readers-writer lock: many readers, or one writer") {
    OneSegment one;
    Segment other = one.again();
    CHECK(shmd_read_unlock(one.segment.get()) == -EPERM);
    REQUIRE(shmd_read_lock(one.segment.get(), 0) == 0);
    REQUIRE(shmd_read_lock(one.segment.get(), 0) == 0);
    REQUIRE(shmd_read_lock(other.get(), 0) == 0);
    CHECK(shmd_write_lock(other.get(), 0) == -ETIMEDOUT);
    CHECK(shmd_write_lock(other.get(), 1000) == -ETIMEDOUT);
    CHECK(shmd_read_unlock(one.segment.get()) == 0);
    CHECK(shmd_read_unlock(other.get()) == 0);
    CHECK(shmd_write_lock(other.get(), 0) == -ETIMEDOUT);
    CHECK(shmd_read_unlock(one.segment.get()) == 0);
    REQUIRE(shmd_write_lock(other.get(), 0) == 0);
    CHECK(shmd_read_lock(other.get(), 0) == -EDEADLK);
    CHECK(shmd_read_lock(one.segment.get(), 0) == -ETIMEDOUT);
    CHECK(shmd_write_lock(one.segment.get(), 0) == -ETIMEDOUT);
    CHECK(shmd_write_unlock(one.segment.get()) == -EPERM);
    CHECK(shmd_lock(one.segment.get(), 0) == 0);  // another lock
    CHECK(shmd_write_unlock(other.get()) == 0);
    CHECK(shmd_read_lock(one.segment.get(), 0) == 0);
}

TEST_CASE("a writer that waits keeps new readers out, however long it takes") {
    OneSegment one;
    Segment writer = one.again(), reader = one.again();
    REQUIRE(shmd_read_lock(one.segment.get(), 0) == 0);
    int written = -1;
    std::thread waiting([&] { written = shmd_write_lock(writer.get(), long_enough); });
    // Until it has the word; from then on until it gives up nobody gets in.
    while (shmd_read_lock(reader.get(), 0) == 0) REQUIRE(shmd_read_unlock(reader.get()) == 0);
    CHECK(shmd_read_lock(reader.get(), 2 * second) == -ETIMEDOUT);
    CHECK(shmd_read_unlock(one.segment.get()) == 0);
    waiting.join();
    CHECK(written == 0);
    CHECK(shmd_write_unlock(writer.get()) == 0);
    // And one that gives up lets them in.
    REQUIRE(shmd_read_lock(one.segment.get(), 0) == 0);
    CHECK(shmd_write_lock(writer.get(), 1000) == -ETIMEDOUT);
    CHECK(shmd_read_lock(reader.get(), 0) == 0);
}

TEST_CASE("as many readers as there are slots; the next one waits for its turn") {
    OneSegment one;
    for (int i = 0; i < 896; i++) REQUIRE(shmd_read_lock(one.segment.get(), 0) == 0);
    CHECK(shmd_read_lock(one.segment.get(), 0) == -ETIMEDOUT);
    CHECK(shmd_read_lock(one.segment.get(), 2000) == -ETIMEDOUT);
    REQUIRE(shmd_read_unlock(one.segment.get()) == 0);
    CHECK(shmd_read_lock(one.segment.get(), long_enough) == 0);
    for (int i = 0; i < 896; i++) REQUIRE(shmd_read_unlock(one.segment.get()) == 0);
    CHECK(shmd_read_unlock(one.segment.get()) == -EPERM);
    CHECK(shmd_write_lock(one.segment.get(), 0) == 0);
}

TEST_CASE("what threads and processes do under a lock excludes each other") {
    OneSegment one;
    constexpr int rounds = 20'000;
    struct Counters {
        long mutex, writer, reader_saw;
    };
    auto count = [](shmd_segment* segment) {
        auto* counters = static_cast<Counters*>(shmd_data(segment));
        for (int i = 0; i < rounds; i++) {
            if (shmd_lock(segment, -1) != 0) return 1;
            counters->mutex++;
            if (shmd_unlock(segment) != 0) return 2;
            if (i % 4 != 0) {
                if (shmd_read_lock(segment, -1) != 0) return 3;
                if (counters->writer < counters->reader_saw) return 4;
                if (shmd_read_unlock(segment) != 0) return 5;
                continue;
            }
            if (shmd_write_lock(segment, -1) != 0) return 6;
            counters->writer++;
            counters->reader_saw = counters->writer;
            if (shmd_write_unlock(segment) != 0) return 7;
        }
        return 0;
    };
    ChildProcess child([&](Turns&) {
        Client client(one.daemon);
        Segment segment = client.open("key", SHMD_WRITE);
        return count(segment.get());
    });
    std::array<int, 3> results{};
    std::vector<std::thread> threads;
    for (int& result : results) threads.emplace_back([&] { result = count(one.segment.get()); });
    for (std::thread& thread : threads) thread.join();
    CHECK(child.wait() == 0);
    for (int result : results) CHECK(result == 0);
    const auto& counters = *reinterpret_cast<const Counters*>(one.segment.data());
    CHECK(counters.mutex == 4 * rounds);
    CHECK(counters.writer == rounds);
}

TEST_CASE("threads of one grant that read and write leave no slot behind") {
    OneSegment one;
    auto use = [&](int seed) {
        for (int i = 0; i < 20'000; i++) {
            bool writes = (i + seed) % 5 == 0;
            if ((writes ? shmd_write_lock(one.segment.get(), -1) : shmd_read_lock(one.segment.get(), -1)) != 0) return;
            if ((writes ? shmd_write_unlock(one.segment.get()) : shmd_read_unlock(one.segment.get())) != 0) return;
        }
    };
    std::vector<std::thread> threads;
    for (int seed = 0; seed < 4; seed++) threads.emplace_back(use, seed);
    for (std::thread& thread : threads) thread.join();
    CHECK(shmd_read_unlock(one.segment.get()) == -EPERM);
    CHECK(shmd_write_lock(one.segment.get(), 0) == 0);
}

TEST_CASE("a snapshot is never half of a write section") {
    OneSegment one;
    constexpr std::size_t words = 100;
    std::atomic<bool> enough = false;
    ChildProcess reader([&](Turns& turns) {
        Client client(one.daemon);
        Segment segment = client.open("key", SHMD_READ);
        std::array<long, words> copy{};
        long last = 0;
        turns.signal();
        for (int i = 0; i < 5000; i++) {
            if (shmd_snapshot(segment.get(), 0, copy.data(), sizeof copy, -1) != 0) return 1;
            for (long word : copy) {
                if (word != copy[0]) return 2;
            }
            if (copy[0] < last) return 3;
            last = copy[0];
            std::uint64_t sequence = 0;
            if (shmd_begin_read(segment.get(), -1, &sequence) != 0) return 4;
            const auto* place = static_cast<const long*>(shmd_data(segment.get()));
            long first = __atomic_load_n(place, __ATOMIC_RELAXED);
            long other = __atomic_load_n(place + words - 1, __ATOMIC_RELAXED);
            if (shmd_end_read(segment.get(), sequence) == 0 && first != other) return 5;
        }
        return 0;
    });
    reader.wait_for_byte();
    std::thread writer([&] {
        auto* place = reinterpret_cast<long*>(one.segment.data());
        for (long i = 1; !enough; i++) {
            if (shmd_begin_write(one.segment.get(), -1) != 0) return;
            for (std::size_t word = 0; word < words; word++) __atomic_store_n(place + word, i, __ATOMIC_RELAXED);
            if (shmd_end_write(one.segment.get()) != 0) return;
        }
    });
    int status = reader.wait();
    enough = true;
    writer.join();
    CHECK(status == 0);
    std::array<char, 10> small{};
    CHECK(shmd_snapshot(one.segment.get(), 4090, small.data(), 6, 0) == 0);
    CHECK(shmd_snapshot(one.segment.get(), 4090, small.data(), 7, 0) == -EINVAL);
    CHECK(shmd_snapshot(one.segment.get(), UINT64_MAX, small.data(), 2, 0) == -EINVAL);
    REQUIRE(shmd_begin_write(one.segment.get(), 0) == 0);
    CHECK(shmd_snapshot(one.segment.get(), 0, small.data(), 1, 1000) == -ETIMEDOUT);
    CHECK(shmd_end_write(one.segment.get()) == 0);
}

TEST_CASE("versions: notified, waited for, by readers too") {
    OneSegment one;
    Segment reader = one.again(SHMD_READ);
    std::uint64_t version = 7;
    REQUIRE(shmd_get_version(reader.get(), &version) == 0);
    CHECK(version == 0);
    CHECK(shmd_wait(reader.get(), 0, 0, &version) == -ETIMEDOUT);
    CHECK(shmd_wait(one.segment.get(), 0, 1000, nullptr) == -ETIMEDOUT);
    REQUIRE(shmd_notify(one.segment.get(), &version) == 0);
    CHECK(version == 1);
    CHECK(shmd_wait(reader.get(), 0, 0, &version) == 0);
    CHECK(version == 1);

    // Back and forth: a wake-up that got lost would show as a wait of a second.
    constexpr std::uint64_t rounds = 2000;
    for (shmd_access access : {SHMD_READ, SHMD_WRITE}) {
        Segment ping = one.client.create(nullptr, 1);
        Segment pong = one.client.create(nullptr, 1);
        std::thread answerer([&, access] {
            shmd_segment* mine = nullptr;
            REQUIRE(shmd_open_id(one.client.get(), shmd_segment_info(ping.get())->id, access, &mine) == 0);
            for (std::uint64_t i = 0; i < rounds; i++) {
                if (shmd_wait(mine, i, long_enough, nullptr) != 0) break;
                shmd_notify(pong.get(), nullptr);
            }
            shmd_close(mine);
        });
        for (std::uint64_t i = 0; i < rounds; i++) {
            REQUIRE(shmd_notify(ping.get(), nullptr) == 0);
            REQUIRE(shmd_wait(pong.get(), i, long_enough, nullptr) == 0);
        }
        answerer.join();
    }
}

TEST_CASE("a descriptor tells of new versions, as often as they come") {
    OneSegment one;
    for (shmd_access access : {SHMD_READ, SHMD_WRITE}) {
        Segment waiter = one.again(access);
        int fd = shmd_notification_fd(waiter.get());
        REQUIRE(fd >= 0);
        CHECK(shmd_notification_fd(waiter.get()) == fd);
        pollfd ready{fd, POLLIN, 0};
        CHECK(::poll(&ready, 1, 0) == 0);
        for (int i = 0; i < 100; i++) {
            REQUIRE(shmd_notify(one.segment.get(), nullptr) == 0);
            REQUIRE(::poll(&ready, 1, 60'000) == 1);
            std::uint64_t count = 0;
            REQUIRE(::read(fd, &count, sizeof count) == sizeof count);
        }
    }
}

TEST_CASE("who may only read takes no locks and notifies nobody, whatever user it is") {
    OneSegment one;
    Segment reader = one.again(SHMD_READ);
    CHECK(shmd_lock(reader.get(), 0) == -EACCES);
    CHECK(shmd_unlock(reader.get()) == -EPERM);
    CHECK(shmd_read_lock(reader.get(), 0) == -EACCES);
    CHECK(shmd_read_unlock(reader.get()) == -EPERM);
    CHECK(shmd_write_lock(reader.get(), 0) == -EACCES);
    CHECK(shmd_begin_write(reader.get(), 0) == -EACCES);
    CHECK(shmd_end_write(reader.get()) == -EPERM);
    CHECK(shmd_notify(reader.get(), nullptr) == -EACCES);
    CHECK(shmd_make_consistent(reader.get()) == -EPERM);
}

TEST_CASE("a child made by fork(2) has none of its parent's locks") {
    OneSegment one;
    REQUIRE(shmd_lock(one.segment.get(), 0) == 0);
    REQUIRE(shmd_notification_fd(one.segment.get()) >= 0);
    ChildProcess child([&](Turns&) {
        std::uint64_t version = 0;
        if (shmd_unlock(one.segment.get()) != -EPERM) return 1;
        if (shmd_lock(one.segment.get(), 0) != -EPERM) return 2;
        if (shmd_wait(one.segment.get(), 0, 0, &version) != -EPERM) return 3;
        if (shmd_notify(one.segment.get(), nullptr) != -EPERM) return 4;
        Segment own = one.again();
        if (shmd_lock(own.get(), 0) != -ETIMEDOUT) return 5;
        one.segment.close();  // only unmaps
        return shmd_lock(own.get(), 0) == -ETIMEDOUT ? 0 : 6;
    });
    CHECK(child.wait() == 0);
    CHECK(shmd_unlock(one.segment.get()) == 0);
}

TEST_CASE("after sealing, the content is waited for and read; there is nothing to lock") {
    OneSegment one;
    REQUIRE(shmd_lock(one.segment.get(), 0) == 0);
    REQUIRE(shmd_unlock(one.segment.get()) == 0);
    REQUIRE(shmd_seal_segment(one.segment.get()) == 0);
    CHECK(shmd_lock(one.segment.get(), 0) == -EACCES);
    std::array<char, 8> bytes{};
    CHECK(shmd_snapshot(one.segment.get(), 0, bytes.data(), bytes.size(), 0) == 0);
}
