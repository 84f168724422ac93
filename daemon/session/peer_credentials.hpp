// Who is at the other end of a connection, from the kernel alone.
#pragma once

#include "policy.hpp"
#include "unique_fd.hpp"

namespace shmd {

/// The peer as it was when it connected. Throws std::system_error.
[[nodiscard]] Peer read_peer(int socket);

/// A descriptor that becomes readable when the peer's process dies. Throws std::system_error; ESRCH when it has died.
[[nodiscard]] UniqueFd open_peer_pidfd(int socket, const Peer& peer);

}  // namespace shmd
