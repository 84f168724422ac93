// A segment as io.shmd.Control tells of it.
#pragma once

#include "messages.hpp"
#include "registry.hpp"

namespace shmd {

/// With its attachments, so many as a reply may hold, and the names of their programs, which /proc is asked for.
[[nodiscard]] SegmentStatus status_of(const Entry& entry);

}  // namespace shmd
