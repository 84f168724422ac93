#include "placement.hpp"

#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <optional>
#include <string_view>

#include "limits.hpp"
#include "unique_fd.hpp"

namespace shmd {
namespace {

constexpr const char* transparent_setting = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";

// The beginning of a file of /proc or /sys; nothing when it is not there.
std::optional<std::string> text_of(const std::string& path) {
    char text[4096];
    UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    ssize_t length = file ? ::read(file.get(), text, sizeof text) : -1;
    if (length <= 0) return std::nullopt;
    return std::string(text, static_cast<std::size_t>(length));
}

std::int64_t number_in(const std::string& path) {
    std::int64_t number = 0;
    if (auto text = text_of(path)) std::from_chars(text->data(), text->data() + text->size(), number);
    return number;
}

// The value of a line such as "MemAvailable:   123 kB", in bytes.
std::int64_t meminfo_bytes(std::string_view text, std::string_view field) {
    std::size_t at = text.find(field);
    if (at == std::string_view::npos) return 0;
    std::size_t digit = text.find_first_of("0123456789", at + field.size());
    if (digit == std::string_view::npos) return 0;
    std::int64_t kibibytes = 0;
    std::from_chars(text.data() + digit, text.data() + text.size(), kibibytes);
    return kibibytes * 1024;
}

std::string pool_of(HugePages kind) {
    return "/sys/kernel/mm/hugepages/hugepages-" + std::to_string(page_bytes(kind) / 1024) + "kB/";
}

bool has_huge_pages(HugePages kind, std::int64_t bytes) {
    if (kind == HugePages::none) return true;
    if (kind == HugePages::transparent) {
        std::string modes = text_of(transparent_setting).value_or("[never]");
        return modes.find("[never]") == modes.npos && modes.find("[deny]") == modes.npos;
    }
    std::int64_t free = number_in(pool_of(kind) + "free_hugepages") - number_in(pool_of(kind) + "resv_hugepages");
    return free >= in_whole_pages(bytes, kind) / page_bytes(kind);
}

// Whether a list such as "0-3,8" has this number.
bool lists(std::string_view list, std::uint32_t wanted) {
    const char* at = list.data();
    const char* end = at + list.size();
    while (at < end) {
        std::uint32_t first = 0;
        auto parsed = std::from_chars(at, end, first);
        if (parsed.ec != std::errc()) return false;
        std::uint32_t last = first;
        at = parsed.ptr;
        if (at < end && *at == '-') {
            parsed = std::from_chars(at + 1, end, last);
            at = parsed.ptr;
        }
        if (wanted >= first && wanted <= last) return true;
        if (at < end) at++;
    }
    return false;
}

bool has_nodes(const std::vector<std::uint32_t>& nodes) {
    if (nodes.empty()) return true;
    // A kernel without NUMA has node 0 alone, and no such file.
    std::string with_memory = text_of("/sys/devices/system/node/has_memory").value_or("0");
    return std::ranges::all_of(nodes, [&](std::uint32_t node) { return lists(with_memory, node); });
}

}  // namespace

std::int64_t page_bytes(HugePages kind) {
    static const std::int64_t usual = ::sysconf(_SC_PAGESIZE);
    if (kind == HugePages::huge_2m) return 2 << 20;
    if (kind == HugePages::huge_1g) return 1 << 30;
    return usual;
}

std::int64_t in_whole_pages(std::int64_t bytes, HugePages kind) {
    std::int64_t page = page_bytes(kind);
    return (bytes + page - 1) / page * page;
}

std::string setting_of(HugePages kind) {
    return kind == HugePages::transparent ? transparent_setting : pool_of(kind) + "nr_hugepages";
}

Result<Placement> available(Placement wanted, std::int64_t bytes, bool fallback) {
    if (!has_huge_pages(wanted.huge_pages, bytes)) {
        if (!fallback) return Error::placement_unavailable(setting_of(wanted.huge_pages));
        wanted.huge_pages = HugePages::none;
    }
    std::ranges::sort(wanted.numa_nodes);
    auto repeated = std::ranges::unique(wanted.numa_nodes);
    wanted.numa_nodes.erase(repeated.begin(), repeated.end());
    if (!has_nodes(wanted.numa_nodes)) {
        if (!fallback) return Error::invalid_parameter("numaNodes");
        wanted.numa_nodes.clear();
    }
    return wanted;
}

// The policy of a mapping of shared memory is the memory's own, for whoever touches it (mbind(2)).
Result<void> bind_to(const std::vector<std::uint32_t>& nodes, int memory, std::int64_t size) {
    if (nodes.empty()) return {};
    constexpr std::size_t bits = 8 * sizeof(unsigned long);
    std::array<unsigned long, limits::highest_numa_node / bits + 1> mask{};
    for (std::uint32_t node : nodes) mask[node / bits] |= 1UL << node % bits;
    auto length = static_cast<std::size_t>(size);
    void* mapped = ::mmap(nullptr, length, PROT_NONE, MAP_SHARED | MAP_NORESERVE, memory, 0);
    if (mapped == MAP_FAILED) return Error::out_of_memory(size);
    long bound = ::syscall(SYS_mbind, mapped, length, MPOL_BIND, mask.data(), mask.size() * bits + 1, 0);
    ::munmap(mapped, length);
    if (bound != 0) return Error::placement_unavailable("mbind(2)");
    return {};
}

std::int64_t available_memory(const std::vector<std::uint32_t>& nodes) {
    if (!nodes.empty()) {
        std::int64_t bytes = 0;
        for (std::uint32_t node : nodes) {
            auto text = text_of("/sys/devices/system/node/node" + std::to_string(node) + "/meminfo");
            if (!text) return INT64_MAX;
            bytes += meminfo_bytes(*text, "MemFree:") + meminfo_bytes(*text, "Inactive(file):") +
                     meminfo_bytes(*text, "SReclaimable:");
        }
        return bytes;
    }
    auto text = text_of("/proc/meminfo");
    if (!text) return INT64_MAX;  // without /proc/meminfo the quota alone protects
    return meminfo_bytes(*text, "MemAvailable:") + meminfo_bytes(*text, "SwapFree:");
}

}  // namespace shmd
