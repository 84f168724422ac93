// Sizes as people write and read them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shmd {

/// "100", "4K", "16M", "2G", "1T": bytes, in powers of 1024. Nothing when it is not of this form or beyond 2^53-1.
[[nodiscard]] std::optional<std::int64_t> parse_size(std::string_view text);

/// 1536 gives "1.5K". At most four characters before the unit; exact below 1024.
[[nodiscard]] std::string format_size(std::int64_t bytes);

}  // namespace shmd
