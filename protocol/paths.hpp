// Where the sockets are: the same answer for the daemon and for every client.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "messages.hpp"

namespace shmd {

/// The socket of the system instance.
[[nodiscard]] std::string system_socket(Endpoint endpoint);

/// The directory of this user's instance: $XDG_RUNTIME_DIR/shmd, else /tmp/shmd-UID. Not created here.
[[nodiscard]] std::string user_runtime_directory();
[[nodiscard]] std::string user_socket(Endpoint endpoint);

/// The control socket that belongs to a Segments socket which was named explicitly: io.shmd.Control beside
/// io.shmd.Segments, else the path with ".control" at its end.
[[nodiscard]] std::string control_socket_of(const std::string& segments_socket);

/// Where a client looks when it was given no path: $SHMD_SOCKET or $SHMD_CONTROL_SOCKET (not in set-uid programs), the
/// system instance if its socket is there, the user instance. A user socket whose directory another user owns or may
/// write is refused: nothing is returned.
[[nodiscard]] std::optional<std::string> find_socket(Endpoint endpoint);

/// The same for the Segments socket without the heap, for callers in signal handlers; with a NUL at its end. False also when
/// it is too long.
[[nodiscard]] bool find_segments_socket(std::span<char> path);

/// True when path is a directory of this user that nobody else may write.
[[nodiscard]] bool is_private_directory(const std::string& path);

}  // namespace shmd
