// Locks and wake-ups, against pthread mutexes shared between processes and a bare futex. All of them are memory: the daemon
// has no part in what is measured.
#include <linux/futex.h>
#include <pthread.h>
#include <shmd/sync.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cases.hpp"
#include "daemon_fixture.hpp"
#include "libshmd.hpp"
#include "placement.hpp"

namespace shmd::bench {
namespace {

constexpr int cycles = 1000;

void futex_wait(std::uint32_t* word, std::uint32_t expected) {
    ::syscall(SYS_futex, word, FUTEX_WAIT, expected, nullptr, nullptr, 0);
}

void futex_wake(std::uint32_t* word) {
    ::syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

// Memory that this process shares with its children.
struct Shared {
    pthread_mutex_t plain, robust;
    long counter;  // what the locks protect
    alignas(64) std::uint32_t ping;
    alignas(64) std::uint32_t pong;
    // What the other process is to do now, and how often it has been told.
    alignas(64) std::uint32_t order;
    std::uint32_t kind;
    alignas(64) std::uint32_t done;
};

class SharedMemory {
  public:
    SharedMemory() {
        void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) test::fail("mmap");
        shared_ = static_cast<Shared*>(memory);
        pthread_mutexattr_t attributes;
        ::pthread_mutexattr_init(&attributes);
        ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        ::pthread_mutex_init(&shared_->plain, &attributes);
        ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
        ::pthread_mutex_init(&shared_->robust, &attributes);
    }
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;
    ~SharedMemory() { ::munmap(shared_, sizeof(Shared)); }

    Shared* operator->() const { return shared_; }
    Shared& operator*() const { return *shared_; }

  private:
    Shared* shared_;
};

// The ways to hold a lock once around a small change, as both processes do it.
struct Locks {
    Shared& shared;
    shmd_segment* segment;

    void ours() const {
        check(shmd_lock(segment, -1));
        change();
        check(shmd_unlock(segment));
    }
    void plain() const {
        ::pthread_mutex_lock(&shared.plain);
        change();
        ::pthread_mutex_unlock(&shared.plain);
    }
    void robust() const {
        ::pthread_mutex_lock(&shared.robust);
        change();
        ::pthread_mutex_unlock(&shared.robust);
    }
    void read_lock() const {
        check(shmd_read_lock(segment, -1));
        check(shmd_read_unlock(segment));
    }
    void write_lock() const {
        check(shmd_write_lock(segment, -1));
        change();
        check(shmd_write_unlock(segment));
    }

  private:
    void change() const {
        shared.counter++;
        benchmark::ClobberMemory();
    }
};

using Way = void (Locks::*)() const;
constexpr Way ways[] = {&Locks::ours, &Locks::plain, &Locks::robust};

void many(const Locks& locks, Way way) {
    for (int i = 0; i < cycles; i++) (locks.*way)();
}

void uncontended(benchmark::State& state, const Settings& settings) {
    test::Daemon daemon;
    LibClient client = connect_to(daemon.socket());
    LibSegment segment = create_segment(client.get(), "bench/lock", 4096);
    SharedMemory shared;
    Locks locks{*shared, segment.get()};
    Placement placement(Processors::one, {});
    Race race(settings.choose(50, 5), cycles);
    race.add("shmd", [&] { many(locks, &Locks::ours); });
    std::size_t plain = race.add("pthread mutex, shared", [&] { many(locks, &Locks::plain); });
    std::size_t robust = race.add("pthread mutex, robust", [&] { many(locks, &Locks::robust); });
    pthread_rwlock_t rwlock;
    pthread_rwlockattr_t attributes;
    ::pthread_rwlockattr_init(&attributes);
    ::pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_rwlock_init(&rwlock, &attributes);
    std::size_t our_reader = race.add("shmd", [&] { many(locks, &Locks::read_lock); });
    std::size_t reader = race.add("pthread rwlock, shared", [&] {
        for (int i = 0; i < cycles; i++) {
            ::pthread_rwlock_rdlock(&rwlock);
            ::pthread_rwlock_unlock(&rwlock);
        }
    });
    std::size_t our_writer = race.add("shmd", [&] { many(locks, &Locks::write_lock); });
    std::size_t writer = race.add("pthread rwlock, shared", [&] {
        for (int i = 0; i < cycles; i++) {
            ::pthread_rwlock_wrlock(&rwlock);
            ::pthread_rwlock_unlock(&rwlock);
        }
    });
    race.warm_up();
    for (auto _ : state) state.SetIterationTime(race.round());
    Row row = compare("lock and unlock", race, plain);
    row.goal = 1.2;
    settings.report.add(row);
    row = compare("lock and unlock", race, robust);
    row.goal = 1;
    settings.report.add(row);
    settings.report.add(compare_in_pairs("read lock and unlock", race, our_reader, reader));
    settings.report.add(compare_in_pairs("write lock and unlock", race, our_writer, writer));
}

// Another process that does, when it is told to, what this one does at the same time.
class Partner {
  public:
    Partner(const SharedMemory& shared, std::function<std::function<void(std::uint32_t kind)>()> begin)
        : shared_(shared), child_([this, begin](test::Turns& turns) {
              auto work = begin();
              turns.signal();
              for (std::uint32_t seen = 0;;) {
                  futex_wait(&shared_->order, seen);
                  std::uint32_t order = __atomic_load_n(&shared_->order, __ATOMIC_ACQUIRE);
                  if (order == seen) continue;
                  seen = order;
                  work(shared_->kind);
                  __atomic_store_n(&shared_->done, seen, __ATOMIC_RELEASE);
                  futex_wake(&shared_->done);
              }
              return 0;
          }) {
        child_.wait_for_byte();
    }

    [[nodiscard]] pid_t pid() const { return child_.pid(); }
    void begin(std::uint32_t kind) {
        shared_->kind = kind;
        __atomic_store_n(&shared_->order, ++orders_, __ATOMIC_RELEASE);
        futex_wake(&shared_->order);
    }
    void await_end() const {
        for (std::uint32_t done; (done = __atomic_load_n(&shared_->done, __ATOMIC_ACQUIRE)) != orders_;) {
            futex_wait(&shared_->done, done);
        }
    }

  private:
    const SharedMemory& shared_;
    std::uint32_t orders_ = 0;
    test::ChildProcess child_;
};

void contended(benchmark::State& state, const Settings& settings, Processors processors, const std::string& name) {
    if (processors == Processors::two && !has_two_processors()) return state.SkipWithError("there is only one processor");
    test::Daemon daemon;
    LibClient client = connect_to(daemon.socket());
    LibSegment segment = create_segment(client.get(), "bench/lock", 4096);
    SharedMemory shared;
    Locks locks{*shared, segment.get()};
    Partner partner(shared, [&] {
        auto* mine = new LibClient(connect_to(daemon.socket()));
        shmd_segment* opened = nullptr;
        check(shmd_open(mine->get(), "bench/lock", SHMD_WRITE, &opened));
        return [&shared, opened](std::uint32_t kind) { many({*shared, opened}, ways[kind]); };
    });
    Placement placement(processors, {partner.pid()});
    Race race(settings.choose(50, 3), 2 * cycles);
    auto together = [&](std::uint32_t kind) {
        return [&, kind] {
            partner.begin(kind);
            many(locks, ways[kind]);
            partner.await_end();
        };
    };
    race.add("shmd", together(0));
    std::size_t plain = race.add("pthread mutex, shared", together(1));
    std::size_t robust = race.add("pthread mutex, robust", together(2));
    race.warm_up();
    for (auto _ : state) state.SetIterationTime(race.round());
    Row row = compare(name, race, plain);
    row.goal = 1.2;
    settings.report.add(row);
    settings.report.add(compare(name, race, robust));
}

// There and back: two wake-ups.
void wake_up(benchmark::State& state, const Settings& settings, Processors processors, shmd_access access,
             const std::string& name) {
    if (processors == Processors::two && !has_two_processors()) return state.SkipWithError("there is only one processor");
    constexpr std::uint32_t rounds = 100;
    test::Daemon daemon;
    LibClient client = connect_to(daemon.socket());
    LibSegment ping = create_segment(client.get(), "bench/ping", 64);
    LibSegment pong = create_segment(client.get(), "bench/pong", 64);
    // Each waits on one of them, with this access, and notifies of the other.
    shmd_segment* awaited = nullptr;
    check(shmd_open(client.get(), "bench/pong", access, &awaited));
    LibSegment waits_for_pong(awaited);
    SharedMemory shared;
    Partner partner(shared, [&] {
        auto* mine = new LibClient(connect_to(daemon.socket()));
        shmd_segment *there = nullptr, *back = nullptr;
        check(shmd_open(mine->get(), "bench/ping", access, &there));
        check(shmd_open(mine->get(), "bench/pong", SHMD_WRITE, &back));
        std::uint64_t version = 0;
        check(shmd_get_version(there, &version));
        return [&shared, there, back, version](std::uint32_t kind) mutable {
            for (std::uint32_t i = 0; i < rounds; i++) {
                if (kind == 0) {
                    check(shmd_wait(there, version, -1, &version));
                    check(shmd_notify(back, nullptr));
                    continue;
                }
                for (std::uint32_t seen; (seen = __atomic_load_n(&shared->ping, __ATOMIC_ACQUIRE)) % 2 == 0;) {
                    futex_wait(&shared->ping, seen);
                }
                __atomic_fetch_add(&shared->ping, 1, __ATOMIC_SEQ_CST);
                __atomic_fetch_add(&shared->pong, 1, __ATOMIC_SEQ_CST);
                futex_wake(&shared->pong);
            }
        };
    });
    Placement placement(processors, {partner.pid()});
    std::uint64_t version = 0;
    check(shmd_get_version(waits_for_pong.get(), &version));
    Race race(settings.choose(50, 3), rounds);
    race.add("shmd", [&] {
        partner.begin(0);
        for (std::uint32_t i = 0; i < rounds; i++) {
            check(shmd_notify(ping.get(), nullptr));
            check(shmd_wait(waits_for_pong.get(), version, -1, &version));
        }
        partner.await_end();
    });
    std::size_t bare = race.add("bare futex", [&] {
        partner.begin(1);
        for (std::uint32_t i = 0; i < rounds; i++) {
            std::uint32_t before = __atomic_load_n(&shared->pong, __ATOMIC_ACQUIRE);
            __atomic_fetch_add(&shared->ping, 1, __ATOMIC_SEQ_CST);
            futex_wake(&shared->ping);
            while (__atomic_load_n(&shared->pong, __ATOMIC_ACQUIRE) == before) futex_wait(&shared->pong, before);
        }
        partner.await_end();
    });
    race.warm_up();
    for (auto _ : state) state.SetIterationTime(race.round());
    Row row = compare(name, race, bare);
    row.goal = 1.2;
    settings.report.add(row);
}

}  // namespace

void add_sync_cases(const Settings& settings) {
    auto add = [&](const std::string& name, auto run) {
        benchmark::RegisterBenchmark(name.c_str(), run)
            ->UseManualTime()
            ->Iterations(settings.choose(40, 1));
    };
    add("lock and unlock", [&settings](benchmark::State& state) { uncontended(state, settings); });
    for (auto [processors, where] : {std::pair{Processors::one, ""}, {Processors::two, ", two processors"}}) {
        std::string suffix = where;
        add("lock, contended" + suffix, [=, &settings](benchmark::State& state) {
            contended(state, settings, processors, "lock, contended" + suffix);
        });
        add("wake-up" + suffix, [=, &settings](benchmark::State& state) {
            wake_up(state, settings, processors, SHMD_WRITE, "wake-up" + suffix);
        });
        add("wake-up of a reader" + suffix, [=, &settings](benchmark::State& state) {
            wake_up(state, settings, processors, SHMD_READ, "wake-up of a reader" + suffix);
        });
    }
}

}  // namespace shmd::bench
