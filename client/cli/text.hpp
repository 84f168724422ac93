// How values look to people: names instead of numbers, local time, and nothing that a terminal would obey.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace shmd::cli {

/// The text with control characters, direction marks, backslashes and bytes that are not UTF-8 written as escapes such
/// as \n, \x1b and \u202e: safe to print, and unambiguous. Everything that comes from another user goes through it.
[[nodiscard]] std::string printable(std::string_view text);

/// The same in quotation marks.
[[nodiscard]] std::string in_quotes(std::string_view text);

/// A key or a path as it was typed, as messages name it: printable, and visible even when it is empty.
[[nodiscard]] std::string named(std::string_view key);

/// Columns that a printable UTF-8 text takes, one per code point.
[[nodiscard]] std::size_t width_of(std::string_view text);

/// The name, or the number where there is none.
[[nodiscard]] std::string user_name(uid_t uid);
[[nodiscard]] std::string group_name(gid_t gid);

/// 0644 gives "0644" and "rw-r--r--".
[[nodiscard]] std::string octal_mode(unsigned mode);
[[nodiscard]] std::string letters_of_mode(unsigned mode);

/// Microseconds since 1970 as "2025-03-01 14:05:09" in local time, with_zone with " +0100" behind it.
[[nodiscard]] std::string local_time(std::int64_t usec, bool with_zone = false);

/// The present, for local_time().
[[nodiscard]] std::int64_t now_usec();

/// "30s", "5m", "1h 30m"; what is less than a second only when there is no more.
[[nodiscard]] std::string duration_text(std::chrono::microseconds duration);

/// "4096 bytes (4.0K)"; "1 byte".
[[nodiscard]] std::string exact_size(std::uint64_t bytes);

}  // namespace shmd::cli
