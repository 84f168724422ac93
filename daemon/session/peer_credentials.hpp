// Who is at the other end of a connection, from the kernel alone.
#pragma once

#include "policy.hpp"
#include "unique_fd.hpp"

namespace shmd {

/// The peer as it was when it connected. Throws std::system_error.
[[nodiscard]] Peer read_peer(int socket);

/// A descriptor that becomes readable when the peer's process dies. Throws std::system_error; ESRCH when it has died.
[[nodiscard]] UniqueFd open_peer_pidfd(int socket, const Peer& peer);

/// The same for any process of this pid namespace; empty when there is none of this id.
[[nodiscard]] UniqueFd open_pidfd(std::int32_t pid);

/// What tells this process from all others that had or will have its id since boot: the inode of its pidfd, from Linux
/// 6.9 on; before that its start in clock ticks (proc(5), /proc/PID/stat, field 22); 0 when neither can be had, as in a
/// sandbox that hides other users' processes.
[[nodiscard]] std::uint64_t mark_of_process(int pidfd, std::int32_t pid);

}  // namespace shmd
