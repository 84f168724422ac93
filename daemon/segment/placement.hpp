// Where memory lies: huge pages and NUMA nodes. Asks the machine what it has; a Memory is given what comes out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "result.hpp"
#include "types.hpp"

namespace shmd {

struct Placement {
    HugePages huge_pages = HugePages::none;
    std::vector<std::uint32_t> numa_nodes{};  // none: any

    /// From a pool of its own, apart from all other memory.
    [[nodiscard]] bool is_pooled() const { return huge_pages == HugePages::huge_2m || huge_pages == HugePages::huge_1g; }
};

/// Bytes of one page of this kind. Those of "transparent" are the usual ones: what is too small stays small.
[[nodiscard]] std::int64_t page_bytes(HugePages kind);
[[nodiscard]] std::int64_t in_whole_pages(std::int64_t bytes, HugePages kind);

/// What the machine can give of it now. Refuses with PlacementUnavailable and, for nodes that there are not,
/// InvalidParameter; with fallback it leaves out what it lacks instead.
[[nodiscard]] Result<Placement> available(Placement wanted, std::int64_t bytes, bool fallback);

/// What an administrator changes for there to be such pages.
[[nodiscard]] std::string setting_of(HugePages kind);

/// Has all memory of this file come from these nodes. PlacementUnavailable.
[[nodiscard]] Result<void> bind_to(const std::vector<std::uint32_t>& nodes, int memory, std::int64_t size);

/// Bytes that these nodes could give now; none: any node.
[[nodiscard]] std::int64_t available_memory(const std::vector<std::uint32_t>& nodes = {});

}  // namespace shmd
