#include "cases.hpp"
#include "daemon_fixture.hpp"
#include "floor.hpp"
#include "libshmd.hpp"
#include "placement.hpp"

namespace shmd::bench {
namespace {

constexpr const char* key = "bench/create";

void create(benchmark::State& state, const Settings& settings, shmd_lifetime lifetime) {
    test::Daemon daemon;
    LibClient client = connect_to(daemon.socket());
    FloorServer server;
    FloorClient floor = server.take_client(0);
    Placement placement(Processors::one, {daemon.pid(), server.pid()});

    Race race(settings.choose(250, 20));
    race.add("libshmd", [&] {
        LibSegment segment = create_segment(client.get(), key, floor_memory_bytes, SHMD_RESERVE_ALLOCATE, lifetime);
        *static_cast<volatile char*>(shmd_data(segment.get())) = 1;
        segment.reset();
        if (lifetime == SHMD_LIFETIME_PERSISTENT) check(shmd_delete(client.get(), key));
    });
    // Its memory needs no deleting: it goes with its last mapping.
    std::size_t bare = race.add("floor with memfd", [&] { floor.create(); });
    std::size_t both = race.add("the same and a ping", [&] {
        floor.create();
        floor.ping();
    });
    race.warm_up();
    for (auto _ : state) state.SetIterationTime(race.round());
    if (lifetime == SHMD_LIFETIME_PERSISTENT) {  // deleting is a second round trip
        settings.report.add(compare("create and delete", race, bare));
        settings.report.add(compare("create and delete", race, both));
    } else {
        Row row = compare("create", race, bare);
        row.goal = 1.5;
        settings.report.add(row);
    }
}

}  // namespace

void add_create_cases(const Settings& settings) {
    int rounds = settings.choose(60, 2);
    benchmark::RegisterBenchmark("create", create, settings, SHMD_LIFETIME_ATTACHED)->UseManualTime()->Iterations(rounds);
    benchmark::RegisterBenchmark("create and delete", create, settings, SHMD_LIFETIME_PERSISTENT)
        ->UseManualTime()
        ->Iterations(rounds);
}

}  // namespace shmd::bench
