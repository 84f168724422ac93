#include "cases.hpp"
#include "daemon_fixture.hpp"
#include "floor.hpp"
#include "libshmd.hpp"
#include "placement.hpp"

namespace shmd::bench {
namespace {

constexpr const char* key = "bench/create";

void create_and_delete(benchmark::State& state, const Settings& settings) {
    test::Daemon daemon;
    LibClient client = connect_to(daemon.socket());
    FloorServer server;
    FloorClient floor = server.take_client(0);
    Placement placement(Processors::one, {daemon.pid(), server.pid()});

    Race race(settings.choose(250, 20));
    race.add("libshmd", [&] {
        LibSegment segment = create_segment(client.get(), key, floor_memory_bytes);
        *static_cast<volatile char*>(shmd_data(segment.get())) = 1;
        segment.reset();
        check(shmd_delete(client.get(), key));
    });
    // Its memory needs no deleting: it goes with its last mapping. Ours has a second round trip for that.
    std::size_t bare = race.add("floor with memfd", [&] { floor.create(); });
    std::size_t both = race.add("the same and a ping", [&] {
        floor.create();
        floor.ping();
    });
    race.warm_up();
    for (auto _ : state) state.SetIterationTime(race.round());
    settings.report.add(compare("create and delete", race, bare));
    settings.report.add(compare("create and delete", race, both));
}

}  // namespace

void add_create_cases(const Settings& settings) {
    benchmark::RegisterBenchmark("create", create_and_delete, settings)
        ->UseManualTime()
        ->Iterations(settings.choose(60, 2));
}

}  // namespace shmd::bench
