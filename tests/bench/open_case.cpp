#include "cases.hpp"
#include "daemon_fixture.hpp"
#include "floor.hpp"
#include "kernel_memory.hpp"
#include "libshmd.hpp"
#include "placement.hpp"

namespace shmd::bench {
namespace {

constexpr const char* key = "bench/open";

void open_existing(benchmark::State& state, const Settings& settings, Processors processors) {
    test::Daemon daemon;
    LibClient client = connect_to(daemon.socket());
    LibSegment kept = create_segment(client.get(), key, floor_memory_bytes);
    FloorServer server, of_many(2);
    FloorClient floor = server.take_client(0), floor_of_many = of_many.take_client(0);
    SystemVSegment system_v;
    PosixSegment posix;
    Placement placement(processors, {daemon.pid(), server.pid(), of_many.pid()});

    // Of a shorter block the first one, for which nothing is in the processor's caches, would be a good part of a hundredth.
    Race race(settings.choose(1000, 20));
    race.add("libshmd", [&] { open_and_touch(client.get(), key); });
    std::size_t bare = race.add("floor", [&] { floor.open(); });
    std::size_t told = race.add("floor, told of the end", [&] { floor.open_and_tell(); });
    std::size_t waiting = race.add("floor, waiting for many", [&] { floor_of_many.open(); });
    std::size_t shmat = race.add("System V", [&] { system_v.open(); });
    std::size_t shm_open = race.add("POSIX", [&] { posix.open(); });
    race.warm_up();
    for (auto _ : state) state.SetIterationTime(race.round());

    const std::string name = processors == Processors::one ? "open" : "open, two processors";
    Row row = compare(name, race, bare);
    row.goal = 1.25;
    row.goal_p99 = 1.5;
    settings.report.add(row);
    settings.report.add(compare(name, race, told));
    settings.report.add(compare(name, race, waiting));
    // These have no other side.
    if (processors == Processors::two) return;
    settings.report.add(compare(name, race, shmat));
    settings.report.add(compare(name, race, shm_open));
}

void describe(benchmark::State& state, const Settings& settings) {
    test::Daemon daemon;
    LibClient client = connect_to(daemon.socket());
    LibSegment kept = create_segment(client.get(), key, floor_memory_bytes);
    FloorServer server;
    FloorClient floor = server.take_client(0);
    Placement placement(Processors::one, {daemon.pid(), server.pid()});

    Race race(settings.choose(250, 20));
    race.add("libshmd", [&] {
        shmd_info* info = nullptr;
        check(shmd_describe(client.get(), key, &info));
        shmd_info_free(info);
    });
    std::size_t ping = race.add("floor, no descriptor", [&] { floor.ping(); });
    race.warm_up();
    for (auto _ : state) state.SetIterationTime(race.round());
    settings.report.add(compare("describe", race, ping));
}

}  // namespace

void add_open_cases(const Settings& settings) {
    int rounds = settings.choose(100, 2), long_rounds = settings.choose(30, 2);
    benchmark::RegisterBenchmark("open", open_existing, settings, Processors::one)->UseManualTime()->Iterations(long_rounds);
    if (has_two_processors()) {
        benchmark::RegisterBenchmark("open, two processors", open_existing, settings, Processors::two)
            ->UseManualTime()
            ->Iterations(long_rounds);
    }
    benchmark::RegisterBenchmark("describe", describe, settings)->UseManualTime()->Iterations(rounds);
}

}  // namespace shmd::bench
