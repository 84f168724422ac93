#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <shmd/shmd.hpp>
#include <string>
#include <vector>

#include "cases.hpp"
#include "daemon_fixture.hpp"
#include "libshmd.hpp"

namespace shmd::bench {
namespace {

/// Shared memory without anybody's help.
class BareMapping {
  public:
    explicit BareMapping(std::size_t size) : size_(size) {
        UniqueFd fd(::memfd_create("bare", MFD_CLOEXEC));
        if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) test::fail("memfd_create");
        address_ = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
        if (address_ == MAP_FAILED) test::fail(std::string("mmap: ") + std::strerror(errno));
    }
    BareMapping(const BareMapping&) = delete;
    BareMapping& operator=(const BareMapping&) = delete;
    ~BareMapping() { ::munmap(address_, size_); }
    [[nodiscard]] void* data() const { return address_; }

  private:
    std::size_t size_;
    void* address_;
};

struct Shape {
    std::size_t bytes;
    const char* name;
    int copies;  // in one sample
    int rounds;  // with one set of mappings
    int sets;
};

constexpr Shape shapes[] = {
    {std::size_t{4} << 10, "copy 4 KiB", 1000, 50, 20},
    {std::size_t{1} << 20, "copy 1 MiB", 8, 50, 20},
    {std::size_t{64} << 20, "copy 64 MiB", 1, 6, 60},
};

// Not inlined: the same instructions for everybody, wherever the bytes go.
[[gnu::noinline]] void copy(const std::vector<char>& from, void* to, int times) {
    for (int i = 0; i < times; i++) {
        std::memcpy(to, from.data(), from.size());
        benchmark::ClobberMemory();
    }
}

// The pages of one set of mappings may lie better than those of another: several sets are made, one after the other.
void copy_into(benchmark::State& state, const Settings& settings, const Shape& shape) {
    test::Daemon daemon;
    LibClient plain = connect_to(daemon.socket());
    Client client(daemon.socket());
    const std::vector<char> source(shape.bytes, 'x');
    std::optional<BareMapping> bare;
    LibSegment segment;
    std::optional<Segment> wrapped;
    Race race(1, shape.copies);
    std::size_t libshmd = race.add("libshmd", [&] { copy(source, shmd_data(segment.get()), shape.copies); });
    std::size_t reference = race.add("bare memfd", [&] { copy(source, bare->data(), shape.copies); });
    std::size_t header = race.add("shmd.hpp", [&] { copy(source, wrapped->bytes().data(), shape.copies); });
    for (auto _ : state) {
        bare.reset();
        segment.reset();
        wrapped.reset();
        // What is reserved comes after what is freed: now the last set's memory is the machine's again.
        create_segment(plain.get(), nullptr, 1 << 20, SHMD_RESERVE_ALLOCATE, SHMD_LIFETIME_ATTACHED);
        bare.emplace(shape.bytes);
        segment = create_segment(plain.get(), nullptr, shape.bytes, SHMD_RESERVE_LAZY, SHMD_LIFETIME_ATTACHED);
        wrapped = client.create(nullptr, shape.bytes, {.reserve = Reserve::lazy, .lifetime = Lifetime::attached});
        race.warm_up();
        double seconds = 0;
        for (int i = 0; i < settings.choose(shape.rounds, 3); i++) seconds += race.round();
        state.SetIterationTime(seconds);
    }

    for (std::size_t runner : {libshmd, header}) {
        Row row = compare_in_pairs(shape.name + (", " + race.name(runner)), race, runner, reference);
        row.goal = 0.02;
        row.exactly = true;
        settings.report.add(row);
    }
}

}  // namespace

void add_data_path_cases(const Settings& settings) {
    for (const Shape& shape : shapes) {
        benchmark::RegisterBenchmark(shape.name, copy_into, settings, shape)
            ->UseManualTime()
            ->Iterations(settings.choose(shape.sets, 1));
    }
}

}  // namespace shmd::bench
