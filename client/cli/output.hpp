// The standard streams of the program. All text leaves through print() and complain().
#pragma once

#include <cstddef>
#include <string_view>

namespace shmd::cli {

/// Writes all of it to standard output, past any buffer. Throws Failure when that is full or broken.
void print(std::string_view text);

/// "shmdctl: TEXT" on standard error.
void complain(std::string_view text) noexcept;

[[nodiscard]] bool is_terminal(int fd);

/// Columns of the terminal at this descriptor; 0 when it is none or does not tell.
[[nodiscard]] std::size_t terminal_width(int fd);

}  // namespace shmd::cli
