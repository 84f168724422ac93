// Large calls are served in parts, or elsewhere, and others in between. Told by the order of what happens, never by
// times: all is sent while the daemon stands still, and it finds the large call first.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "daemon_fixture.hpp"
#include "limits.hpp"
#include "varlink_client.hpp"

using namespace shmd;
using namespace shmd::test;

namespace {

/// The daemon, as long as it stands still.
class Standstill {
  public:
    explicit Standstill(const Daemon& daemon) : pid_(daemon.pid()) {
        ::kill(pid_, SIGSTOP);
        siginfo_t stopped{};
        if (::waitid(P_PID, static_cast<id_t>(pid_), &stopped, WSTOPPED | WNOWAIT) != 0) {
            fail(std::string("waitid: ") + std::strerror(errno));
        }
    }
    Standstill(const Standstill&) = delete;
    Standstill& operator=(const Standstill&) = delete;
    ~Standstill() { ::kill(pid_, SIGCONT); }

  private:
    pid_t pid_;
};

/// All of the daemon's threads but the one with the event loop stand still.
class StoppedWorkers {
  public:
    explicit StoppedWorkers(const Daemon& daemon) {
        for (const auto& task :
             std::filesystem::directory_iterator("/proc/" + std::to_string(daemon.pid()) + "/task")) {
            auto thread = static_cast<pid_t>(std::stol(task.path().filename()));
            if (thread == daemon.pid()) continue;
            if (::ptrace(PTRACE_SEIZE, thread, nullptr, nullptr) != 0 ||
                ::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) != 0 ||
                ::waitpid(thread, nullptr, __WALL) != thread) {
                fail(std::string("ptrace: ") + std::strerror(errno));
            }
            threads_.push_back(thread);
        }
        if (threads_.empty()) fail("the daemon has no thread but one");
    }
    StoppedWorkers(const StoppedWorkers&) = delete;
    StoppedWorkers& operator=(const StoppedWorkers&) = delete;
    ~StoppedWorkers() {
        for (pid_t thread : threads_) ::ptrace(PTRACE_DETACH, thread, nullptr, nullptr);
    }

  private:
    std::vector<pid_t> threads_;
};

Create small(std::string key) {
    Create call;
    call.key = std::move(key);
    call.size_bytes = 1;
    return call;
}

std::string numbered(std::size_t number) {
    return "k" + std::to_string(number);
}

// Turns that receiving the other's call may take: served before the call that is to come in between.
constexpr int turns_before = 6;

void send_after_some_turns(RawClient& client, const CallBody& call) {
    for (int i = 0; i < turns_before; i++) client.send(GetInfo{}, {.oneway = true});
    client.send(call);
}

}  // namespace

TEST_CASE("of a batch of opens only a part is granted before others are served") {
    const Daemon daemon;
    RawClient greedy(daemon.socket()), other(daemon.socket());
    OpenMany batch;
    for (std::size_t i = 0; i < limits::batch; i++) {
        REQUIRE_FALSE(other.call(small(numbered(i))).is_error());
        batch.targets.push_back({numbered(i), std::nullopt});
    }
    {
        const Standstill standstill(daemon);
        greedy.send(batch);
        send_after_some_turns(other, Delete{{numbered(limits::batch - 1), std::nullopt}});
    }
    CHECK_FALSE(other.receive_reply<Delete>().is_error());
    auto opened = greedy.receive_reply<OpenMany>();
    const auto& results = opened.value().results;
    REQUIRE(results.size() == limits::batch);
    CHECK(opened.fds.size() == limits::batch - 1);
    for (std::size_t i = 0; i + 1 < results.size(); i++) REQUIRE(results[i].grant);
    REQUIRE(results.back().error);
    CHECK(results.back().error->known == Error::no_such_segment(numbered(limits::batch - 1), std::nullopt));
}

TEST_CASE("of a batch of creates only a part is made before others are served, and still it is all or none") {
    const Daemon daemon;
    RawClient greedy(daemon.socket()), other(daemon.socket());
    CreateMany batch;
    for (std::size_t i = 0; i < limits::batch; i++) batch.segments.push_back(small(numbered(i)));
    {
        const Standstill standstill(daemon);
        greedy.send(batch);
        send_after_some_turns(other, small(numbered(limits::batch - 1)));
    }
    CHECK_FALSE(other.receive_reply<Create>().is_error());
    CHECK(greedy.receive_reply<CreateMany>().known_error() == Error::segment_exists(numbered(limits::batch - 1)));
    CHECK(other.list().size() == 1);
    REQUIRE_FALSE(other.call(Delete{{numbered(limits::batch - 1), std::nullopt}}).is_error());
    CHECK(greedy.call(batch).value().grants.size() == limits::batch);
}

TEST_CASE("a large one among many that are made in parts is reserved, wherever it stands") {
    Daemon daemon;
    RawClient client(daemon.socket());
    for (std::size_t place : {0, 15, 16, 39}) {
        shmd::CreateMany call;
        for (std::size_t i = 0; i < 40; i++) {
            call.segments.push_back({"at/" + std::to_string(place) + "/" + std::to_string(i), i == place ? 1 << 20 : 4096});
        }
        auto reply = client.call(call);
        REQUIRE_FALSE(reply.is_error());
        REQUIRE(reply.fds.size() == call.segments.size());
        for (std::size_t i = 0; i < reply.fds.size(); i++) {
            struct stat status {};
            REQUIRE(::fstat(reply.fds[i].get(), &status) == 0);
            CHECK(status.st_size == call.segments[i].size_bytes);
            CHECK(512 * status.st_blocks >= status.st_size);
        }
    }
}

TEST_CASE("a batch whose client has gone is made all the same, as what it sent before is always served") {
    const Daemon daemon;
    RawClient other(daemon.socket());
    CreateMany batch;
    for (std::size_t i = 0; i < limits::batch; i++) batch.segments.push_back(small(numbered(i)));
    {
        RawClient leaving(daemon.socket());
        const Standstill standstill(daemon);
        leaving.send(batch, {.oneway = true});
    }
    Open last;
    last.target = {numbered(limits::batch - 1), std::nullopt};
    last.wait_usec = std::int64_t{patience.count()} * 1'000'000;
    CHECK_FALSE(other.call(last).is_error());
    CHECK(other.list().size() == limits::batch);
}

TEST_CASE("while a large message is being read others are served") {
    const Daemon daemon;
    RawClient large(daemon.socket()), other(daemon.socket());
    REQUIRE_FALSE(other.call(small("k")).is_error());
    const std::string call = encode_call(Delete{{"k", std::nullopt}});
    {
        const StoppedWorkers workers(daemon);
        large.send_text(call + std::string(100'000, ' '));
        // More than it takes the event loop to receive all of that.
        for (int i = 0; i < 200; i++) REQUIRE_FALSE(other.call(Describe{{"k", std::nullopt}}).is_error());
    }
    CHECK_FALSE(large.receive_reply<Delete>().is_error());
    CHECK(other.call(Describe{{"k", std::nullopt}}).is_error());
    // In their order, the small ones behind it too.
    large.send_text(encode_call(GetInfo{}) + std::string(100'000, ' '));
    large.send(Describe{{"k", std::nullopt}});
    CHECK_FALSE(large.receive_reply<GetInfo>().is_error());
    CHECK(large.receive_reply<Describe>().known_error() == Error::no_such_segment("k", std::nullopt));
}

TEST_CASE("of the connections of one process only some are served before another process is") {
    const Daemon daemon;
    std::vector<RawClient> greedy;
    for (std::size_t i = 0; i < 60; i++) {
        greedy.emplace_back(daemon.socket());
        REQUIRE_FALSE(greedy.back().call(small(numbered(i))).is_error());
    }
    ChildProcess other([&](Turns& turns) {
        RawClient client(daemon.socket());
        (void)client.call(GetInfo{}).value();
        turns.signal();
        turns.wait();
        client.send(List{}, {.more = true});
        turns.signal();
        std::size_t there = 0;
        while (client.receive_reply<List>().reply.continues) there++;
        return there > 20 ? 0 : 1;
    });
    other.wait_for_byte();
    {
        const Standstill standstill(daemon);
        for (std::size_t i = 0; i < greedy.size(); i++) greedy[i].send(Delete{{numbered(i), std::nullopt}});
        other.send_byte();
        other.wait_for_byte();
    }
    CHECK(other.wait() == 0);
    for (RawClient& each : greedy) CHECK_FALSE(each.receive_reply<Delete>().is_error());
}
