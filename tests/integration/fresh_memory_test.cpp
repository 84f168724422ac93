// Large memory that is new: made of huge pages where the kernel gives them, so that its first writes take few page
// faults, and the same to look at as any other where it does not.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <shmd/shmd.hpp>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>

#include "daemon_fixture.hpp"

using shmd::test::Daemon;

namespace {

constexpr const char* shmem_enabled = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
constexpr std::uint64_t huge = 2 << 20;
constexpr std::uint64_t large = 32 * huge;
constexpr long few_faults =
    large / huge * 4;         // with usual pages there are 512 for a huge one, or some fewer of some more pages
constexpr int collapse = 25;  // MADV_COLLAPSE

// Whether huge pages are to be had here, now. Says so if not.
bool kernel_gives_huge_pages() {
    int fd = ::memfd_create("probe", MFD_CLOEXEC);
    REQUIRE(::ftruncate(fd, large) == 0);
    REQUIRE(::fallocate(fd, 0, 0, large) == 0);
    void* room = ::mmap(nullptr, large + huge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    auto address = (reinterpret_cast<std::uintptr_t>(room) + huge - 1) / huge * huge;
    void* data = ::mmap(reinterpret_cast<void*>(address), large, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
    bool given = ::madvise(data, large, collapse) == 0;
    ::munmap(room, large + huge);
    ::close(fd);
    if (!given) MESSAGE("skipped: this kernel gives no huge pages for shared memory now");
    return given;
}

bool is_zero_byte(std::byte each) {
    return each == std::byte{0};
}

bool is_zero(const shmd::Segment& segment) {
    return std::all_of(segment.bytes().begin(), segment.bytes().end(), is_zero_byte);
}

// It begins at a multiple of their size.
bool is_mapped_for_huge_pages(const void* data) {
    return reinterpret_cast<std::uintptr_t>(data) % huge == 0;
}

// Page faults of this thread while it writes a byte to each page.
long faults_of_writing(shmd::Segment& segment, std::size_t from = 0) {
    rusage before{}, after{};
    ::getrusage(RUSAGE_THREAD, &before);
    for (std::size_t at = from; at < segment.size(); at += 4096) {
        static_cast<volatile std::byte*>(segment.data())[at] = std::byte{7};
    }
    ::getrusage(RUSAGE_THREAD, &after);
    return after.ru_minflt - before.ru_minflt;
}

// Made ahead, where making huge pages may take as long as it takes.
shmd::Segment create_of_ready(Daemon& daemon, shmd::Client& client, shmd::Reserve reserve = shmd::Reserve::allocate) {
    (void)client.create("before", large);
    client.delete_segment("before");
    shmd::Client control = shmd::Client::control(daemon.control_socket());
    while (control.call("io.shmd.Control.GetStatus").find(R"("readyBytes":0)") != std::string::npos) continue;
    return client.create("key", large, {.reserve = reserve});
}

// A setting of this machine, changed for one test.
class Setting {
  public:
    Setting(std::string path, const std::string& wanted) : path_(std::move(path)) {
        std::ifstream file(path_);
        std::getline(file, before_);
        std::ofstream(path_) << wanted << std::flush;
    }
    Setting(const Setting&) = delete;
    Setting& operator=(const Setting&) = delete;
    ~Setting() {
        std::size_t open = before_.find('[');
        std::ofstream(path_) << before_.substr(open + 1, before_.find(']') - open - 1) << std::flush;
    }
    [[nodiscard]] bool is(const std::string& value) const {
        std::ifstream file(path_);
        std::string now;
        std::getline(file, now);
        return now.find("[" + value + "]") != std::string::npos;
    }

  private:
    std::string path_, before_;
};

}  // namespace

TEST_CASE("a large segment that was made ahead is all zeros, and takes a page fault for each huge page to write") {
    if (!kernel_gives_huge_pages()) return;
    Daemon daemon;
    shmd::Client client(daemon.socket());
    for (shmd::Reserve reserve : {shmd::Reserve::allocate, shmd::Reserve::populate}) {
        auto segment = create_of_ready(daemon, client, reserve);
        CHECK(is_zero(segment));
        auto again = client.open_write("key");
        long faults = faults_of_writing(again);
        if (!shmd::test::sanitized) CHECK(faults < few_faults);  // a sanitizer's own memory has faults, too
        client.delete_segment("key");
    }
}

TEST_CASE("a reader maps huge pages as such, too") {
    if (!kernel_gives_huge_pages()) return;
    Daemon daemon;
    shmd::Client client(daemon.socket());
    auto segment = client.create("key", large);
    (void)faults_of_writing(segment);
    auto reader = client.open_read("key");
    CHECK(is_mapped_for_huge_pages(reader.data()));
}

TEST_CASE("no huge pages where the configuration says so") {
    shmd::test::DaemonOptions options;
    options.config = R"({"hugePages": false})";
    Daemon daemon(options);
    shmd::Client client(daemon.socket());
    auto ready = create_of_ready(daemon, client);
    CHECK(faults_of_writing(ready) > few_faults);
    auto larger = client.create("larger", 2 * large);
    CHECK(faults_of_writing(larger) > few_faults);
}

TEST_CASE("where the kernel gives no huge pages a large segment is made of usual ones") {
    Setting deny(shmem_enabled, "deny");
    if (!deny.is("deny")) {
        MESSAGE("skipped: " << shmem_enabled << " cannot be changed here");
        return;
    }
    Daemon daemon;
    shmd::Client client(daemon.socket());
    auto segment = client.create("key", large + 1);
    CHECK(is_zero(segment));
    auto again = client.open_write("key");
    CHECK(faults_of_writing(again) > few_faults);
    CHECK(segment.bytes()[large] == std::byte{7});
}

TEST_CASE("what is lazily made has no memory, and no huge pages") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    auto segment = client.create("key", large, {.reserve = shmd::Reserve::lazy});
    CHECK(faults_of_writing(segment) > few_faults);
}

TEST_CASE("a segment of huge pages grows, shrinks and is sealed as any other") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    constexpr std::uint64_t first = large / 2 + 4096 + 1;
    auto segment = client.create("key", first, {.capacity_bytes = large + 4096});
    (void)faults_of_writing(segment);
    segment.resize(large + 1);
    CHECK(segment.bytes()[first - 1] == std::byte{7});
    CHECK(std::all_of(segment.bytes().begin() + first, segment.bytes().end(), is_zero_byte));
    (void)faults_of_writing(segment, first);
    segment.resize(huge + 4097);
    segment.resize(large + 4096);
    CHECK(segment.bytes()[huge + 4096] == std::byte{7});
    CHECK(std::all_of(segment.bytes().begin() + huge + 4097, segment.bytes().end(), is_zero_byte));
    auto sealed = std::move(segment).seal();
    CHECK(sealed.info().sealed);
    CHECK(sealed.bytes()[huge + 4096] == std::byte{7});
}
