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

/// One line an entry, "u:alice:rw"; names instead of numbers. Nothing when there are none.
[[nodiscard]] std::string acl_view(const Info& segment);

/// "2025-03-01 14:05:09 created   app/cache  4.0K" and a line break.
[[nodiscard]] std::string event_line(const Event& event);
/// The same as one line of JSON, without its line break.
[[nodiscard]] std::string event_json(const Event& event);

/// Of an array of replies, the array of this member of each; nulls are left out.
[[nodiscard]] std::string items_of(const std::string& replies, const char* member);
/// Of a reply of GetSegment, the array of its attachments.
[[nodiscard]] std::string attachments_of(const std::string& reply);
/// How many more there are than the reply has.
[[nodiscard]] std::int64_t attachments_left_out(const std::string& reply);

/// Segments as io.shmd.Control tells of them, and the attachments of one.
[[nodiscard]] std::string statuses_view(const std::string& segments, std::size_t line_width);
/// The statuses of System V segments, an array, in the columns of ipcs(1).
[[nodiscard]] std::string system_v_view(const std::string& statuses);
[[nodiscard]] std::string who_view(const std::string& attachments, std::size_t line_width);
/// The reply of Evict.
[[nodiscard]] std::string evicted_view(const std::string& reply);

/// The replies of io.shmd.Control.GetStatus and GetUsage, as JSON text.
[[nodiscard]] std::string status_view(const std::string& reply);
[[nodiscard]] std::string usage_view(const std::string& reply, std::size_t line_width);

/// The same JSON document on lines of its own, as the library writes a segment.
[[nodiscard]] std::string indented(const std::string& document);

/// The same JSON document, with what a terminal might obey written as \u escapes.
[[nodiscard]] std::string safe_json(const std::string& document);

}  // namespace shmd::cli
