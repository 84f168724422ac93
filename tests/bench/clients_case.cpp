#include <functional>
#include <memory>
#include <vector>

#include "cases.hpp"
#include "daemon_fixture.hpp"
#include "floor.hpp"
#include "libshmd.hpp"

namespace shmd::bench {
namespace {

constexpr std::size_t client_count = 4;
constexpr const char* key = "bench/clients";

// A client process: opens through libshmd and through the floor in turns, a block each time that it is told to.
int run_client(test::Turns& turns, const std::string& socket, FloorClient floor, int block, std::size_t rounds) {
    LibClient client = connect_to(socket);
    for (std::size_t i = 0; i < rounds; i++) {
        turns.wait();
        for (int j = 0; j < block; j++) open_and_touch(client.get(), key);
        turns.signal();
        turns.wait();
        for (int j = 0; j < block; j++) floor.open();
        turns.signal();
    }
    return 0;
}

void open_by_many(benchmark::State& state, const Settings& settings) {
    const int block = settings.choose(500, 20);
    const auto rounds = static_cast<std::size_t>(state.max_iterations) + 1;
    test::Daemon daemon;
    LibClient creator = connect_to(daemon.socket());
    LibSegment kept = create_segment(creator.get(), key, floor_memory_bytes);
    FloorServer server(client_count);
    std::vector<std::unique_ptr<test::ChildProcess>> clients;
    for (std::size_t i = 0; i < client_count; i++) {
        clients.push_back(std::make_unique<test::ChildProcess>([&, i](test::Turns& turns) {
            return run_client(turns, daemon.socket(), server.take_client(i), block, rounds);
        }));
    }

    // Time of one open, all clients together.
    auto run_block = [&](Samples& samples) {
        std::int64_t begin = now_ns();
        for (const auto& client : clients) client->send_byte();
        for (const auto& client : clients) client->wait_for_byte();
        auto took = static_cast<double>(now_ns() - begin);
        samples.add(took / (block * static_cast<double>(client_count)));
        return took / 1e9;
    };
    Samples ours, floor, warm_up;
    run_block(warm_up);
    run_block(warm_up);
    for (auto _ : state) {
        state.SetIterationTime(run_block(ours));
        run_block(floor);
    }
    settings.report.add({"open, 4 clients at once", "floor, 4 clients", ours.median(), floor.median()});
}

}  // namespace

void add_clients_cases(const Settings& settings) {
    benchmark::RegisterBenchmark("clients", open_by_many, settings)
        ->UseManualTime()
        ->Iterations(settings.choose(50, 2));
}

}  // namespace shmd::bench
