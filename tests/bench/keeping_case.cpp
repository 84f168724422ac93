// What it costs that segments outlive the daemon: calls to a daemon that keeps them, in a journal and with a service
// manager, against the same calls to one that keeps nothing; and how long it takes to start with all that was kept.
#include <sys/resource.h>

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "cases.hpp"
#include "libshmd.hpp"
#include "limits.hpp"
#include "placement.hpp"
#include "service_manager.hpp"

namespace shmd::bench {
namespace {

constexpr std::uint64_t size = 4096;
constexpr const char* key = "bench/kept";

// ---- Calls ----

// A daemon under the same service manager, with a store or without one, and somebody who calls it.
class Served {
  public:
    explicit Served(std::size_t store) : manager_({.store = store}) {
        manager_.start();
        client_ = connect_to(manager_.socket());
        create_segment(client_.get(), key, size);
    }

    void create() {
        LibSegment segment = create_segment(client_.get(), "bench/created", size);
        *static_cast<volatile char*>(shmd_data(segment.get())) = 1;
        segment.reset();
        check(shmd_delete(client_.get(), "bench/created"));
    }
    void open() { open_and_touch(client_.get(), key); }
    [[nodiscard]] pid_t daemon_pid() const { return manager_.pid(); }

  private:
    test::ServiceManager manager_;
    LibClient client_;
};

// The thread that speaks to the service manager and the manager itself keep to no processor, as in life.
void call_kept(benchmark::State& state, const Settings& settings, const char* name, void (Served::*call)()) {
    Served kept(1000), not_kept(0);
    Placement placement(Processors::one, {kept.daemon_pid(), not_kept.daemon_pid()});
    Race race(settings.choose(250, 20));
    race.add("kept", [&] { (kept.*call)(); });
    std::size_t reference = race.add("nothing kept", [&] { (not_kept.*call)(); });
    race.warm_up();
    for (auto _ : state) state.SetIterationTime(race.round());
    Row row = compare(name, race, reference);
    row.goal = 1.1;
    settings.report.add(row);
    // The median does not show what some of the calls wait for.
    settings.report.add({std::string(name) + ", on average", race.name(reference), race.samples(0).mean(),
                         race.samples(reference).mean()});
}

// ---- Restarts ----

// Many segments in the store of a service manager.
class Restarted {
  public:
    explicit Restarted(int count) : count_(count), manager_(options()) {
        manager_.start();
        LibClient client = connect_to(manager_.socket());
        std::vector<std::string> keys(limits::batch);
        for (int made = 0; made < count;) {
            std::vector<shmd_create_request> requests;
            for (; made < count && requests.size() < limits::batch; made++) {
                std::string& name = keys[requests.size()] = "bench/restarted/" + std::to_string(made);
                shmd_create_request request{};
                request.key = name.c_str();
                request.size = size;
                request.options = &lazy_;
                requests.push_back(request);
            }
            std::vector<shmd_segment*> segments(requests.size());
            check(shmd_create_many(client.get(), requests.data(), requests.size(), segments.data()));
            for (shmd_segment* segment : segments) shmd_close(segment);
        }
    }

    /// How long it takes from the start to READY=1, for each segment.
    double restart() {
        manager_.stop();
        std::int64_t begin = now_ns();
        manager_.start();
        return static_cast<double>(now_ns() - begin) / count_;
    }
    /// The last segment is there, and so are its neighbours in the store.
    void look() {
        LibClient client = connect_to(manager_.socket());
        open_and_touch(client.get(), ("bench/restarted/" + std::to_string(count_ - 1)).c_str());
        if (manager_.stored() < static_cast<std::size_t>(count_)) test::fail("segments were lost");
    }

  private:
    test::ServiceManagerOptions options() {
        std::ofstream(directory_.path() / "config.json")
            << R"({"limits": {"segments": 65536, "perUid": {"segments": 65536}}})";
        return {.store = static_cast<std::size_t>(count_) + 200,
                .arguments = {"--config", directory_.path() / "config.json", "--log-level", "warning"}};
    }
    static shmd_create_options lazily() {
        shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
        options.reserve = SHMD_RESERVE_LAZY;
        return options;
    }

    int count_;
    const shmd_create_options lazy_ = lazily();
    test::TemporaryDirectory directory_;
    test::ServiceManager manager_;
};

// The manager's descriptors, some hundred for the rest, and those that give way while they are passed on.
bool has_descriptors_for(int count) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur >= static_cast<rlim_t>(count) * 5 / 4 + 500;
}

// One number after the other and all of them again, for there are not descriptors for all at a time. What is started here
// stays on this processor: left to two, the times of one number differed by half from run to run.
void restart_with_many(benchmark::State& state, const Settings& settings) {
    std::vector<int> counts = {1000, 5000, 10'000, 15'000, 20'000, 30'000};
    if (settings.quick) counts = {20, 100};
    std::erase_if(counts, [](int count) { return !has_descriptors_for(count); });
    std::vector<std::pair<int, Samples>> all;
    for (int count : counts) all.emplace_back(count, Samples());
    Placement placement(Processors::one, {});
    double seconds = 0;
    for (int pass = 0; pass < settings.choose(7, 1); pass++) {
        for (auto& [count, samples] : all) {
            Restarted restarted(count);
            for (int i = 0; i < settings.choose(5, 1); i++) {
                double each = restarted.restart();
                samples.add(each);
                seconds += each * count / 1e9;
            }
            restarted.look();
        }
    }
    for (auto _ : state) state.SetIterationTime(seconds);
    for (std::size_t i = 1; i < all.size(); i++) {
        auto& [fewer, reference] = all[i - 1];
        auto& [more, ours] = all[i];
        Row row{"restart with " + std::to_string(more) + ", a segment", "with " + std::to_string(fewer), ours.median(),
                reference.median()};
        row.goal = 1.1;
        settings.report.add(row);
    }
}

}  // namespace

void add_keeping_cases(const Settings& settings) {
    auto add = [&](const char* name, const char* row, void (Served::*call)()) {
        benchmark::RegisterBenchmark(name, call_kept, settings, row, call)
            ->UseManualTime()
            ->Iterations(settings.choose(60, 2));
    };
    add("kept, create", "create and delete, kept", &Served::create);
    add("kept, open", "open, kept", &Served::open);
    benchmark::RegisterBenchmark("restart", restart_with_many, settings)->UseManualTime()->Iterations(1);
}

}  // namespace shmd::bench
