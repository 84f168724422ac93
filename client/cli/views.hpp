// Segments and the daemon's accounts as people read them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <shmd/shmd.hpp>

namespace shmd::cli {

/// One line a segment, under a header. line_width: columns of the terminal, 0 when there is none.
[[nodiscard]] std::string segments_view(const std::vector<Info>& segments, std::size_t line_width);

/// One line a field.
[[nodiscard]] std::string segment_view(const Info& segment);

/// The replies of io.shmd.Control.GetStatus and GetUsage, as JSON text.
[[nodiscard]] std::string status_view(const std::string& reply);
[[nodiscard]] std::string usage_view(const std::string& reply, std::size_t line_width);

/// The same JSON document on lines of its own, as the library writes a segment.
[[nodiscard]] std::string indented(const std::string& document);

/// The same JSON document, with what a terminal might obey written as \u escapes.
[[nodiscard]] std::string safe_json(const std::string& document);

}  // namespace shmd::cli
