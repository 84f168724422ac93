// The messages of io.shmd.SystemV that are most frequent, read as this protocol's own codecs write them, as as_written.hpp has it for
// io.shmd.Segments. Without the heap.
#pragma once

#include <optional>
#include <string_view>

#include "messages.hpp"

namespace shmd::system_v {

/// A Get, Attach, Detach or Stat, with sound parameters.
[[nodiscard]] std::optional<Call> call_as_written(std::string_view message);

/// False: it is written in another way, or is an error. `out` is as it was then.
[[nodiscard]] bool read_as_written(std::string_view reply, GetReply& out);
[[nodiscard]] bool read_as_written(std::string_view reply, AttachReply& out);
[[nodiscard]] bool read_as_written(std::string_view reply, StatusReply& out);
/// A reply without parameters.
[[nodiscard]] bool is_empty_as_written(std::string_view reply);

}  // namespace shmd::system_v
