#include <sys/shm.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "cases.hpp"
#include "daemon_fixture.hpp"
#include "kernel_memory.hpp"
#include "libshmd.hpp"
#include "placement.hpp"
#include "shmd/sysv.h"

namespace shmd::bench {
namespace {

constexpr key_t key = 0x62656e63;
constexpr std::size_t segment_bytes = 4096;
constexpr std::size_t copied_bytes = std::size_t{1} << 20;

void fail_if(bool failed, const char* what) {
    if (failed) test::fail(std::string(what) + ": " + std::strerror(errno));
}

// The calls of one side: the kernel's or ours.
struct Calls {
    int (*get)(key_t, std::size_t, int);
    void* (*at)(int, const void*, int);
    int (*dt)(const void*);
    int (*ctl)(int, int, shmid_ds*);
};
constexpr Calls of_kernel{::shmget, ::shmat, ::shmdt, ::shmctl};
constexpr Calls of_shmd{shmd_shmget, shmd_shmat, shmd_shmdt, shmd_shmctl};

// A segment that one side has. Removed at the end of its life.
class Segment {
  public:
    Segment(const Calls& calls, std::size_t bytes) : calls_(calls), id_(calls.get(key, bytes, IPC_CREAT | IPC_EXCL | 0600)) {
        fail_if(id_ < 0, "shmget");
    }
    Segment(const Segment&) = delete;
    Segment& operator=(const Segment&) = delete;
    ~Segment() { calls_.ctl(id_, IPC_RMID, nullptr); }

    void attach_by_id() const {
        void* data = calls_.at(id_, nullptr, SHM_RDONLY);
        fail_if(data == reinterpret_cast<void*>(-1), "shmat");
        touch(data);
        fail_if(calls_.dt(data) != 0, "shmdt");
    }
    void attach_by_key() const {
        void* data = calls_.at(calls_.get(key, 0, 0), nullptr, SHM_RDONLY);
        fail_if(data == reinterpret_cast<void*>(-1), "shmat");
        touch(data);
        fail_if(calls_.dt(data) != 0, "shmdt");
    }
    // What shmop_open() in PHP does.
    void attach_by_key_and_stat() const {
        shmid_ds status;
        int id = calls_.get(key, 0, 0);
        fail_if(calls_.ctl(id, IPC_STAT, &status) != 0, "shmctl");
        void* data = calls_.at(id, nullptr, SHM_RDONLY);
        fail_if(data == reinterpret_cast<void*>(-1), "shmat");
        touch(data);
        fail_if(calls_.dt(data) != 0, "shmdt");
    }
    [[nodiscard]] char* attach() const { return static_cast<char*>(calls_.at(id_, nullptr, 0)); }
    void detach(const char* data) const { calls_.dt(data); }

  private:
    static void touch(const void* data) { benchmark::DoNotOptimize(*static_cast<const volatile char*>(data)); }

    const Calls& calls_;
    int id_;
};

using Way = void (Segment::*)() const;

void attach(benchmark::State& state, const Settings& settings, const char* name, Way way) {
    test::Daemon daemon;
    ::setenv("SHMD_SOCKET", daemon.socket().c_str(), 1);
    Segment ours(of_shmd, segment_bytes), theirs(of_kernel, segment_bytes);
    Placement placement(Processors::one, {daemon.pid()});
    Race race(settings.choose(250, 20));
    race.add("shmd", [&] { (ours.*way)(); });
    std::size_t kernel = race.add("the kernel's", [&] { (theirs.*way)(); });
    race.warm_up();
    for (auto _ : state) state.SetIterationTime(race.round());
    Row row = compare(name, race, kernel);
    row.goal = 4;
    settings.report.add(row);
}

void copy(benchmark::State& state, const Settings& settings) {
    test::Daemon daemon;
    ::setenv("SHMD_SOCKET", daemon.socket().c_str(), 1);
    Segment ours(of_shmd, copied_bytes), theirs(of_kernel, copied_bytes);
    char* our_bytes = ours.attach();
    char* their_bytes = theirs.attach();
    std::vector<char> source(copied_bytes, 'x');
    Race race(settings.choose(50, 5));
    auto write_and_read = [&](char* bytes) {
        std::memcpy(bytes, source.data(), copied_bytes);
        benchmark::ClobberMemory();
        std::memcpy(source.data(), bytes, copied_bytes);
    };
    race.add("shmd", [&] { write_and_read(our_bytes); });
    std::size_t kernel = race.add("the kernel's", [&] { write_and_read(their_bytes); });
    race.warm_up();
    for (auto _ : state) state.SetIterationTime(race.round());
    Row row = compare("System V: copy 1 MiB in and out", race, kernel);
    row.goal = 1.02;
    settings.report.add(row);
    ours.detach(our_bytes);
    theirs.detach(their_bytes);
}

}  // namespace

void add_system_v_cases(const Settings& settings) {
    int rounds = settings.choose(100, 2);
    auto add = [&](const char* name, Way way) {
        benchmark::RegisterBenchmark(name, attach, settings, name, way)->UseManualTime()->Iterations(rounds);
    };
    add("System V: attach by key", &Segment::attach_by_key);
    add("System V: attach by id", &Segment::attach_by_id);
    add("System V: attach as shmop does", &Segment::attach_by_key_and_stat);
    benchmark::RegisterBenchmark("System V: copy", copy, settings)->UseManualTime()->Iterations(rounds);
}

}  // namespace shmd::bench
