// Bytes between descriptors and a segment's memory, straight through read(2) and write(2), in memory that does not grow
// with the segment: pages that are done with leave this process, never the segment.
#pragma once

#include <cstddef>
#include <span>

#include "progress.hpp"

namespace shmd::cli {

/// How a transfer ended. How far it came is in its progress.
struct Transfer {
    int error = 0;         // an errno value: EFAULT when the machine has no page for the memory
    bool surplus = false;  // there is more input than memory
};

/// Writes all the memory to the descriptor.
[[nodiscard]] Transfer copy_to(int fd, std::span<const std::byte> memory, Progress& progress);

/// Fills the memory from the descriptor until the input ends. When the memory is full, looks whether there is more.
[[nodiscard]] Transfer fill_from(int fd, std::span<std::byte> memory, Progress& progress);

}  // namespace shmd::cli
