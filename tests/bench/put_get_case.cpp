#include <sys/mman.h>

#include <new>

#include "cases.hpp"
#include "daemon_fixture.hpp"
#include "exchange.hpp"
#include "placement.hpp"

namespace shmd::bench {
namespace {

struct Shape {
    std::size_t bytes;
    const char* name;
    int block, rounds;
    // What favours the servers: where little is said, one processor, which needs not be woken; where much is, sending
    // and receiving at once.
    Processors processors;
};
constexpr Shape shapes[] = {
    {64, "64 B", 25, 60, Processors::one},
    {std::size_t{4} << 10, "4 KiB", 25, 60, Processors::one},
    {std::size_t{1} << 20, "1 MiB", 5, 60, Processors::two},
    {std::size_t{64} << 20, "64 MiB", 1, 20, Processors::two},
};

// In memory of both processes.
struct Seen {
    double ns = 0;
    std::uint64_t sum = 0;
};

/// An object's content, another one each time.
class Content {
  public:
    explicit Content(std::size_t bytes) : words_(bytes / sizeof(std::uint64_t)) {
        for (std::size_t i = 1; i < words_.size(); i++) words_[i] = i * 2654435761U;
        rest_ = sum_of(bytes_view());
    }
    void change() { words_[0]++; }
    [[nodiscard]] std::span<const std::byte> bytes_view() const { return std::as_bytes(std::span(words_)); }
    [[nodiscard]] std::uint64_t sum() const { return rest_ + words_[0]; }

  private:
    std::vector<std::uint64_t> words_;
    std::uint64_t rest_ = 0;
};

/// This process puts, another one gets. What they say to each other in between is not measured.
class Trade {
  public:
    Trade(Exchange& exchange, Seen& seen)
        : exchange_(exchange), seen_(seen), reader_([&exchange, &seen](test::Turns& turns) {
              exchange.connect_reader();
              for (;;) {
                  turns.signal();
                  turns.wait();
                  std::int64_t begin = now_ns();
                  seen.sum = exchange.get();
                  seen.ns = static_cast<double>(now_ns() - begin);
              }
              return 0;
          }) {
        exchange.connect_writer();
        reader_.wait_for_byte();
    }

    /// The time of one object's life.
    double run(Content& content) {
        content.change();
        std::int64_t begin = now_ns();
        exchange_.put(content.bytes_view());
        std::int64_t put = now_ns();
        reader_.send_byte();
        reader_.wait_for_byte();
        if (seen_.sum != content.sum()) test::fail("not what was put");
        std::int64_t got = now_ns();
        exchange_.remove();
        return static_cast<double>((put - begin) + (now_ns() - got)) + seen_.ns;
    }

  private:
    Exchange& exchange_;
    Seen& seen_;
    test::ChildProcess reader_;
};

Seen& shared_memory() {
    void* memory = ::mmap(nullptr, sizeof(Seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) test::fail("mmap");
    return *new (memory) Seen;
}

void put_and_get(benchmark::State& state, const Settings& settings, const Shape& shape) {
    const std::size_t bytes = settings.quick ? std::min(shape.bytes, std::size_t{4} << 20) : shape.bytes;
    const Processors processors = has_two_processors() ? shape.processors : Processors::one;
    const std::string name = std::string("put and get, ") + shape.name;
    const std::string again = std::string("put again and get, ") + shape.name;
    Content content(bytes);
    Seen& seen = shared_memory();
    test::Daemon daemon;
    std::vector<pid_t> servers{daemon.pid()};
    std::vector<std::unique_ptr<Exchange>> exchanges;
    std::vector<std::size_t> memory, stores;
    Race race(settings.choose(shape.block, 2));
    std::vector<std::unique_ptr<Trade>> trades;

    auto add = [&](const char* whose, std::unique_ptr<Exchange> exchange) {
        for (pid_t server : exchange->servers()) servers.push_back(server);
        exchanges.push_back(std::move(exchange));
        return race.add_timed(whose, [&content, &trades, i = exchanges.size() - 1] { return trades[i]->run(content); });
    };
    auto add_store = [&](const char* whose, ServedExchange served) {
        if (served.exchange) {
            stores.push_back(add(whose, std::move(served.exchange)));
        } else {
            settings.report.add(skip(name, whose, served.missing));
        }
    };
    add("shmd", exchange_by_new_segment(daemon.socket()));
    std::size_t kept = add("shmd, kept", exchange_by_kept_segment(daemon.socket(), bytes));
    memory.push_back(add("POSIX", exchange_by_posix()));
    memory.push_back(add("System V", exchange_by_system_v()));
    memory.push_back(add("memfd, passed", exchange_by_memfd()));
    add_store("Redis", exchange_by_redis());
    add_store("memcached", exchange_by_memcached());

    // Readers are where this process is: they are made after it has been placed.
    Placement placement(processors, servers);
    for (const auto& exchange : exchanges) trades.push_back(std::make_unique<Trade>(*exchange, seen));
    race.warm_up();
    for (auto _ : state) state.SetIterationTime(race.round());
    for (std::size_t each : memory) settings.report.add(compare(name, race, each));
    auto add_row = [&](Row row) {
        row.goal = 1;
        settings.report.add(std::move(row));
    };
    for (std::size_t each : stores) add_row(compare(name, race, each));
    for (std::size_t each : stores) add_row(compare(again, race, kept, each));
    trades.clear();
    ::munmap(&seen, sizeof seen);
}

}  // namespace

void add_put_get_cases(const Settings& settings) {
    for (const Shape& shape : shapes) {
        benchmark::RegisterBenchmark((std::string("put and get, ") + shape.name).c_str(), put_and_get, settings, shape)
            ->UseManualTime()
            ->Iterations(settings.choose(shape.rounds, 2));
    }
}

}  // namespace shmd::bench
