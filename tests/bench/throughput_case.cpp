// Opens by several clients at once, all of them and the daemon on one processor.
#include <memory>
#include <string>
#include <vector>

#include "cases.hpp"
#include "daemon_fixture.hpp"
#include "floor.hpp"
#include "libshmd.hpp"
#include "placement.hpp"

namespace shmd::bench {
namespace {

constexpr const char* key = "bench/throughput";

// A client process: opens through libshmd and through the floor in turns, a block each time that it is told to.
int run_client(test::Turns& turns, const std::string& socket, FloorClient floor, int block) {
    LibClient client = connect_to(socket);
    for (;;) {
        turns.wait();
        for (int i = 0; i < block; i++) open_and_touch(client.get(), key);
        turns.signal();
        turns.wait();
        for (int i = 0; i < block; i++) floor.open();
        turns.signal();
    }
}

void open_by_many(benchmark::State& state, const Settings& settings, int count) {
    const int block = settings.choose(2000, 64) / count;
    test::Daemon daemon;
    LibClient creator = connect_to(daemon.socket());
    create_segment(creator.get(), key, floor_memory_bytes);
    FloorServer server(static_cast<std::size_t>(count));
    Placement placement(Processors::one, {daemon.pid(), server.pid()});
    std::vector<std::unique_ptr<test::ChildProcess>> clients;
    for (int i = 0; i < count; i++) {
        clients.push_back(std::make_unique<test::ChildProcess>([&, i](test::Turns& turns) {
            return run_client(turns, daemon.socket(), server.take_client(static_cast<std::size_t>(i)), block);
        }));
    }

    // Time of one open, all clients together.
    auto run_block = [&](Samples& samples) {
        std::int64_t begin = now_ns();
        for (const auto& client : clients) client->send_byte();
        for (const auto& client : clients) client->wait_for_byte();
        auto took = static_cast<double>(now_ns() - begin);
        samples.add(took / (block * static_cast<double>(count)));
        return took / 1e9;
    };
    Samples ours, floor, warm_up;
    run_block(warm_up);
    run_block(warm_up);
    for (auto _ : state) {
        state.SetIterationTime(run_block(ours));
        run_block(floor);
    }
    std::string clients_text = std::to_string(count) + (count == 1 ? " client" : " clients");
    Row row{"time an open, " + clients_text, "floor, " + clients_text, ours.median(), floor.median()};
    // 0.8 of the floor's opens in a second.
    row.goal = 1.25;
    settings.report.add(row);
}

}  // namespace

void add_throughput_cases(const Settings& settings) {
    for (int count : {1, 4, 16, 64}) {
        std::string name = "throughput, " + std::to_string(count);
        benchmark::RegisterBenchmark(name.c_str(), open_by_many, settings, count)
            ->UseManualTime()
            ->Iterations(settings.choose(50, 2));
    }
}

}  // namespace shmd::bench
