// Large memory that nobody has touched: made, written once from end to end, and freed, against POSIX shared memory
// whose pages the kernel makes one by one when they are written.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "cases.hpp"
#include "daemon_fixture.hpp"
#include "libshmd.hpp"
#include "samples.hpp"
#include "varlink_client.hpp"

namespace shmd::bench {
namespace {

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;

// A descriptor and a mapping, both given back.
class Mapped {
  public:
    Mapped(int fd, std::uint64_t size) : fd_(fd), size_(size) {
        if (fd < 0) test::fail(std::string("no memory: ") + std::strerror(errno));
        data_ = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (data_ == MAP_FAILED) test::fail(std::string("mmap: ") + std::strerror(errno));
    }
    Mapped(const Mapped&) = delete;
    Mapped& operator=(const Mapped&) = delete;
    ~Mapped() {
        ::munmap(data_, size_);
        ::close(fd_);
    }
    void fill() { std::memset(data_, 1, size_); }

  private:
    int fd_;
    std::uint64_t size_;
    void* data_;
};

int posix_memory(std::uint64_t size) {
    const std::string name = "/shmd-bench-fresh." + std::to_string(::getpid());
    int fd = ::shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd >= 0) ::shm_unlink(name.c_str());
    if (fd >= 0 && ::ftruncate(fd, static_cast<off_t>(size)) != 0)
        test::fail(std::string("ftruncate: ") + std::strerror(errno));
    return fd;
}

int reserved_memfd(std::uint64_t size) {
    int fd = ::memfd_create("bench", MFD_CLOEXEC);
    if (fd >= 0 && ::fallocate(fd, 0, 0, static_cast<off_t>(size)) != 0)
        test::fail(std::string("fallocate: ") + std::strerror(errno));
    return fd;
}

LibSegment fresh(shmd_client* client, std::uint64_t size) {
    return create_segment(client, nullptr, size, SHMD_RESERVE_ALLOCATE, SHMD_LIFETIME_ATTACHED);
}

// A daemon that makes memory ahead, or one that does not.
class Maker {
  public:
    explicit Maker(bool ahead) : daemon_(options(ahead)), client_(connect_to(daemon_.socket())) {}

    /// Makes, writes and frees a segment.
    void run(std::uint64_t size) {
        LibSegment segment = fresh(client_.get(), size);
        std::memset(shmd_data(segment.get()), 1, size);
    }
    /// Until that much is made ahead, by the daemon's own word.
    void await(std::uint64_t size) {
        test::RawClient control(daemon_.control_socket());
        while (control.call(GetStatus{}).value().ready_bytes < static_cast<std::int64_t>(size)) ::usleep(5000);
    }
    shmd_client* client() { return client_.get(); }

  private:
    static test::DaemonOptions options(bool ahead) {
        test::DaemonOptions options;
        options.config = std::string(R"({"limits": {"bytes": "1T", "perUid": {"bytes": "1T"}}, "readyBytes": )") +
                         (ahead ? R"("1G")" : "0") + "}";
        return options;
    }
    test::Daemon daemon_;
    LibClient client_;
};

void fresh_memory(benchmark::State& state, const Settings& settings, std::uint64_t size) {
    Maker ahead(true), plain(false);
    LibSegment kept = fresh(plain.client(), size);
    Samples ours, posix, reserved, back_to_back, unready, again;
    auto measure = [](Samples& samples, auto run) {
        std::int64_t begin = now_ns();
        run();
        samples.add(static_cast<double>(now_ns() - begin));
    };
    ahead.run(size);
    for (auto _ : state) {
        ahead.await(size);
        std::int64_t begin = now_ns();
        measure(ours, [&] { ahead.run(size); });
        state.SetIterationTime(static_cast<double>(now_ns() - begin) / 1e9);
        measure(back_to_back, [&] { ahead.run(size); });
        measure(posix, [&] { Mapped(posix_memory(size), size).fill(); });
        measure(unready, [&] { plain.run(size); });
        measure(reserved, [&] { Mapped(reserved_memfd(size), size).fill(); });
        measure(again, [&] { std::memset(shmd_data(kept.get()), 1, size); });
    }
    const std::string name = "fresh " + std::to_string(size / mebibyte) + " MiB";
    auto add = [&](const std::string& what, const Samples& us, const char* reference, const Samples& them) {
        Row row{name + what, reference, us.median(), them.median(), us.p99(), them.p99()};
        if (&us == &ours && &them == &posix) row.goal = 0.2;
        settings.report.add(std::move(row));
    };
    constexpr const char* lazily = "POSIX, lazily created";
    add("", ours, lazily, posix);
    add("", ours, "memfd, reserved", reserved);
    add("", ours, "written again", again);
    add(", back to back", back_to_back, lazily, posix);
    add(", none made ahead", unready, lazily, posix);
}

}  // namespace

void add_fresh_cases(const Settings& settings) {
    for (std::uint64_t size : {16 * mebibyte, 64 * mebibyte, 1024 * mebibyte}) {
        if (settings.quick && size > 64 * mebibyte) continue;
        std::string name = "fresh " + std::to_string(size / mebibyte) + " MiB";
        benchmark::RegisterBenchmark(name.c_str(),
                                     [=](benchmark::State& state) { fresh_memory(state, settings, size); })
            ->UseManualTime()
            ->Iterations(size > 64 * mebibyte ? 5 : settings.choose(41, 2));
    }
}

}  // namespace shmd::bench
