// The numbers of the protocol: what either side may send, and what a segment may carry.
#pragma once

#include <cstddef>
#include <cstdint>

namespace shmd::limits {

/// Bytes of one message, without the NUL that ends it.
inline constexpr std::size_t message_bytes = std::size_t{1} << 20;
/// Arrays and objects inside one another in one message.
inline constexpr int message_depth = 32;
/// Descriptors with one message: SCM_MAX_FD in the kernel.
inline constexpr std::size_t message_fds = 253;

/// Segments in one CreateMany or OpenMany.
inline constexpr std::size_t batch = 250;
/// Attachments in one Resume.
inline constexpr std::size_t resumed = 4096;

inline constexpr std::size_t key_bytes = 255;

inline constexpr std::size_t labels = 32;
inline constexpr std::size_t label_name_bytes = 63;
inline constexpr std::size_t label_value_bytes = 1024;
inline constexpr std::size_t labels_bytes = 4096;

inline constexpr std::size_t acl_entries = 32;
/// The shortest lease: a second.
inline constexpr std::int64_t least_lease_usec = 1'000'000;

/// The largest integer that every JSON implementation keeps exactly: 2^53-1.
inline constexpr std::int64_t integer = (std::int64_t{1} << 53) - 1;

inline constexpr std::size_t numa_nodes = 64;
inline constexpr std::uint32_t highest_numa_node = 1023;

inline constexpr int mode_bits = 0777;
inline constexpr int default_mode = 0600;

}  // namespace shmd::limits
