#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "cases.hpp"
#include "daemon_fixture.hpp"
#include "libshmd.hpp"
#include "placement.hpp"

namespace shmd::bench {
namespace {

constexpr std::uint64_t size = 4096;

std::string key_of(int number) {
    char text[32];
    std::snprintf(text, sizeof text, "bench/many/%06d", number);
    return text;
}

// Memory that is the daemon's own: its heap and stacks, neither its program nor any segment.
std::int64_t own_bytes(pid_t pid) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    constexpr const char* field = "RssAnon:";
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with(field)) return std::stoll(line.substr(std::strlen(field))) * 1024;
    }
    test::fail("/proc/PID/status has no RssAnon");
}

/// A daemon with this many live segments, and a client that opens them in an order without pattern.
class Crowd {
  public:
    explicit Crowd(int segments) : client_(connect_to(daemon_.socket())) {
        // What the first request takes once is not the segments'.
        create_segment(client_.get(), "bench/first", size);
        std::int64_t before = own_bytes(daemon_.pid());
        for (int i = 0; i < segments; i++) {
            keys_.push_back(key_of(i));
            create_segment(client_.get(), keys_.back().c_str(), size, SHMD_RESERVE_LAZY);
        }
        // It has ended every grant before it answers this.
        check(shmd_delete(client_.get(), "bench/first"));
        bytes_ = own_bytes(daemon_.pid()) - before;
        std::shuffle(keys_.begin(), keys_.end(), std::mt19937(1));
    }

    void open_next() {
        open_and_touch(client_.get(), keys_[next_].c_str());
        next_ = (next_ + 1) % keys_.size();
    }

    [[nodiscard]] pid_t daemon_pid() const { return daemon_.pid(); }
    [[nodiscard]] double bytes_a_segment() const {
        return static_cast<double>(bytes_) / static_cast<double>(keys_.size());
    }

  private:
    test::Daemon daemon_;
    LibClient client_;
    std::vector<std::string> keys_;
    std::size_t next_ = 0;
    std::int64_t bytes_ = 0;
};

void open_among_many(benchmark::State& state, const Settings& settings) {
    const int many = settings.choose(10'000, 200);
    Crowd few(10);
    Crowd crowd(many);
    Placement placement(Processors::one, {few.daemon_pid(), crowd.daemon_pid()});

    Race race(settings.choose(250, 20));
    race.add("open among many", [&] { crowd.open_next(); });
    std::size_t reference = race.add("open among 10", [&] { few.open_next(); });
    // Each segment's page is made by the first open.
    for (int i = 0; i < many; i++) crowd.open_next();
    race.warm_up();
    for (auto _ : state) state.SetIterationTime(race.round());

    Row row = compare("open among " + std::to_string(many), race, reference);
    row.goal = 1.1;
    settings.report.add(row);
    Row memory{"daemon's memory a segment", "1 KiB", crowd.bytes_a_segment(), 1024};
    memory.unit = "B";
    memory.goal = 1;
    settings.report.add(memory);
}

}  // namespace

void add_many_cases(const Settings& settings) {
    benchmark::RegisterBenchmark("many", open_among_many, settings)
        ->UseManualTime()
        ->Iterations(settings.choose(100, 2));
}

}  // namespace shmd::bench
