// What the machine, or the control group that the daemon runs in, has to give.
#pragma once

#include <cstdint>

namespace shmd {

/// Bytes of memory: the machine's, or the least memory.max of the control groups above this process.
[[nodiscard]] std::int64_t memory_limit();

/// Raises the limit on descriptors as far as it goes, up to `wanted`, and returns it.
std::int64_t raise_descriptor_limit(std::int64_t wanted);

}  // namespace shmd
