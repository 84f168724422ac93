// What somebody who mistyped a word may have meant.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace shmd::cli {

/// The nearest candidate, if one is near enough to be meant: few letters to change, or a common beginning.
[[nodiscard]] std::optional<std::string> nearest(std::string_view typed, const std::vector<std::string>& candidates);

}  // namespace shmd::cli
