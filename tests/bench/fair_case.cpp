// What one client can do to the others: 64 processes open as fast as they can, or one of them asks for the worst that
// it may ask for instead. The others' times beside it are compared with those beside one that opens as they do.
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bad_client.hpp"
#include "cases.hpp"
#include "daemon_fixture.hpp"
#include "libshmd.hpp"

namespace shmd::bench {
namespace {

constexpr const char* key = "bench/fair";
constexpr std::size_t most_clients = 64;
constexpr std::size_t most_samples = 100'000;
constexpr uid_t bad_user = 61'001;
constexpr gid_t bad_group = 62'001;

/// What all of these processes see: the end of a phase, and what each has measured in it.
class Board {
  public:
    Board() {
        constexpr int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
        void* address = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, flags, -1, 0);
        if (address == MAP_FAILED) test::fail(std::string("mmap: ") + std::strerror(errno));
        shared_ = new (address) Shared;
    }
    Board(const Board&) = delete;
    Board& operator=(const Board&) = delete;
    ~Board() { ::munmap(shared_, sizeof *shared_); }

    std::atomic<bool>& is_over() { return shared_->is_over; }
    void add(std::size_t client, std::int64_t ns) {
        Lane& lane = shared_->lanes[client];
        if (lane.count < most_samples) lane.ns[lane.count++] = static_cast<std::uint32_t>(ns);
    }
    /// Takes what all of them have measured.
    void take(Samples& samples) {
        for (Lane& lane : shared_->lanes) {
            for (std::size_t i = 0; i < lane.count; i++) samples.add(lane.ns[i]);
            lane.count = 0;
        }
    }

  private:
    struct Lane {
        std::size_t count;
        std::uint32_t ns[most_samples];
    };
    struct Shared {
        std::atomic<bool> is_over;
        Lane lanes[most_clients];
    };
    Shared* shared_;
};

// In each phase that it is woken for it opens until the phase is over.
int run_good(test::Turns& turns, const std::string& socket, Board& board, std::optional<std::size_t> lane) {
    LibClient client = connect_to(socket);
    turns.signal();
    for (;;) {
        turns.wait();
        while (!board.is_over()) {
            std::int64_t begin = now_ns();
            open_and_touch(client.get(), key);
            if (lane) board.add(*lane, now_ns() - begin);
        }
        turns.signal();
    }
}

// It has asked once when it says that it is ready, and its connections have ended when it says that it has.
int run_bad(test::Turns& turns, const std::string& socket, Board& board, const BadKind& kind) {
    turns.signal();
    for (;;) {
        turns.wait();
        auto client = kind.make(socket);
        client->ask();
        turns.signal();
        while (!board.is_over()) client->ask();
        client.reset();
        turns.signal();
    }
}

class Neighbours {
  public:
    Neighbours(const BadKind& kind, std::size_t clients) {
        LibClient client = connect_to(daemon_.socket());
        create_for_all(client.get(), key);
        for (int i = 0; i < bad_client_targets; i++) create_for_all(client.get(), bad_client_target(i).c_str());
        for (std::size_t i = 0; i < clients; i++) {
            // The last one's times do not count: it is there in one of the phases alone.
            auto lane = i + 1 < clients ? std::optional(i) : std::nullopt;
            add([this, lane](test::Turns& turns) { return run_good(turns, daemon_.socket(), board_, lane); });
        }
        // Root would be held to no limit of a user.
        auto user = test::is_root() ? std::optional(test::User{bad_user, bad_group, {}}) : std::nullopt;
        add([&](test::Turns& turns) { return run_bad(turns, daemon_.socket(), board_, kind); }, user);
    }

    void measure_good(Samples& samples, std::chrono::milliseconds length) {
        board_.is_over() = false;
        for (std::size_t i = 0; i + 1 < all_.size(); i++) all_[i]->send_byte();
        std::this_thread::sleep_for(length);
        board_.is_over() = true;
        for (std::size_t i = 0; i + 1 < all_.size(); i++) all_[i]->wait_for_byte();
        board_.take(samples);
    }

    void measure_bad(Samples& samples, std::chrono::milliseconds length) {
        board_.is_over() = false;
        all_.back()->send_byte();
        all_.back()->wait_for_byte();
        for (std::size_t i = 0; i + 2 < all_.size(); i++) all_[i]->send_byte();
        std::this_thread::sleep_for(length);
        board_.is_over() = true;
        for (std::size_t i = 0; i + 2 < all_.size(); i++) all_[i]->wait_for_byte();
        all_.back()->wait_for_byte();
        board_.take(samples);
        // What the bad one had ends in the daemon without anybody being told.
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }

  private:
    // The bad one, too, may open it, and hear of every open.
    static void create_for_all(shmd_client* client, const char* name) {
        shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
        options.mode = 0644;
        shmd_segment* segment = nullptr;
        check(shmd_create(client, name, 4096, &options, &segment));
        shmd_close(segment);
    }
    void add(std::function<int(test::Turns&)> run, std::optional<test::User> user = {}) {
        all_.push_back(std::make_unique<test::ChildProcess>(std::move(user), std::move(run)));
        all_.back()->wait_for_byte();
    }

    test::Daemon daemon_;
    Board board_;
    std::vector<std::unique_ptr<test::ChildProcess>> all_;  // the bad one is the last
};

void open_beside_bad(benchmark::State& state, const Settings& settings, const BadKind& kind) {
    const auto clients = static_cast<std::size_t>(settings.choose(most_clients, 4));
    const std::chrono::milliseconds length(settings.choose(400, 20));
    Neighbours neighbours(kind, clients);
    Samples beside_good, beside_bad, warm_up;
    neighbours.measure_good(warm_up, length);
    for (auto _ : state) {
        neighbours.measure_good(beside_good, length);
        std::int64_t begin = now_ns();
        neighbours.measure_bad(beside_bad, length);
        state.SetIterationTime(static_cast<double>(now_ns() - begin) / 1e9);
    }
    Row row{std::string("open beside ") + kind.name,
            "one of " + std::to_string(clients) + " alike",
            beside_bad.median(),
            beside_good.median(),
            beside_bad.p99(),
            beside_good.p99()};
    row.goal_p99 = 3;
    settings.report.add(row);
}

}  // namespace

void add_fair_cases(const Settings& settings) {
    for (const BadKind& kind : bad_kinds()) {
        benchmark::RegisterBenchmark((std::string("fair, ") + kind.name).c_str(), open_beside_bad, settings, kind)
            ->UseManualTime()
            ->Iterations(settings.choose(8, 1));
    }
}

}  // namespace shmd::bench
