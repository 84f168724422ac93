// <shmd/ring.hpp> against the real daemon: what is written is what every consumer reads, or is told that it has lost.
// Deaths and hostile writers are ring_death_test's.
#include <doctest/doctest.h>
#include <shmd/ring.hpp>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "daemon_fixture.hpp"
#include "process.hpp"
#include "ring_records.hpp"

using namespace shmd::test;
using namespace std::chrono_literals;
using shmd::ring::Consumer;
using shmd::ring::From;
using shmd::ring::Producer;
using shmd::ring::Producers;

namespace {

constexpr std::size_t header_bytes = 256;

static_assert(!std::is_copy_constructible_v<Producer> && std::is_nothrow_move_constructible_v<Producer>);
static_assert(!std::is_copy_constructible_v<Consumer> && std::is_nothrow_move_constructible_v<Consumer>);

struct Bed {
    Daemon daemon{};
    shmd::Client client{daemon.socket()};

    // With so many bytes of data.
    Producer producer(std::size_t capacity, Producers producers = Producers::exclusive) {
        return Producer(client.create("ring", header_bytes + capacity, {.create_mode = shmd::CreateMode::any}),
                        {.producers = producers, .timeout = 60s});
    }
    Consumer consumer(From from = From::oldest) { return Consumer(client.open_read("ring"), from); }
};

template <typename F>
int code_of(F function) {
    try {
        function();
    } catch (const shmd::Error& error) {
        CHECK(std::string(error.what()) != "");
        return error.code().value();
    }
    return 0;
}

// Reads one, which must be the record of this number, after so many lost ones.
void expect(Consumer& consumer, std::uint64_t number, std::size_t size, std::uint64_t lost = 0) {
    auto record = consumer.next(0s);
    REQUIRE(record);
    CHECK(record->sequence == number);
    CHECK(record->lost == lost);
    CHECK(is_record(record->data, number, size));
}

}  // namespace

TEST_CASE("every consumer sees every record, from the oldest or from the newest") {
    Bed bed;
    Producer producer = bed.producer(4096);
    Consumer first = bed.consumer(), writable(bed.client.open_write("ring"));
    CHECK_FALSE(first.next(0s));
    for (std::uint64_t i = 0; i < 5; i++) producer.push(make_record(i, 10 * i));
    Consumer newest = bed.consumer(From::newest), late = bed.consumer();
    producer.push(make_record(5, 50));
    for (Consumer* consumer : {&first, &writable, &late}) {
        for (std::uint64_t i = 0; i < 6; i++) expect(*consumer, i, 10 * i);
        CHECK_FALSE(consumer->next(0s));
    }
    expect(newest, 5, 50);
    CHECK_FALSE(newest.next(0s));
    newest.seek(From::oldest);
    expect(newest, 0, 0);
    newest.seek(From::newest);
    CHECK_FALSE(newest.next(0s));
}

TEST_CASE("records of every size go round at every offset") {
    Bed bed;
    constexpr std::size_t capacity = 192;
    Producer producer = bed.producer(capacity);
    Consumer consumer = bed.consumer();
    REQUIRE(producer.max_record_size() == capacity - 16);
    std::uint64_t number = 0;
    for (std::size_t size = 0; size <= producer.max_record_size(); size++) {
        // One more of 16 bytes each time: all of the ring's places have come after twelve.
        for (std::size_t place = 0; place < capacity / 16; place++) {
            producer.push(make_record(number, size));
            expect(consumer, number++, size);
            producer.push(make_record(number, 0));
            expect(consumer, number++, 0);
            CHECK_FALSE(consumer.next(0s));
        }
    }
}

TEST_CASE("what is too large or too small is refused, and nothing of it is seen") {
    Bed bed;
    Producer producer = bed.producer(1024);
    Consumer consumer = bed.consumer();
    const std::size_t most = producer.max_record_size();
    CHECK(most == 1008);
    CHECK(code_of([&] { producer.push(make_record(0, most + 1)); }) == EMSGSIZE);
    producer.push(make_record(0, most));
    expect(consumer, 0, most);
    producer.push(make_record(1, 5));
    CHECK(code_of([&] { (void)producer.reserve(SIZE_MAX); }) == EMSGSIZE);
    producer.push(make_record(2, most));
    // The other one was pushed out.
    expect(consumer, 2, most, 1);

    for (std::size_t size : {1, 255, 256, 287}) {
        CHECK(code_of([&] { Producer refused(bed.client.create(nullptr, size)); }) == EINVAL);
        CHECK(code_of([&] { Consumer refused(bed.client.create(nullptr, size)); }) == EBADFD);
    }
    CHECK(Producer(bed.client.create(nullptr, 288)).max_record_size() == 16);
}

TEST_CASE("a segment that is no ring, or one of another format, is left alone") {
    Bed bed;
    auto segment = bed.client.create("other", 4096);
    CHECK(code_of([&] { Consumer refused(bed.client.open_read("other")); }) == EBADFD);
    segment.span_of<char>()[0] = 'x';
    CHECK(code_of([&] { Producer refused(bed.client.open_write("other")); }) == EBADFD);
    CHECK(code_of([&] { Consumer refused(bed.client.open_read("other")); }) == EBADFD);
    segment.span_of<char>()[0] = 0;
    // The one before died while it formatted.
    segment.span_of<std::uint32_t>()[2] = 1;
    segment.span_of<std::uint64_t>()[9] = 77;
    Producer(bed.client.open_write("other")).push(make_record(0, 3));
    CHECK(segment.span_of<std::uint64_t>()[9] == 32);
    segment.span_of<std::uint32_t>()[2] = 2;
    CHECK(code_of([&] { Producer refused(bed.client.open_write("other")); }) == ENOTSUP);
    CHECK(code_of([&] { Consumer refused(bed.client.open_read("other")); }) == ENOTSUP);
}

TEST_CASE("the layout is that of RING.md") {
    Bed bed;
    Producer producer = bed.producer(64);
    producer.push(make_record(0, 8));   // 0 to 32
    producer.push(make_record(1, 1));   // 32 to 64
    producer.push(make_record(2, 16));  // again, and pushes out the first
    auto segment = bed.client.open_read("ring");
    auto words = segment.span_of<std::uint64_t>();
    auto halves = segment.span_of<std::uint32_t>();
    CHECK(std::memcmp(segment.data(), "shmdring\1\0\0\0\0\0\0\0", 16) == 0);
    CHECK(words[2] == 64);   // capacity
    CHECK(words[8] == 32);   // oldest
    CHECK(words[9] == 96);   // published
    CHECK(words[16] == 64);  // the mark of before
    CHECK(words[17] == 2);
    CHECK(words[18] == 96);  // the one in use
    CHECK(words[19] == 3);
    CHECK(halves[64] == 16);  // the head at 256
    CHECK(halves[65] == 0);
    CHECK(words[33] == 2);
    CHECK(is_record(segment.bytes().subspan(272, 16), 2, 16));
    producer.push(make_record(3, 0));
    producer.push(make_record(4, 17));  // does not fit into the 16 bytes that are left: a pad of a head alone
    CHECK(halves[76] == 0);
    CHECK(halves[77] == 1);
    CHECK(words[39] == 4);
}

TEST_CASE("a consumer that is too slow is told how many it has lost, and goes on with the oldest") {
    Bed bed;
    Producer producer = bed.producer(320);  // ten records of 32 bytes
    Consumer consumer = bed.consumer(), newest = bed.consumer(From::newest);
    for (std::uint64_t i = 0; i < 10; i++) producer.push(make_record(i, 16));
    expect(consumer, 0, 16);
    producer.push(make_record(10, 16));
    expect(consumer, 1, 16);  // 0 has gone, which it has read
    for (std::uint64_t i = 11; i < 37; i++) producer.push(make_record(i, 16));
    expect(consumer, 27, 16, 25);
    for (std::uint64_t i = 28; i < 37; i++) expect(consumer, i, 16);
    CHECK_FALSE(consumer.next(0s));
    expect(newest, 27, 16, 27);
    // All that there was is pushed out by one.
    producer.push(make_record(37, 300));
    expect(newest, 37, 300, 9);
}

TEST_CASE("consumers of any speed: what was read and what was lost is what there was") {
    const std::uint64_t seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    Bed bed;
    auto pick = [&](std::size_t below) { return std::uniform_int_distribution<std::size_t>(0, below - 1)(random); };
    Producer producer = bed.producer(16 * (8 + pick(64)));
    std::vector<Consumer> consumers;
    std::vector<std::uint64_t> next(4);
    for (int i = 0; i < 4; i++) consumers.push_back(bed.consumer());
    std::vector<std::size_t> sizes;
    for (int turn = 0; turn < 20'000; turn++) {
        std::size_t many = pick(4);
        std::optional<Producer::Batch> batch;
        if (pick(3) == 0) batch.emplace(producer);
        for (std::size_t i = 0; i < many; i++) {
            sizes.push_back(pick(pick(10) == 0 ? producer.max_record_size() + 1 : 40));
            producer.push(make_record(sizes.size() - 1, sizes.back()));
        }
        batch.reset();
        for (std::size_t i = 0; i < consumers.size(); i++) {
            // The last one hardly ever reads.
            for (std::size_t reads = pick(i == 3 ? 2 : 6); reads > 0; reads--) {
                bool in_place = pick(2) == 0;
                auto record = in_place ? consumers[i].peek() : consumers[i].next(0s);
                if (!record) {
                    REQUIRE(next[i] == sizes.size());
                    break;
                }
                REQUIRE(record->sequence == next[i] + record->lost);
                REQUIRE(is_record(record->data, record->sequence, sizes.at(record->sequence)));
                if (in_place) REQUIRE(consumers[i].advance());
                next[i] = record->sequence + 1;
            }
        }
    }
}

TEST_CASE("a record can be written in place, shortened, and dropped") {
    Bed bed;
    Producer producer = bed.producer(1024);
    Consumer consumer = bed.consumer();
    auto write = [&](std::size_t size, std::uint64_t number, std::size_t used) {
        std::span<std::byte> place = producer.reserve(size);
        REQUIRE(place.size() == size);
        CHECK(reinterpret_cast<std::uintptr_t>(place.data()) % 16 == 0);
        auto record = make_record(number, used);
        std::copy(record.begin(), record.end(), place.begin());
    };
    write(100, 0, 100);
    CHECK_FALSE(consumer.next(0s));
    CHECK(code_of([&] { (void)producer.reserve(1); }) == EINVAL);
    producer.commit();
    expect(consumer, 0, 100);
    write(500, 9, 500);
    producer.cancel();
    CHECK_FALSE(consumer.next(0s));
    write(600, 1, 40);
    CHECK(code_of([&] { producer.commit(601); }) == EINVAL);
    producer.commit(40);
    expect(consumer, 1, 40);
    CHECK(code_of([&] { producer.commit(); }) == EINVAL);
    // What is reserved by one that goes away is nobody's.
    write(10, 2, 10);
    {
        Producer moved = std::move(producer);
    }
    CHECK_FALSE(consumer.next(0s));
    Producer another = bed.producer(1024);
    another.push(make_record(2, 11));
    expect(consumer, 2, 11);
}

TEST_CASE("a record can be read in place, and whoever does so is told when it was overwritten") {
    Bed bed;
    Producer producer = bed.producer(256);
    Consumer consumer = bed.consumer();
    producer.push(make_record(0, 100));
    producer.push(make_record(1, 16));
    auto record = consumer.peek();
    REQUIRE(record);
    CHECK(is_record(record->data, 0, 100));
    CHECK(consumer.peek()->sequence == 0);
    CHECK(consumer.advance());
    CHECK(code_of([&] { (void)consumer.advance(); }) == EINVAL);
    record = consumer.peek();
    REQUIRE(record);
    for (std::uint64_t i = 2; i < 12; i++) producer.push(make_record(i, 16));
    CHECK_FALSE(is_record(record->data, 1, 16));
    CHECK_FALSE(consumer.advance());
    // It was not read, so it is lost.
    expect(consumer, 4, 16, 3);
}

TEST_CASE("a batch is seen at once, with one notification, and in parts when it is larger than the ring") {
    Bed bed;
    Producer producer = bed.producer(1024, Producers::shared);
    Consumer consumer = bed.consumer();
    auto version = [&] {
        std::uint64_t now = 0;
        REQUIRE(shmd_get_version(consumer.get(), &now) == 0);
        return now;
    };
    std::uint64_t before = version();
    {
        auto batch = producer.batch();
        auto inner = producer.batch();
        for (std::uint64_t i = 0; i < 10; i++) producer.push(make_record(i, 20));
        CHECK_FALSE(consumer.next(0s));
        CHECK(version() == before);
        // The lock is held for all of it.
        CHECK(shmd_lock(shmd::Client(bed.daemon.socket()).open_write("ring").get(), 0) == -ETIMEDOUT);
    }
    CHECK(version() == before + 1);
    for (std::uint64_t i = 0; i < 10; i++) expect(consumer, i, 20);
    {
        auto batch = producer.batch();
        for (std::uint64_t i = 10; i < 100; i++) producer.push(make_record(i, 20));
    }
    CHECK(version() == before + 2);
    auto record = consumer.next(0s);
    REQUIRE(record);
    CHECK(record->lost + 10 == record->sequence);
    while ((record = consumer.next(0s))) CHECK(record->lost == 0);
    {
        auto nothing = producer.batch();
    }
    CHECK(version() == before + 2);
}

TEST_CASE("one exclusive producer at a time, and the next goes on where it ended") {
    Bed bed;
    std::optional<Producer> first(bed.producer(256));
    first->push(make_record(0, 50));
    CHECK(code_of([&] { Producer refused(bed.client.open_write("ring"), {.timeout = 0s}); }) == ETIMEDOUT);
    Producer shared = [&] {
        first.reset();
        return Producer(bed.client.open_write("ring"), {.producers = Producers::shared, .timeout = 0s});
    }();
    shared.push(make_record(1, 50));
    first.emplace(bed.producer(256));
    CHECK(code_of([&] { shared.push(make_record(9, 1)); }) == ETIMEDOUT);
    first->push(make_record(2, 50));
    first.reset();
    shared.push(make_record(3, 5));
    Consumer consumer = bed.consumer();
    for (std::uint64_t i : {1, 2}) expect(consumer, i, 50);
    expect(consumer, 3, 5);
}

TEST_CASE("consumers sleep until there is something, with any access") {
    Bed bed;
    Producer producer = bed.producer(4096);
    CHECK_FALSE(bed.consumer().next(1ms));
    CHECK_FALSE(bed.consumer().wait(0s));
    for (bool read_only : {true, false}) {
        Consumer consumer = read_only ? bed.consumer(From::newest) : Consumer(bed.client.open_write("ring"), From::newest);
        const int fd = consumer.notification_fd();
        CHECK(fd >= 0);
        for (std::uint64_t i = 0; i < 200; i++) {
            std::thread later([&] { producer.push(make_record(i, 8)); });
            auto record = i % 2 == 0 ? consumer.next() : consumer.next(60s).value();
            later.join();
            REQUIRE(is_record(record.data, i, 8));
        }
    }
    // Published by one that died before it notified.
    Consumer consumer = bed.consumer(From::newest);
    auto segment = bed.client.open_write("ring");
    shmd::ring::detail::Ring ring(segment.data(), segment.size());
    ring.check();
    std::uint64_t position = ring.published();
    ring.write_head(position, {0, 0, 400});
    std::thread later([&] { ring.raise_published(position + 16); });
    CHECK(consumer.next(60s));
    later.join();
}
