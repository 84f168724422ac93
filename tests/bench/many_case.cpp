// What many segments and connections cost: the time of an open, the daemon's memory, and the time of a list.
#include <sys/resource.h>

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
#include "varlink_client.hpp"

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

// As far as it goes; what is started here has the same limit.
int descriptor_limit() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    return static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 1 << 20));
}

test::DaemonOptions with_room() {
    test::DaemonOptions options;
    options.config = R"({"limits": {"segments": 65536, "connections": 16384,
                                    "perUid": {"segments": 65536, "connections": 16384}}})";
    return options;
}

/// A daemon with this many live segments and idle connections, and a client that opens the segments in an order without
/// pattern.
class Crowd {
  public:
    Crowd(int segments, int connections) : daemon_(with_room()), client_(connect_to(daemon_.socket())) {
        // What the first request takes once is not the segments'.
        create_segment(client_.get(), "bench/first", size);
        std::int64_t before = own_bytes(daemon_.pid());
        for (int i = 0; i < segments; i++) {
            keys_.push_back(key_of(i));
            create_segment(client_.get(), keys_.back().c_str(), size, SHMD_RESERVE_LAZY);
        }
        // It has ended every grant before it answers this.
        check(shmd_delete(client_.get(), "bench/first"));
        std::int64_t with_segments = own_bytes(daemon_.pid());
        bytes_a_segment_ = static_cast<double>(with_segments - before) / segments;
        // Each has made a call and is known by it.
        for (int i = 0; i < connections; i++) {
            idle_.emplace_back(daemon_.socket());
            (void)idle_.back().call(GetInfo{}).value();
        }
        if (connections > 0) {
            bytes_a_connection_ = static_cast<double>(own_bytes(daemon_.pid()) - with_segments) / connections;
        }
        std::shuffle(keys_.begin(), keys_.end(), std::mt19937(1));
    }

    void open_next() {
        open_and_touch(client_.get(), keys_[next_].c_str());
        next_ = (next_ + 1) % keys_.size();
    }
    /// The time of a list of all, for each segment.
    void list(Samples& samples) {
        std::int64_t begin = now_ns();
        shmd_info* first = nullptr;
        check(shmd_list(client_.get(), nullptr, &first));
        samples.add(static_cast<double>(now_ns() - begin) / static_cast<double>(keys_.size()));
        std::size_t count = 0;
        for (const shmd_info* info = first; info; info = info->next) count++;
        shmd_info_free(first);
        if (count != keys_.size()) test::fail("a list that is not whole");
    }

    [[nodiscard]] pid_t daemon_pid() const { return daemon_.pid(); }
    [[nodiscard]] double bytes_a_segment() const { return bytes_a_segment_; }
    [[nodiscard]] double bytes_a_connection() const { return bytes_a_connection_; }

  private:
    test::Daemon daemon_;
    LibClient client_;
    std::vector<test::RawClient> idle_;
    std::vector<std::string> keys_;
    std::size_t next_ = 0;
    double bytes_a_segment_ = 0, bytes_a_connection_ = 0;
};

// Each connection is a descriptor here, too.
struct Numbers {
    int segments, connections;
};
Numbers numbers_of(const Settings& settings) {
    if (settings.quick) return {200, 50};
    constexpr int connections = 5000, spare = 500;
    int most = (descriptor_limit() - connections - spare) / 1000 * 1000;
    return {std::clamp(most, 1000, 30'000), connections};
}

Row memory_row(const char* name, double bytes, double limit, const char* limit_name) {
    Row row{name, limit_name, bytes, limit};
    row.unit = "B";
    row.goal = 1;
    return row;
}

void open_among_many(benchmark::State& state, const Settings& settings) {
    const auto [segments, connections] = numbers_of(settings);
    Crowd few(10, 10);
    Crowd crowd(segments, connections);
    Placement placement(Processors::one, {few.daemon_pid(), crowd.daemon_pid()});

    Race race(settings.choose(250, 20));
    race.add("open among many", [&] { crowd.open_next(); });
    std::size_t reference = race.add("ten of both", [&] { few.open_next(); });
    // Each segment's page is made by the first open.
    for (int i = 0; i < segments; i++) crowd.open_next();
    race.warm_up();
    for (auto _ : state) state.SetIterationTime(race.round());

    Row row = compare("open, " + std::to_string(segments) + " segments, " + std::to_string(connections) + " idle", race,
                      reference);
    row.goal = 1.1;
    settings.report.add(row);
    settings.report.add(memory_row("daemon's memory a segment", crowd.bytes_a_segment(), 1024, "1 KiB"));
    settings.report.add(memory_row("daemon's memory a connection", crowd.bytes_a_connection(), 8192, "8 KiB"));
}

void list_many(benchmark::State& state, const Settings& settings) {
    const int many = numbers_of(settings).segments;
    Crowd some(many / 10, 0), crowd(many, 0);
    Placement placement(Processors::one, {some.daemon_pid(), crowd.daemon_pid()});
    Samples ours, reference, warm_up;
    crowd.list(warm_up);
    some.list(warm_up);
    for (auto _ : state) {
        std::int64_t begin = now_ns();
        crowd.list(ours);
        state.SetIterationTime(static_cast<double>(now_ns() - begin) / 1e9);
        // As many segments of both.
        for (int i = 0; i < 10; i++) some.list(reference);
    }
    Row row{"list of " + std::to_string(many) + ", a segment", "of " + std::to_string(many / 10), ours.median(),
            reference.median()};
    row.goal = 1.1;
    settings.report.add(row);
}

}  // namespace

void add_many_cases(const Settings& settings) {
    benchmark::RegisterBenchmark("many", open_among_many, settings)
        ->UseManualTime()
        ->Iterations(settings.choose(100, 2));
    benchmark::RegisterBenchmark("list", list_many, settings)->UseManualTime()->Iterations(settings.choose(20, 1));
}

}  // namespace shmd::bench
