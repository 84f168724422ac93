// What the life of segments costs those who open them: batches against single opens, replacing under readers, leases and
// watchers that are not theirs.
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "cases.hpp"
#include "daemon_fixture.hpp"
#include "libshmd.hpp"
#include "limits.hpp"
#include "placement.hpp"

namespace shmd::bench {
namespace {

constexpr std::uint64_t size = 4096;

std::string numbered(const char* prefix, int number) {
    char text[64];
    std::snprintf(text, sizeof text, "%s%06d", prefix, number);
    return text;
}

// ---- A batch ----

void open_batch(benchmark::State& state, const Settings& settings) {
    test::Daemon daemon;
    LibClient client = connect_to(daemon.socket());
    std::vector<std::string> names;
    std::vector<const char*> keys;
    for (std::size_t i = 0; i < limits::batch; i++) names.push_back(numbered("bench/batch/", static_cast<int>(i)));
    for (const std::string& name : names) {
        keys.push_back(name.c_str());
        create_segment(client.get(), name.c_str(), size);
    }
    Placement placement(Processors::one, {daemon.pid()});

    std::vector<shmd_segment*> segments(keys.size());
    auto open_many = [&] {
        check(shmd_open_many(client.get(), keys.data(), keys.size(), SHMD_READ, segments.data(), nullptr));
        for (shmd_segment* segment : segments) (void)*static_cast<volatile char*>(shmd_data(segment));
    };

    Race race(settings.choose(10, 2));
    race.add("250 in a batch", [&] {
        open_many();
        shmd_close_many(segments.data(), segments.size());
    });
    std::size_t single = race.add("250 single opens", [&] {
        for (const char* key : keys) open_and_touch(client.get(), key);
    });
    // As above, but all open at a time, as the batch has them.
    std::size_t together = race.add("250 single opens, then closed", [&] {
        std::vector<shmd_segment*> opened;
        for (const char* key : keys) {
            shmd_segment* segment = nullptr;
            check(shmd_open(client.get(), key, SHMD_READ, &segment));
            (void)*static_cast<volatile char*>(shmd_data(segment));
            opened.push_back(segment);
        }
        for (shmd_segment* segment : opened) shmd_close(segment);
    });
    std::size_t one_by_one = race.add("250 in a batch, closed one by one", [&] {
        open_many();
        for (shmd_segment* segment : segments) shmd_close(segment);
    });
    race.warm_up();
    for (auto _ : state) state.SetIterationTime(race.round());

    Row row = compare("open 250 at once", race, single);
    row.goal = 0.5;
    settings.report.add(row);
    row = compare("open 250 at once", race, together);
    row.goal = 0.5;
    settings.report.add(row);
    settings.report.add(compare("open 250 at once", race, one_by_one));
}

// ---- Replacing under readers ----

// Publishes a new table a hundred times a second while it is told to.
class Publisher {
  public:
    explicit Publisher(const std::string& socket) : thread_([this, socket] { run(socket); }) {}
    Publisher(const Publisher&) = delete;
    Publisher& operator=(const Publisher&) = delete;
    ~Publisher() { ended_ = true, thread_.join(); }

    void publish(bool enable) { enabled_.store(enable, std::memory_order_relaxed); }

  private:
    void run(const std::string& socket) {
        LibClient client = connect_to(socket);
        while (!ended_) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
            if (!enabled_.load(std::memory_order_relaxed)) continue;
            shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
            options.staged = 1;
            shmd_segment* segment = nullptr;
            check(shmd_create(client.get(), "bench/table", size, &options, &segment));
            LibSegment table(segment);
            *static_cast<volatile char*>(shmd_data(segment)) = 1;
            check(shmd_publish(segment, nullptr, 1));
        }
    }

    std::atomic<bool> ended_ = false;
    std::atomic<bool> enabled_ = false;
    std::thread thread_;
};

void replace_under_readers(benchmark::State& state, const Settings& settings) {
    constexpr int readers = 8;  // this one is one of them
    test::Daemon daemon;
    LibClient client = connect_to(daemon.socket());
    LibSegment first = create_segment(client.get(), "bench/table", size);
    std::vector<std::unique_ptr<test::ChildProcess>> others;
    for (int i = 1; i < readers; i++) {
        others.push_back(std::make_unique<test::ChildProcess>([socket = daemon.socket()](test::Turns& turns) -> int {
            LibClient own = connect_to(socket);
            turns.signal();
            for (;;) open_and_touch(own.get(), "bench/table");
        }));
        others.back()->wait_for_byte();
    }
    Publisher publisher(daemon.socket());

    Race race(settings.choose(2000, 20));
    race.add("open, replaced 100 times a second", [&] {
        publisher.publish(true);
        open_and_touch(client.get(), "bench/table");
    });
    std::size_t still = race.add("never replaced", [&] {
        publisher.publish(false);
        open_and_touch(client.get(), "bench/table");
    });
    race.warm_up();
    for (auto _ : state) state.SetIterationTime(race.round());
    for (auto& other : others) other->kill();

    Row row = compare("open by 8 readers, replaced", race, still);
    row.goal = 1.1;
    settings.report.add(row);
}

// ---- Leases and watchers ----

struct CloseWatch {
    void operator()(shmd_watch* watch) const { shmd_watch_close(watch); }
};

// A segment to open, beside others with leases and watchers of those.
class Neighbourhood {
  public:
    Neighbourhood(int leases, int watchers) : client_(connect_to(daemon_.socket())) {
        for (int i = 0; i < watchers; i++) {
            shmd_watch* watch = nullptr;
            check(shmd_watch_open(client_.get(), numbered("bench/watched/", i).c_str(), &watch));
            watches_.emplace_back(watch);
        }
        for (int i = 0; i < leases; i++) {
            shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
            options.reserve = SHMD_RESERVE_LAZY;
            options.lifetime = SHMD_LIFETIME_LEASE;
            options.lease_usec = 3600'000'000;
            shmd_segment* segment = nullptr;
            check(shmd_create(client_.get(), numbered("bench/leased/", i).c_str(), size, &options, &segment));
            shmd_close(segment);
        }
        create_segment(client_.get(), "bench/plain", size);
    }

    void open() { open_and_touch(client_.get(), "bench/plain"); }
    [[nodiscard]] pid_t daemon_pid() const { return daemon_.pid(); }

  private:
    test::Daemon daemon_;
    LibClient client_;
    std::vector<std::unique_ptr<shmd_watch, CloseWatch>> watches_;
};

void open_beside_leases(benchmark::State& state, const Settings& settings) {
    rlimit descriptors{};
    ::getrlimit(RLIMIT_NOFILE, &descriptors);
    descriptors.rlim_cur = descriptors.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &descriptors);
    const int leases = settings.choose(10'000, 100), watchers = settings.choose(1'000, 10);
    Neighbourhood busy(leases, watchers), quiet(0, 0);
    Placement placement(Processors::one, {busy.daemon_pid(), quiet.daemon_pid()});

    Race race(settings.choose(250, 20));
    race.add("open beside leases and watchers", [&] { busy.open(); });
    std::size_t alone = race.add("open alone", [&] { quiet.open(); });
    race.warm_up();
    for (auto _ : state) state.SetIterationTime(race.round());

    Row row = compare("open beside " + std::to_string(leases) + " leases and " + std::to_string(watchers) + " watchers",
                      race, alone);
    row.goal = 1.1;
    settings.report.add(row);
}

}  // namespace

void add_life_cases(const Settings& settings) {
    auto add = [&](const char* name, void (*run)(benchmark::State&, const Settings&), int rounds) {
        benchmark::RegisterBenchmark(name, run, settings)->UseManualTime()->Iterations(settings.choose(rounds, 2));
    };
    add("batch", open_batch, 60);
    add("replace", replace_under_readers, 30);
    add("leases", open_beside_leases, 100);
}

}  // namespace shmd::bench
