// shmd_iceoryx_bench: shmd's ring buffer beside iceoryx, between two processes, in turns in the same run. Both hand records over in
// place: reserve, commit, peek, advance here; loan, publish, take, release there. Starts RouDi, iceoryx's broker, and ends it.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <shmd/ring.hpp>
#include <string>
#include <string_view>
#include <vector>

#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_posh/mepoo/chunk_header.hpp>
#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/popo/wait_set.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>

#include "daemon_fixture.hpp"
#include "placement.hpp"
#include "records.hpp"
#include "report.hpp"
#include "samples.hpp"

namespace shmd::bench {
namespace {

enum class Waiting { poll, block };
enum class Way { one_way, there_and_back };
constexpr Shape shapes[] = {
    {64, Content::whole, "64 B", 20000, 200, 500},
    {std::size_t{4} << 10, Content::whole, "4 KiB", 4000, 200, 300},
    {std::size_t{1} << 20, Content::whole, "1 MiB", 40, 4, 20},
    {std::size_t{1} << 20, Content::ends, "1 MiB, untouched", 4000, 4, 300},
};

struct Case {
    Shape shape;
    Way way;
    Waiting waiting;
    Processors processors;
    std::string name;

    [[nodiscard]] std::uint64_t records() const { return way == Way::one_way ? shape.burst : warm_up + shape.trips; }
    static constexpr std::uint64_t warm_up = 10;
};

// In memory of all three processes. What the reader has read is the same for both ways: neither has to say it itself.
struct Shared {
    alignas(64) std::atomic<std::uint64_t> consumed{0};
    alignas(64) std::atomic<bool> over{false};   // the case
    alignas(64) std::atomic<bool> ended{false};  // all of them
};

/// Two rings. Who may write the segment waits without a system call for each notification.
class RingLink {
  public:
    RingLink(Client& client, std::size_t number, Side side, Waiting waiting)
        : waiting_(waiting),
          producer_(client.open_write(key(number, side == Side::parent))),
          consumer_(client.open_write(key(number, side == Side::child))) {}

    /// Room for what is under way and little more: iceoryx, too, uses the same few chunks again and again.
    static void prepare(Client& client, std::size_t number, const Case& what) {
        std::uint64_t records = what.way == Way::one_way ? what.shape.window + 2 : 2;
        std::uint64_t bytes = (256 + records * (what.shape.bytes + 16) + 4095) / 4096 * 4096;
        for (bool there : {true, false}) {
            ring::Producer format(client.create(key(number, there), bytes, {.reserve = Reserve::populate}));
        }
    }
    static void remove(Client& client, std::size_t number) {
        for (bool there : {true, false}) client.delete_segment(key(number, there));
    }

    void send(const Load& load) {
        load.fill(producer_.reserve(load.bytes()).data());
        producer_.commit();
    }
    void receive(const Load& load) {
        for (Spin spin;;) {
            if (auto record = consumer_.peek()) {
                load.check(record->data.data(), record->data.size());
                if (!consumer_.advance() || record->lost > 0) test::fail("a record was lost");
                return;
            }
            if (waiting_ == Waiting::block) {
                (void)consumer_.wait(std::chrono::seconds(1));
            } else {
                spin.once();
            }
        }
    }

  private:
    static std::string key(std::size_t number, bool there) { return (there ? "there" : "back") + std::to_string(number); }

    Waiting waiting_;
    ring::Producer producer_;
    ring::Consumer consumer_;
};

/// A publisher and a subscriber. Nothing is lost in iceoryx either: a queue that is full blocks its publisher.
class IceoryxLink {
  public:
    IceoryxLink(std::size_t number, Side side, Waiting waiting)
        : waiting_(waiting),
          publisher_(service(number, side == Side::parent), publisher_options()),
          subscriber_(service(number, side == Side::child), subscriber_options()) {
        // Only then: a publisher makes a system call for a subscriber that is attached.
        if (waiting == Waiting::block) {
            set_.attachState(subscriber_, iox::popo::SubscriberState::HAS_DATA).or_else([](auto) { test::fail("attachState"); });
        }
        for (Spin spin; !publisher_.hasSubscribers() ||
                        subscriber_.getSubscriptionState() != iox::SubscribeState::SUBSCRIBED;) {
            spin.once();
        }
    }
    ~IceoryxLink() {
        if (waiting_ == Waiting::block) set_.detachState(subscriber_, iox::popo::SubscriberState::HAS_DATA);
    }
    IceoryxLink(const IceoryxLink&) = delete;
    IceoryxLink& operator=(const IceoryxLink&) = delete;

    void send(const Load& load) {
        auto chunk = publisher_.loan(static_cast<std::uint32_t>(load.bytes()));
        if (chunk.has_error()) test::fail("iceoryx has no chunk to lend");
        load.fill(chunk.value());
        publisher_.publish(chunk.value());
    }
    void receive(const Load& load) {
        for (Spin spin;;) {
            auto chunk = subscriber_.take();
            if (!chunk.has_error()) {
                load.check(chunk.value(), iox::mepoo::ChunkHeader::fromUserPayload(chunk.value())->userPayloadSize());
                subscriber_.release(chunk.value());
                return;
            }
            if (waiting_ == Waiting::block) {
                (void)set_.wait();
            } else {
                spin.once();
            }
        }
    }

  private:
    static iox::capro::ServiceDescription service(std::size_t number, bool there) {
        std::string event = std::to_string(number);
        return {"shmd_iceoryx_bench", there ? iox::capro::IdString_t("there") : iox::capro::IdString_t("back"),
                iox::capro::IdString_t(iox::cxx::TruncateToCapacity, event.c_str())};
    }
    static iox::popo::PublisherOptions publisher_options() {
        iox::popo::PublisherOptions options;
        options.subscriberTooSlowPolicy = iox::popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
        return options;
    }
    static iox::popo::SubscriberOptions subscriber_options() {
        iox::popo::SubscriberOptions options;
        options.queueCapacity = 256;
        options.queueFullPolicy = iox::popo::QueueFullPolicy::BLOCK_PRODUCER;
        return options;
    }

    Waiting waiting_;
    iox::popo::UntypedPublisher publisher_;
    iox::popo::UntypedSubscriber subscriber_;
    iox::popo::WaitSet<> set_;
};

std::string runtime_name(Side side, pid_t of) {
    return "shmd_iceoryx_bench_" + std::to_string(of) + (side == Side::parent ? "_parent" : "_child");
}

void start_runtime(Side side, pid_t of) {
    const std::string name = runtime_name(side, of);
    iox::log::LogManager::GetLogManager().SetDefaultLogLevel(iox::log::LogLevel::kWarn, iox::log::LogLevelOutput::kHideLogLevel);
    iox::runtime::PoshRuntime::initRuntime(iox::RuntimeName_t(iox::cxx::TruncateToCapacity, name.c_str()));
}

/// The other process: a case after the other, and each block of it when the parent says so.
template <typename Make>
void serve(test::Turns& turns, Shared& shared, const std::vector<Case>& cases, Make make) {
    for (std::size_t i = 0; i < cases.size(); i++) {
        turns.wait();
        const Load load(cases[i].shape);
        auto link = make(i, cases[i]);
        turns.signal();
        for (;;) {
            turns.wait();
            if (shared.over) break;
            const std::uint64_t records = cases[i].records();
            for (std::uint64_t n = 1; n <= records; n++) {
                link->receive(load);
                if (cases[i].way == Way::there_and_back) {
                    link->send(load);
                } else {
                    shared.consumed.store(n, std::memory_order_release);
                }
            }
            turns.signal();
        }
        link.reset();
        turns.signal();
    }
}

/// Never more than a window ahead of the reader. Each window is a sample, so that one in which the scheduler did something else spoils
/// no other; the first one is not, as it finds an empty queue.
template <typename Link>
void send_one_way(const Case& what, const Shared& shared, Link& link, const Load& load, Samples& samples) {
    const std::uint64_t window = what.shape.window;
    std::uint64_t read = 0;
    auto until = [&](std::uint64_t number) {
        for (Spin spin; read < number; read = shared.consumed.load(std::memory_order_acquire)) spin.once();
    };
    std::int64_t begin = now_ns();
    for (std::uint64_t n = 0; n < what.records(); n++) {
        if (n >= window) until(n - window + 1);
        link.send(load);
        if ((n + 1) % window != 0) continue;
        std::int64_t end = now_ns();
        if (n >= window) samples.add(static_cast<double>(end - begin) / static_cast<double>(window));
        begin = end;
    }
    until(what.records());
}

template <typename Link>
void run_block(const Case& what, Shared& shared, const test::ChildProcess& other, Link& link, const Load& load, Samples& samples) {
    shared.consumed = 0;
    other.send_byte();
    if (what.way == Way::there_and_back) {
        for (std::uint64_t n = 0; n < what.records(); n++) {
            std::int64_t begin = now_ns();
            link.send(load);
            link.receive(load);
            if (n >= Case::warm_up) samples.add(static_cast<double>(now_ns() - begin));
        }
    } else {
        send_one_way(what, shared, link, load, samples);
    }
    other.wait_for_byte();
}

/// Ends with SIGTERM: then it removes its shared memory and sockets.
class Roudi {
  public:
    /// Why it does not run, or nothing.
    std::optional<std::string> start() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) test::fail("pipe2");
        says_ = UniqueFd(ends[0]);
        UniqueFd out(ends[1]);
        process_ = test::spawn({"/usr/bin/env", "iox-roudi", "--monitoring-mode", "off"}, {.out = out.get(), .err = out.get()});
        out.reset();
        std::string text;
        char buffer[4096];
        while (text.find("ready for clients") == std::string::npos) {
            ssize_t count = ::read(says_.get(), buffer, sizeof buffer);
            if (count <= 0) return "iox-roudi ended with status " + std::to_string(process_.wait()) + ": " + text;
            text.append(buffer, static_cast<std::size_t>(count));
        }
        return std::nullopt;
    }
    Roudi() = default;
    Roudi(const Roudi&) = delete;
    Roudi& operator=(const Roudi&) = delete;
    ~Roudi() {
        if (!process_.running()) return;
        try {
            process_.signal(SIGTERM);
            process_.wait();
        } catch (...) {  // it is killed then
        }
    }

  private:
    UniqueFd says_;
    test::OwnedProcess process_;
};

std::vector<Case> all_cases() {
    std::vector<Case> cases;
    for (const Shape& shape : shapes) {
        auto add = [&](Way way, Waiting waiting, Processors processors) {
            if (processors == Processors::two && !has_two_processors()) return;
            std::string name = std::string("ring, ") + shape.name + (way == Way::one_way ? ", one way" : ", there and back") +
                               (waiting == Waiting::poll ? ", polling" : ", blocking") +
                               (processors == Processors::one ? ", one processor" : "");
            cases.push_back({shape, way, waiting, processors, name});
        };
        for (Way way : {Way::one_way, Way::there_and_back}) {
            for (Waiting waiting : {Waiting::poll, Waiting::block}) add(way, waiting, Processors::two);
        }
        add(Way::there_and_back, Waiting::block, Processors::one);
    }
    return cases;
}

struct Options {
    bool quick = false;
    std::optional<std::string> json;
};
Options options;
bool measured = false;

[[noreturn]] void misused() {
    std::puts(
        "Usage: shmd_iceoryx_bench [--quick] [--json FILE]\n"
        "Measures the ring buffer and iceoryx in turns, and prints the ratios of their times.\n"
        "  --quick      only shows that every case works: the numbers mean nothing\n"
        "  --json FILE  also writes the rows to this file");
    std::exit(2);
}

Options parse(int argc, char** argv) {
    Options given;
    for (int i = 1; i < argc; i++) {
        const std::string_view argument = argv[i];
        if (argument == "--quick") {
            given.quick = true;
        } else if (argument == "--json" && i + 1 < argc) {
            given.json = argv[++i];
        } else {
            misused();
        }
    }
    return given;
}

// Returns the exit status. `starter` names the sockets. Signals each round, so that who waits sees it go on.
int measure(const test::Daemon& daemon, Shared& shared, pid_t starter, const test::Turns& progress) {
    const std::vector<Case> cases = all_cases();
    // Before this process has a runtime of iceoryx's, which a child could not use.
    test::ChildProcess ring_child([&](test::Turns& turns) {
        Client client(daemon.socket());
        serve(turns, shared, cases, [&](std::size_t i, const Case& each) {
            return std::make_unique<RingLink>(client, i, Side::child, each.waiting);
        });
        return 0;
    });
    test::ChildProcess iceoryx_child([&](test::Turns& turns) -> int {
        start_runtime(Side::child, starter);
        serve(turns, shared, cases, [](std::size_t i, const Case& each) {
            return std::make_unique<IceoryxLink>(i, Side::child, each.waiting);
        });
        std::exit(0);  // with destructors: the runtime takes its leave of RouDi
    });
    start_runtime(Side::parent, starter);
    Client client(daemon.socket());

    if (!has_two_processors()) std::printf("left out: all that needs two processors; there is one\n");
    print_heading();
    std::vector<Row> rows;
    for (std::size_t i = 0; i < cases.size(); i++) {
        const Case& each = cases[i];
        const Load load(each.shape);
        RingLink::prepare(client, i, each);
        shared.over = false;
        ring_child.send_byte();
        iceoryx_child.send_byte();
        {
            RingLink ring(client, i, Side::parent, each.waiting);
            IceoryxLink iceoryx(i, Side::parent, each.waiting);
            ring_child.wait_for_byte();
            iceoryx_child.wait_for_byte();
            Placement placement(each.processors, {daemon.pid(), ring_child.pid(), iceoryx_child.pid()});
            Samples ours, theirs, not_counted;
            auto round = [&](bool ring_first, Samples& into, Samples& into_theirs) {
                if (ring_first) run_block(each, shared, ring_child, ring, load, into);
                run_block(each, shared, iceoryx_child, iceoryx, load, into_theirs);
                if (!ring_first) run_block(each, shared, ring_child, ring, load, into);
                progress.signal();
            };
            round(true, not_counted, not_counted);
            const int rounds = options.quick ? 2 : each.way == Way::one_way ? 60 : 30;
            for (int n = 0; n < rounds; n++) round(n % 2 == 0, ours, theirs);
            rows.push_back({each.name, "iceoryx", ours.median(), theirs.median(), ours.p99(), theirs.p99()});
            if (!options.quick) rows.back().goal = 1;
            print(rows.back());
            shared.over = true;
            ring_child.send_byte();
            iceoryx_child.send_byte();
            ring_child.wait_for_byte();
            iceoryx_child.wait_for_byte();
        }
        RingLink::remove(client, i);
    }
    if (options.json) write_json(rows, *options.json);
    return ring_child.wait() + iceoryx_child.wait();
}

// The fixtures of the tests end what fails through doctest.
TEST_CASE("the ring buffer beside iceoryx") {
    void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) test::fail("mmap");
    Shared& shared = *new (memory) Shared;
    test::Daemon daemon;
    Roudi roudi;
    if (auto why = roudi.start()) {
        const std::vector<Row> rows{skip("ring", "iceoryx", *why)};
        print(rows.front());
        if (options.json) write_json(rows, *options.json);
        measured = true;
        return;
    }
    // RouDi ends the processes that have a runtime when it ends, so this one has none.
    const pid_t starter = ::getpid();
    test::ChildProcess measuring([&](test::Turns& turns) -> int {
        int status = measure(daemon, shared, starter, turns);
        shared.ended = true;
        turns.signal();
        std::exit(status);
    });
    while (!shared.ended) measuring.wait_for_byte();
    measured = measuring.wait() == 0;
}

}  // namespace
}  // namespace shmd::bench

int main(int argc, char** argv) {
    shmd::bench::options = shmd::bench::parse(argc, argv);
    doctest::Context context;
    context.setOption("minimal", true);
    context.setOption("no-colors", true);
    int failed = context.run();
    return failed == 0 && shmd::bench::measured ? 0 : 1;
}
