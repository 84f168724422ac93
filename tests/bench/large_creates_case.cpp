#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>

#include "cases.hpp"
#include "daemon_fixture.hpp"
#include "libshmd.hpp"

namespace shmd::bench {
namespace {

constexpr const char* key = "bench/large_creates";
constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;

/// Segments that another process has had made, counted in memory that both see.
class Counter {
  public:
    Counter() {
        void* address =
            ::mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (address == MAP_FAILED) test::fail(std::string("mmap: ") + std::strerror(errno));
        made_ = new (address) std::atomic<int>(0);
    }
    Counter(const Counter&) = delete;
    Counter& operator=(const Counter&) = delete;
    ~Counter() { ::munmap(made_, sizeof *made_); }
    std::atomic<int>& operator*() const { return *made_; }

  private:
    std::atomic<int>* made_;
};

std::string mebibytes(std::uint64_t bytes) {
    std::uint64_t count = bytes / mebibyte;
    return count % 1024 == 0 ? std::to_string(count / 1024) + " GiB" : std::to_string(count) + " MiB";
}

// What the full size takes, unless the machine is small.
std::uint64_t large_size(const Settings& settings) {
    if (settings.quick) return 64 * mebibyte;
    std::uint64_t memory = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
    return std::min<std::uint64_t>(4096, memory / mebibyte / 4) * mebibyte;
}

test::DaemonOptions without_narrow_limits() {
    test::DaemonOptions options;
    options.config = R"({"limits": {"bytes": "1T", "perUid": {"bytes": "1T"}}})";
    return options;
}

// The other client: in each turn it makes two large segments, one after the other.
int make_large_segments(test::Turns& turns, const std::string& socket, std::uint64_t size, Counter& counter,
                        int rounds) {
    LibClient client = connect_to(socket);
    for (int i = 0; i < rounds; i++) {
        turns.wait();
        for (int j = 0; j < 2; j++) {
            create_segment(client.get(), nullptr, size, SHMD_RESERVE_POPULATE, SHMD_LIFETIME_ATTACHED);
            ++*counter;
        }
        // Memory is made and freed in the order of the requests: when this is there, the large segments are gone.
        create_segment(client.get(), nullptr, mebibyte, SHMD_RESERVE_ALLOCATE, SHMD_LIFETIME_ATTACHED);
        turns.signal();
    }
    return 0;
}

void open_beside_large_work(benchmark::State& state, const Settings& settings) {
    const std::uint64_t size = large_size(settings);
    const int rounds = static_cast<int>(state.max_iterations);
    const int quiet_opens = settings.choose(20'000, 100);
    test::Daemon daemon(without_narrow_limits());
    Counter made;
    test::ChildProcess other(
        [&](test::Turns& turns) { return make_large_segments(turns, daemon.socket(), size, made, rounds); });
    LibClient client = connect_to(daemon.socket());
    LibSegment kept = create_segment(client.get(), key, 4096);

    auto open_once = [&](Samples& samples) {
        std::int64_t begin = now_ns();
        open_and_touch(client.get(), key);
        samples.add(static_cast<double>(now_ns() - begin));
    };
    Samples quiet, beside;
    for (auto _ : state) {
        for (int i = 0; i < quiet_opens; i++) open_once(quiet);
        std::int64_t begin = now_ns();
        int goal = *made + 2;
        other.send_byte();
        while (*made < goal) open_once(beside);
        state.SetIterationTime(static_cast<double>(now_ns() - begin) / 1e9);
        other.wait_for_byte();
    }
    if (int status = other.wait()) test::fail("the other client ended with status " + std::to_string(status));

    Row row{"open beside " + mebibytes(size) + " creates",
            "the same, idle",
            beside.median(),
            quiet.median(),
            beside.p99(),
            quiet.p99()};
    row.goal_p99 = 2;
    settings.report.add(row);
}

}  // namespace

void add_large_creates_cases(const Settings& settings) {
    benchmark::RegisterBenchmark("open beside 4 GiB creates", open_beside_large_work, settings)
        ->UseManualTime()
        ->Iterations(settings.choose(3, 1));
}

}  // namespace shmd::bench
