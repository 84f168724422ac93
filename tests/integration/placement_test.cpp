// Huge pages and NUMA nodes, on a machine that may have none: what it can give is given, what it cannot is a clear error.
#include <doctest/doctest.h>
#include <shmd/shmd.hpp>

#include <cerrno>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "daemon_fixture.hpp"

using shmd::test::Daemon;

namespace {

constexpr const char* pool = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
constexpr const char* giant_pool = "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages";
constexpr const char* shmem_enabled = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
constexpr std::uint64_t huge = 2 << 20;

std::string text_of(const std::string& path) {
    std::ifstream file(path);
    std::string text;
    std::getline(file, text);
    return text;
}

// A setting of this machine, changed for one test.
class Setting {
  public:
    Setting(std::string path, const std::string& wanted, std::string back)
        : path_(std::move(path)), back_(std::move(back)) {
        std::ofstream(path_) << wanted << std::flush;
    }
    Setting(const Setting&) = delete;
    Setting& operator=(const Setting&) = delete;
    ~Setting() { std::ofstream(path_) << back_ << std::flush; }

  private:
    std::string path_, back_;
};

template <typename F>
shmd::Error error_of(F function) {
    try {
        function();
    } catch (const shmd::Error& error) {
        return error;
    }
    shmd::test::fail("nothing was thrown");
}

// The value of one field of this process's mapping at this address, in KiB.
long smaps_kib(const void* address, const std::string& field) {
    std::ifstream smaps("/proc/self/smaps");
    std::string line;
    bool inside = false;
    auto wanted = reinterpret_cast<std::uintptr_t>(address);
    while (std::getline(smaps, line)) {
        if (line.find('-') != std::string::npos && line.find(':') > line.find(' ')) {
            inside = std::stoull(line, nullptr, 16) == wanted;
        } else if (inside && line.starts_with(field + ":")) {
            return std::stol(line.substr(field.size() + 1));
        }
    }
    return -1;
}

}  // namespace

TEST_CASE("huge pages that there are not are an error that names the setting, or left out when that is asked for") {
    std::string before = text_of(pool);
    if (before != "0") {
        MESSAGE("skipped: this machine has set aside huge pages: " << before);
        return;
    }
    Daemon daemon;
    shmd::Client client(daemon.socket());
    shmd::Error none = error_of([&] { client.create("key", huge, {.huge_pages = shmd::HugePages::huge_2m}); });
    CHECK(none.code() == std::errc::no_such_device);
    CHECK(none.name() == "io.shmd.Segments.PlacementUnavailable");
    CHECK(std::string(none.what()).find(pool) != std::string::npos);
    auto usual = client.create("key", huge, {.huge_pages = shmd::HugePages::huge_2m, .placement_fallback = true});
    CHECK(usual.info().huge_pages == shmd::HugePages::none);
    if (text_of(giant_pool) == "0" || text_of(giant_pool).empty()) {
        shmd::Error giant = error_of([&] { client.create("giant", 1, {.huge_pages = shmd::HugePages::huge_1g}); });
        CHECK(std::string(giant.what()).find(giant_pool) != std::string::npos);
    }
}

TEST_CASE("a segment of huge pages has them, in whole ones, and gives them back") {
    std::string before = text_of(pool);
    if (before != "0") {
        MESSAGE("skipped: this machine has set aside huge pages: " << before);
        return;
    }
    Setting pages(pool, "4", before);
    if (text_of(pool) != "4") {
        MESSAGE("skipped: no huge pages can be set aside here (" << pool << ")");
        return;
    }
    Daemon daemon;
    shmd::Client client(daemon.socket());
    {
        auto segment = client.create(
            "key", huge + 1, {.capacity_bytes = huge + 10, .huge_pages = shmd::HugePages::huge_2m});
        CHECK(segment.info().huge_pages == shmd::HugePages::huge_2m);
        CHECK(segment.info().capacity_bytes == huge + 10);
        CHECK(smaps_kib(segment.data(), "KernelPageSize") == 2048);
        segment.bytes().back() = std::byte{1};
        CHECK(client.open_read("key").bytes().back() == std::byte{1});
        segment.resize(huge + 10);
        shmd::Error full = error_of(
            [&] { client.create("more", 3 * huge, {.huge_pages = shmd::HugePages::huge_2m}); });
        CHECK(full.name() == "io.shmd.Segments.PlacementUnavailable");
        auto read_only = std::move(segment).seal();
        CHECK(read_only.info().sealed);
        client.delete_segment("key");
    }
    // Freed once nobody has them, and then they are there for the next.
    std::optional<shmd::Segment> next;
    while (!next) {
        try {
            next = client.create("next", 4 * huge, {.huge_pages = shmd::HugePages::huge_2m});
        } catch (const shmd::Error& error) {
            REQUIRE(error.name() == "io.shmd.Segments.PlacementUnavailable");
        }
    }
    client.delete_segment("next");
    next.reset();
    while (text_of("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages") != "4") (void)client.list();
}

TEST_CASE("transparent huge pages need the kernel's leave") {
    std::string before = text_of(shmem_enabled);
    if (before.empty()) {
        MESSAGE("skipped: this kernel has no transparent huge pages for shared memory");
        return;
    }
    std::size_t open = before.find('['), close = before.find(']');
    std::string chosen = before.substr(open + 1, close - open - 1);
    Daemon daemon;
    shmd::Client client(daemon.socket());
    {
        Setting never(shmem_enabled, "never", chosen);
        if (text_of(shmem_enabled).find("[never]") == std::string::npos) {
            MESSAGE("skipped: " << shmem_enabled << " cannot be changed here");
            return;
        }
        shmd::Error refused =
            error_of([&] { client.create("key", huge, {.huge_pages = shmd::HugePages::transparent}); });
        CHECK(std::string(refused.what()).find(shmem_enabled) != std::string::npos);
    }
    Setting advise(shmem_enabled, "advise", chosen);
    auto segment = client.create("key", 8 * huge, {.huge_pages = shmd::HugePages::transparent});
    CHECK(segment.info().huge_pages == shmd::HugePages::transparent);
    for (std::size_t i = 0; i < segment.size(); i += 4096) segment.data()[i] = std::byte{1};
    CHECK(smaps_kib(segment.data(), "ShmemPmdMapped") > 0);
}

TEST_CASE("memory is bound to the nodes asked for, and other nodes are refused") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    auto bound = client.create("key", 1 << 20, {.capacity_bytes = 2 << 20, .numa_nodes = {0, 0}});
    CHECK(bound.info().numa_nodes == std::vector<std::uint32_t>{0});
    bound.bytes().back() = std::byte{1};
    bound.resize(2 << 20);
    std::ifstream maps("/proc/self/numa_maps");
    std::string line, found;
    char address[32];
    std::snprintf(address, sizeof address, "%zx ", reinterpret_cast<std::size_t>(bound.data()));
    while (std::getline(maps, line)) {
        if (line.find(address) != std::string::npos) found = line;
    }
    if (maps.eof() && found.empty()) {
        MESSAGE("skipped in part: this kernel has no /proc/self/numa_maps");
    } else {
        CHECK(found.find("bind:0") != std::string::npos);
    }
    CHECK(error_of([&] { client.create("far", 1, {.numa_nodes = {1000}}); }).code() == std::errc::invalid_argument);
    CHECK(client.create("any", 1, {.numa_nodes = {1000}, .placement_fallback = true}).info().numa_nodes.empty());
}
