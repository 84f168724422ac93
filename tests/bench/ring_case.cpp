#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <shmd/ring.hpp>
#include <span>
#include <string>
#include <vector>

#include "cases.hpp"
#include "daemon_fixture.hpp"
#include "placement.hpp"

namespace shmd::bench {
namespace {

struct Shape {
    std::size_t bytes;
    const char* name;
    int burst;        // records that are under way at once, less than the ring has room for
    int round_trips;  // in a block
};

constexpr Shape shapes[] = {
    {64, "64 B", 5000, 500},
    {std::size_t{4} << 10, "4 KiB", 500, 250},
    {std::size_t{1} << 20, "1 MiB", 8, 10},
};
constexpr std::size_t ring_bytes = std::size_t{32} << 20;
constexpr int batch_records = 100;

/// A connected pair of Unix stream sockets.
class Pair {
  public:
    Pair() {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) test::fail("socketpair");
        ends_[0] = UniqueFd(ends[0]);
        ends_[1] = UniqueFd(ends[1]);
    }
    void write(int end, std::span<const std::byte> data) const {
        while (!data.empty()) {
            ssize_t written = ::send(ends_[end].get(), data.data(), data.size(), MSG_NOSIGNAL);
            if (written < 0 && errno != EINTR) test::fail("send");
            if (written > 0) data = data.subspan(static_cast<std::size_t>(written));
        }
    }
    void read(int end, std::span<std::byte> data) const {
        while (!data.empty()) {
            ssize_t got = ::recv(ends_[end].get(), data.data(), data.size(), 0);
            if (got == 0 || (got < 0 && errno != EINTR)) test::fail("recv");
            if (got > 0) data = data.subspan(static_cast<std::size_t>(got));
        }
    }
    /// What has come, into no more than this.
    [[nodiscard]] std::size_t read_some(int end, std::span<std::byte> data) const {
        ssize_t got = ::recv(ends_[end].get(), data.data(), data.size(), 0);
        if (got <= 0) test::fail("recv");
        return static_cast<std::size_t>(got);
    }

  private:
    UniqueFd ends_[2];
};

Segment create_ring(Client& client, const char* key) {
    return client.create(key, ring_bytes, {.reserve = Reserve::populate});
}

ring::Consumer consume(Client& client, const char* key, Access access) {
    return access == Access::read ? ring::Consumer(client.open_read(key)) : ring::Consumer(client.open_write(key));
}

// There and back, by another process that copies each record out and in.
void round_trip(benchmark::State& state, const Settings& settings, const Shape& shape, Processors processors) {
    test::Daemon daemon;
    Client client(daemon.socket());
    ring::Producer there(create_ring(client, "there"));
    { ring::Producer format(create_ring(client, "back")); }
    ring::Consumer back(client.open_read("back"));
    Pair pair;
    test::ChildProcess ring_echo([&](test::Turns& turns) {
        Client own(daemon.socket());
        ring::Consumer consumer(own.open_read("there"));
        ring::Producer producer(own.open_write("back"));
        turns.signal();
        for (;;) producer.push(consumer.next().data);
        return 0;
    });
    test::ChildProcess socket_echo([&](test::Turns& turns) {
        std::vector<std::byte> data(shape.bytes);
        turns.signal();
        for (;;) {
            pair.read(1, data);
            pair.write(1, data);
        }
        return 0;
    });
    ring_echo.wait_for_byte();
    socket_echo.wait_for_byte();
    Placement placement(processors, {daemon.pid(), ring_echo.pid(), socket_echo.pid()});

    const std::vector<std::byte> data(shape.bytes, std::byte{'x'});
    std::vector<std::byte> answer(shape.bytes);
    Race race(settings.choose(shape.round_trips, 2));
    race.add("ring", [&] {
        there.push(data);
        ring::Record record = back.next();
        if (record.lost > 0 || record.data.size() != data.size()) test::fail("not what was sent");
    });
    std::size_t socket = race.add("Unix socket", [&] {
        pair.write(0, data);
        pair.read(0, answer);
    });
    race.warm_up();
    for (auto _ : state) state.SetIterationTime(race.round());
    settings.report.add(compare(std::string("ring, ") + shape.name + " there and back" +
                                    (processors == Processors::one ? "" : ", two processors"),
                                race, socket));
}

// One way: a burst that the other process has read to its end. Times are of one record.
void one_way(benchmark::State& state, const Settings& settings, const Shape& shape) {
    const int burst = settings.choose(shape.burst, 4);
    test::Daemon daemon;
    Client client(daemon.socket());
    struct Lane {
        ring::Producer producer;
        std::unique_ptr<test::ChildProcess> consumer{};
    };
    auto lane = [&](const char* key, Access access) {
        Lane made{ring::Producer(create_ring(client, key))};
        made.consumer = std::make_unique<test::ChildProcess>([&daemon, key, access, burst](test::Turns& turns) {
            Client own(daemon.socket());
            ring::Consumer consumer = consume(own, key, access);
            turns.signal();
            for (;;) {
                for (int i = 0; i < burst; i++) {
                    if (consumer.next().lost > 0) return 1;
                }
                turns.signal();
            }
        });
        made.consumer->wait_for_byte();
        return made;
    };
    Lane writable = lane("writable", Access::write), read_only = lane("read_only", Access::read);
    Lane batched = lane("batched", Access::read);
    Pair pair;
    test::ChildProcess reader([&](test::Turns& turns) {
        std::vector<std::byte> data(std::max<std::size_t>(shape.bytes, 65536));
        turns.signal();
        for (;;) {
            std::size_t left = shape.bytes * static_cast<std::size_t>(burst);
            while (left > 0) left -= pair.read_some(1, std::span(data).first(std::min(left, data.size())));
            turns.signal();
        }
        return 0;
    });
    reader.wait_for_byte();
    std::vector<pid_t> others{daemon.pid(), reader.pid()};
    for (Lane* each : {&writable, &read_only, &batched}) others.push_back(each->consumer->pid());
    Placement placement(has_two_processors() ? Processors::two : Processors::one, others);

    const std::vector<std::byte> data(shape.bytes, std::byte{'x'});
    auto push_all = [&](Lane& to) {
        for (int i = 0; i < burst; i++) to.producer.push(data);
        to.consumer->wait_for_byte();
    };
    Race race(1, burst);
    std::vector<std::size_t> rings;
    rings.push_back(race.add("a consumer with write access", [&] { push_all(writable); }));
    rings.push_back(race.add("a read-only consumer", [&] { push_all(read_only); }));
    rings.push_back(race.add("in batches of up to 100", [&] {
        for (int i = 0; i < burst; i += batch_records) {
            auto batch = batched.producer.batch();
            for (int j = i; j < std::min(burst, i + batch_records); j++) batched.producer.push(data);
        }
        batched.consumer->wait_for_byte();
    }));
    std::size_t socket = race.add("Unix socket", [&] {
        for (int i = 0; i < burst; i++) pair.write(0, data);
        reader.wait_for_byte();
    });
    race.warm_up();
    for (auto _ : state) state.SetIterationTime(race.round());
    for (std::size_t each : rings) {
        std::string name = std::string("ring, ") + shape.name + " one way, " + race.name(each);
        settings.report.add(compare_in_pairs(name, race, each, socket));
    }
}

}  // namespace

void add_ring_cases(const Settings& settings) {
    for (const Shape& shape : shapes) {
        for (Processors processors : {Processors::one, Processors::two}) {
            if (processors == Processors::two && !has_two_processors()) continue;
            std::string name = std::string("ring, there and back, ") + shape.name;
            benchmark::RegisterBenchmark(name.c_str(), round_trip, settings, shape, processors)
                ->UseManualTime()
                ->Iterations(settings.choose(40, 2));
        }
        benchmark::RegisterBenchmark((std::string("ring, one way, ") + shape.name).c_str(), one_way, settings, shape)
            ->UseManualTime()
            ->Iterations(settings.choose(100, 2));
    }
}

}  // namespace shmd::bench
