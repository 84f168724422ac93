// Producers and consumers of a ring in processes that are killed, and rings that somebody has spoiled: no torn record is ever
// read, everybody else goes on, and nobody crashes.
//
//   SHMD_RING_KILLS=1000 SHMD_RING_SEED=7 ring_death_test      more kills, or the same again
#include <doctest/doctest.h>
#include <shmd/ring.hpp>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
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
namespace detail = shmd::ring::detail;

namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

// What a record of the processes begins with; the rest is told from it.
struct Stamp {
    std::uint64_t producer, number, size;

    [[nodiscard]] std::uint64_t seed() const { return producer * 1'000'003 + number; }
};
constexpr std::uint64_t the_end = UINT64_MAX;

void write_stamped(std::span<std::byte> to, std::uint64_t producer, std::uint64_t number) {
    Stamp stamp{producer, number, to.size()};
    std::memcpy(to.data(), &stamp, sizeof stamp);
    fill_record(to.subspan(sizeof stamp), stamp.seed());
}

// Follows what comes: every record must be whole, and each producer's in their order.
class Reader {
  public:
    explicit Reader(Consumer consumer) : consumer_(std::move(consumer)) {}

    // False when it is no such record, or not the one that must come.
    bool read(std::chrono::seconds timeout = patience) {
        auto record = consumer_.next(timeout);
        if (!record || record->data.size() < sizeof(Stamp)) return false;
        std::memcpy(&last_, record->data.data(), sizeof last_);
        if (record->lost > 0) numbers_.clear();
        if (records++ == 0) first_ = record->sequence - record->lost;
        lost += record->lost;
        if (record->sequence != first_ + records + lost - 1) return false;
        auto known = numbers_.find(last_.producer);
        if (known != numbers_.end() && last_.number != known->second + 1) return false;
        numbers_[last_.producer] = last_.number;
        return is_record(record->data.subspan(sizeof last_), last_.seed(), last_.size - sizeof last_);
    }
    [[nodiscard]] bool at_end() const { return last_.producer == the_end; }

    std::uint64_t records = 0, lost = 0;

  private:
    Consumer consumer_;
    Stamp last_{};
    std::uint64_t first_ = 0;
    std::map<std::uint64_t, std::uint64_t> numbers_;
};

// Until it is killed, or this many records. Small and large ones, by all ways there are.
int produce(const std::string& socket, std::uint64_t id, std::uint64_t seed, Producers producers,
            std::uint64_t count = UINT64_MAX) {
    std::mt19937_64 random(seed + id);
    shmd::Client client(socket);
    Producer producer(client.open_write("ring"), {.producers = producers});
    auto size = [&]() -> std::size_t {
        std::size_t below = random() % 8 == 0 ? producer.max_record_size() - sizeof(Stamp) : 2000;
        return sizeof(Stamp) + random() % below;
    };
    std::vector<std::byte> data;
    for (std::uint64_t i = 0; i < count;) {
        std::optional<Producer::Batch> batch;
        std::uint64_t many = 1;
        if (random() % 4 == 0) {
            batch.emplace(producer);
            many = std::min(count - i, 1 + random() % 20);
        }
        for (; many > 0; many--, i++) {
            std::size_t bytes = size();
            if (random() % 2 == 0) {
                data.resize(bytes);
                write_stamped(data, id, i);
                producer.push(data);
            } else {
                write_stamped(producer.reserve(bytes), id, i);
                producer.commit();
            }
        }
    }
    return 0;
}

// Reads to the end: the exit status says whether all was as it must be.
int follow(const std::string& socket) {
    Reader reader{Consumer(shmd::Client(socket).open_read("ring"))};
    while (!reader.at_end()) {
        if (!reader.read()) return 1;
    }
    return 0;
}

void push_end(shmd::Client& client) {
    Producer producer(client.open_write("ring"), {.timeout = 60s});
    std::vector<std::byte> data(sizeof(Stamp));
    write_stamped(data, the_end, 0);
    producer.push(data);
}

}  // namespace

TEST_CASE("many producers in processes: every consumer reads or has lost each record") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    { Producer format(client.create("ring", 1 << 18)); }
    constexpr std::uint64_t producers = 4, each = 1500;
    std::vector<std::unique_ptr<ChildProcess>> consumers, children;
    Reader reader{Consumer(client.open_read("ring"))};
    for (int i = 0; i < 2; i++) {
        consumers.push_back(std::make_unique<ChildProcess>([&](Turns&) { return follow(daemon.socket()); }));
    }
    for (std::uint64_t id = 0; id < producers; id++) {
        children.push_back(std::make_unique<ChildProcess>(
            [&, id](Turns&) { return produce(daemon.socket(), id, 1, Producers::shared, each); }));
    }
    while (reader.records + reader.lost < producers * each) REQUIRE(reader.read());
    CHECK(reader.records + reader.lost == producers * each);
    for (auto& child : children) CHECK(child->wait() == 0);
    push_end(client);
    for (auto& consumer : consumers) CHECK(consumer->wait() == 0);
}

TEST_CASE("producers are killed at random moments: no record is torn, and the others go on") {
    const std::uint64_t seed = from_environment("SHMD_RING_SEED", std::random_device{}());
    const std::uint64_t kills = from_environment("SHMD_RING_KILLS", 40);
    Producers mode = Producers::shared;
    SUBCASE("shared") {}
    SUBCASE("exclusive, with one that waits for the other's end") { mode = Producers::exclusive; }
    MESSAGE("SHMD_RING_SEED=", seed, " SHMD_RING_KILLS=", kills);
    std::mt19937_64 random(seed);
    Daemon daemon;
    shmd::Client client(daemon.socket());
    { Producer format(client.create("ring", 1 << 18)); }
    Reader reader{Consumer(client.open_read("ring"))};
    ChildProcess follower([&](Turns&) { return follow(daemon.socket()); });
    std::uint64_t id = 0;
    auto start = [&] {
        std::uint64_t own = id++;
        return std::make_unique<ChildProcess>([&, own](Turns&) { return produce(daemon.socket(), own, seed, mode); });
    };
    std::unique_ptr<ChildProcess> producers[] = {start(), start(), start()};
    for (std::uint64_t i = 0; i < kills; i++) {
        for (std::uint64_t reads = random() % 60; reads > 0; reads--) REQUIRE(reader.read());
        auto& chosen = producers[random() % 3];
        chosen->kill();
        REQUIRE(reader.read());
        chosen = start();
    }
    for (auto& producer : producers) producer->kill();
    push_end(client);
    while (!reader.at_end()) REQUIRE(reader.read());
    CHECK(follower.wait() == 0);
    MESSAGE(reader.records, " records read, ", reader.lost, " lost");
}

TEST_CASE("a producer that died in a batch has written nothing") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    Producers mode = Producers::shared;
    SUBCASE("shared") {}
    SUBCASE("exclusive") { mode = Producers::exclusive; }
    {
        Producer first(client.create("ring", 256 + 1024));
        for (std::uint64_t i = 0; i < 40; i++) first.push(make_record(i, 16));
    }
    Consumer consumer(client.open_read("ring"));
    for (std::uint64_t i = 8; i < 40; i++) REQUIRE(consumer.next(0s)->sequence == i);
    ChildProcess child([&](Turns& turns) {
        shmd::Client own(daemon.socket());
        Producer producer(own.open_write("ring"), {.producers = mode});
        auto batch = producer.batch();
        for (std::uint64_t i = 0; i < 5; i++) producer.push(make_record(99, 20));
        (void)producer.reserve(100);
        turns.signal();
        turns.wait();
        return 0;
    });
    child.wait_for_byte();
    CHECK_FALSE(consumer.next(0s));
    Consumer oldest(client.open_read("ring"));
    child.kill();
    Producer next(client.open_write("ring"), {.timeout = 60s});
    CHECK_FALSE(consumer.next(0s));
    next.push(make_record(40, 30));
    auto record = consumer.next(0s);
    REQUIRE(record);
    CHECK((record->sequence == 40 && record->lost == 0 && is_record(record->data, 40, 30)));
    // What it pushed out is gone, and nothing else.
    record = oldest.next(0s);
    REQUIRE(record);
    CHECK(record->lost == 0);
    CHECK(is_record(record->data, record->sequence, 16));
    CHECK(record->sequence > 8);
}

TEST_CASE("a producer that died between any two of its steps") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    Producer(client.create("ring", 4096)).push(make_record(0, 10));
    Consumer consumer(client.open_read("ring"));
    std::uint64_t number = 1;
    for (int steps = 0; steps < 6; steps++) {
        CAPTURE(steps);
        ChildProcess child([&](Turns& turns) {
            auto segment = shmd::Client(daemon.socket()).open_write("ring");
            detail::Ring ring(segment.data(), segment.size());
            if (shmd_lock(segment.get(), -1) < 0) return 1;
            ring.check();
            std::uint64_t head = ring.published();
            auto mark = ring.mark_of(head);
            if (steps > 0) ring.raise_oldest(head);
            if (steps > 1) std::memset(ring.data(head), 0xff, 500);
            if (steps > 2) ring.write_head(head, {5, 0, mark->sequence});
            if (steps > 3) ring.write_mark(1 - mark->number, head + 32, mark->sequence + 1);
            if (steps > 4) ring.raise_published(head + 32);
            turns.signal();
            turns.wait();
            return 0;
        });
        child.wait_for_byte();
        child.kill();
        Producer next(client.open_write("ring"), {.timeout = 60s});
        if (steps > 4) number++;
        next.push(make_record(number, 100));
        auto late = Consumer(client.open_read("ring"), From::oldest).next(0s);
        REQUIRE(late);
        CHECK(late->sequence == (steps == 0 ? 0 : steps > 4 ? number - 1 : number));
        if (steps == 0) CHECK(consumer.next(0s)->sequence == 0);
        if (steps > 4) CHECK(consumer.next(0s)->data.size() == 5);
        auto record = consumer.next(0s);
        REQUIRE(record);
        CHECK((record->sequence == number && record->lost == 0 && is_record(record->data, number, 100)));
        number++;
    }
}

TEST_CASE("consumers are killed, and nothing happens") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    Producer producer(client.create("ring", 1 << 16));
    producer.push(make_record(7, 100));
    Consumer other(client.open_read("ring"));
    for (bool read_only : {true, false}) {
        for (bool waiting : {true, false}) {
            ChildProcess child([&](Turns& turns) {
                shmd::Client own(daemon.socket());
                Consumer consumer = read_only ? Consumer(own.open_read("ring")) : Consumer(own.open_write("ring"));
                if (!consumer.peek()) return 1;
                turns.signal();
                while (waiting) (void)consumer.next();
                turns.wait();
                return 0;
            });
            child.wait_for_byte();
            producer.push(make_record(7, 100));
            child.kill();
            for (int i = 0; i < 1000; i++) producer.push(make_record(7, 100));
            while (auto record = other.next(0s)) CHECK(is_record(record->data, 7, 100));
        }
    }
}

TEST_CASE("another user who may only read" * doctest::skip(!is_root())) {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    Producer producer(client.create("ring", 4096, {.mode = 0644}));
    producer.push(make_record(0, 100));
    ChildProcess child(User{12345, 12345}, [&](Turns& turns) {
        shmd::Client own(daemon.socket());
        Consumer consumer(own.open_read("ring"));
        auto record = consumer.next(0s);
        if (!record || !is_record(record->data, 0, 100)) return 1;
        turns.signal();
        record = consumer.next(patience);
        if (!record || !is_record(record->data, 1, 200)) return 2;
        try {
            (void)own.open_write("ring");
        } catch (const shmd::Error& error) {
            return error.code().value() == EACCES ? 0 : 3;
        }
        return 4;
    });
    child.wait_for_byte();
    producer.push(make_record(1, 200));
    CHECK(child.wait() == 0);
}

namespace {

void check_refusal(const shmd::Error& error) {
    int code = error.code().value();
    CHECK((code == EBADMSG || code == EBADFD || code == ENOTSUP || code == EMSGSIZE));
}

// Reads so often, and every byte of what it is given.
std::uint64_t read_all(shmd::Client& client, int times) {
    std::uint64_t seen = 0;
    try {
        Consumer consumer(client.open_read("ring"), times % 2 == 0 ? From::oldest : From::newest);
        for (int i = 0; i < times; i++) {
            auto record = i % 3 == 0 ? consumer.peek() : consumer.next(0s);
            if (!record) continue;
            for (std::byte byte : record->data) seen += std::to_integer<std::uint64_t>(byte) + 1;
            if (i % 3 == 0) (void)consumer.advance();
        }
    } catch (const shmd::Error& error) {
        check_refusal(error);
    }
    return seen;
}

}  // namespace

TEST_CASE("a spoiled ring gives errors or records, to consumers and producers") {
    const std::uint64_t seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    Daemon daemon;
    shmd::Client client(daemon.socket());
    // It ends with its page.
    auto segment = client.create("ring", 4096);
    const std::uint64_t words[] = {0,    1,    2,          7,          8,          16,         32,    255,   3840,
                                   3841, 3856, 0xfffffff0, 0xffffffff, 1ull << 32, 1ull << 61, ~0ull, ~15ull};
    std::uint64_t seen = 0;
    for (int i = 0; i < 3000; i++) {
        auto bytes = segment.bytes();
        std::memset(bytes.data(), 0, bytes.size());
        {
            Producer producer(client.open_write("ring"));
            for (std::uint64_t count = random() % 60; count > 0; count--) producer.push(make_record(count, random() % 300));
        }
        for (std::uint64_t count = 1 + random() % 5; count > 0; count--) {
            std::uint64_t word = random() % 2 == 0 ? words[random() % std::size(words)] : random();
            // Half of it in the head, where it matters most.
            std::size_t place = random() % 2 == 0 ? random() % 20 * 8 : random() % 510 * 8 + random() % 2 * 4;
            std::memcpy(bytes.data() + place, &word, random() % 2 == 0 ? 8 : 1);
        }
        if (i % 50 == 0) {
            for (std::size_t at = 16; at < bytes.size(); at++) bytes[at] = static_cast<std::byte>(random());
        }
        seen += read_all(client, 99 + i % 2);
        try {
            Producer producer(client.open_write("ring"));
            for (std::uint64_t count = 0; count < 20; count++) producer.push(make_record(count, random() % 300));
            seen += read_all(client, 100);
        } catch (const shmd::Error& error) {
            check_refusal(error);
        }
    }
    CHECK(seen > 0);
}

TEST_CASE("a ring that is spoiled all the time, while it is read") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    auto segment = client.create("ring", 4096);
    { Producer format(client.open_write("ring")); }
    std::atomic<bool> over = false;
    std::thread hostile([&] {
        std::mt19937_64 random(1);
        auto words = segment.span_of<std::uint64_t>();
        while (!over) {
            std::uint64_t position = random() % 1024 * 16;
            __atomic_store_n(&words[9], position + random() % 4096 / 16 * 16, __ATOMIC_RELAXED);
            __atomic_store_n(&words[8], position, __ATOMIC_RELAXED);
            __atomic_store_n(&words[16 + random() % 4], position, __ATOMIC_RELAXED);
            __atomic_store_n(&words[32 + random() % 240 * 2], random() % 300, __ATOMIC_RELAXED);
        }
    });
    std::uint64_t seen = 0;
    for (int i = 0; i < 2000; i++) seen += read_all(client, 1000 + i % 2);
    over = true;
    hostile.join();
    MESSAGE(seen, " bytes were given");
}
