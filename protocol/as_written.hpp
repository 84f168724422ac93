// The messages that are most frequent, read as this protocol's own codecs write them: byte by byte, without making values of them
// first. Whatever is written in any other way is not recognised, and for the parser.
#pragma once

#include <optional>
#include <string_view>

#include "messages.hpp"

namespace shmd {

/// An Open by key without further parameters. Its key is not looked at.
[[nodiscard]] std::optional<Open> open_as_written(std::string_view message);

/// A reply with one grant, of a segment without labels, entries and nodes.
[[nodiscard]] bool read_as_written(std::string_view message, Grant& grant);

/// A reply that describes such a segment.
[[nodiscard]] bool read_as_written(std::string_view message, SegmentReply& reply);

}  // namespace shmd
