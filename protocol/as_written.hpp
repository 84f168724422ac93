// The messages that are most frequent, read as this protocol's own codecs write them: byte by byte, without making values of them
// first. Whatever is written in any other way is not recognised, and for the parser.
#pragma once

#include <optional>
#include <string_view>

#include "messages.hpp"

namespace shmd {

/// A call with nothing but its usual parameters, and with nothing wrong: Open and Delete by key, OpenMany by keys, of which some
/// may not be valid, Create with a key and without labels and the like, and Detach as a oneway call.
[[nodiscard]] std::optional<Call> call_as_written(std::string_view message);

/// A reply with one grant, of a segment without labels, entries and nodes.
[[nodiscard]] bool read_as_written(std::string_view message, Grant& grant);

/// A reply with grants of such segments and nothing else.
[[nodiscard]] bool read_as_written(std::string_view message, OpenResults& reply);

/// A reply that describes such a segment, perhaps one of several.
[[nodiscard]] bool read_as_written(std::string_view message, SegmentReply& reply, bool& continues);

}  // namespace shmd
