// The way to the service manager: datagrams to $NOTIFY_SOCKET (sd_notify(3)), which the manager takes in order. Waits as
// sd_pid_notify_with_fds(3) and sd_notify_barrier(3) do, but not when it is to stop: a manager may read nothing for long.
#pragma once

#include <string>

#include "unique_fd.hpp"

namespace shmd {

class ManagerSocket {
  public:
    /// Whether $NOTIFY_SOCKET names a socket that takes descriptors.
    [[nodiscard]] static bool is_there();

    /// Throws std::system_error when there is no descriptor left.
    ManagerSocket();

    enum class Outcome { done, failed, stopped };

    /// Sends this, with this descriptor; -1 for none. Waits until the manager has room for it. Failed: errno tells why,
    /// such as that there is no descriptor left for a socket, or that too many are under way; to be tried again.
    [[nodiscard]] Outcome send(const std::string& state, int fd);
    /// Waits until the manager has taken in all that was sent before.
    [[nodiscard]] Outcome barrier();

    /// Ends what waits, and all that would. From any thread.
    void stop();

  private:
    Outcome await(int fd, short event) const;

    UniqueFd stop_;    // an eventfd
    UniqueFd socket_;  // connected; made when it is needed
};

}  // namespace shmd
