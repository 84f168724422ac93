// shmd_info: what the daemon knows of a segment, as C reads it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "messages.hpp"
#include "shmd/shmd.h"

namespace shmd::client {

/// Frees a chain.
struct FreeInfo {
    void operator()(shmd_info* first) const noexcept;
};
using InfoPointer = std::unique_ptr<shmd_info, FreeInfo>;

[[nodiscard]] InfoPointer make_info(Segment&& segment);
/// A chain in the same order; null for none.
[[nodiscard]] InfoPointer make_info(std::vector<Segment> segments);

/// The way back, for infos from wherever the caller has them.
[[nodiscard]] Segment segment_of(const shmd_info& info);

}  // namespace shmd::client
