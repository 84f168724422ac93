// Listening sockets: made here, or taken from systemd. Replaces a stale socket file, never a live one, and never
// unlinks anything that is not a socket.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fd_store.hpp"
#include "messages.hpp"
#include "unique_fd.hpp"

namespace shmd {

/// A listening socket, and the file that goes with it when this process made it.
class Listener {
  public:
    /// Makes the socket file with this mode (and this group, if there is one) and listens. Missing parents of the last
    /// directory are not made. Throws std::runtime_error with a text for people.
    static Listener make(Endpoint endpoint, const std::string& path, mode_t mode, std::optional<gid_t> group);

    /// What a service manager passed.
    struct Passed {
        /// Told apart by FileDescriptorName= or else by their paths.
        std::vector<Listener> listeners;
        /// What it kept for us in its store.
        std::map<Slot, UniqueFd> stored;
    };
    static Passed from_systemd();

    Listener(Listener&& other) noexcept = default;
    Listener& operator=(Listener&&) = delete;
    ~Listener();

    [[nodiscard]] Endpoint endpoint() const { return endpoint_; }
    [[nodiscard]] const std::string& path() const { return path_; }
    /// Hands the socket over; the file stays this object's.
    [[nodiscard]] UniqueFd take_socket() { return std::move(socket_); }

  private:
    Listener(Endpoint endpoint, std::string path, UniqueFd socket)
        : endpoint_(endpoint), path_(std::move(path)), socket_(std::move(socket)) {}

    Endpoint endpoint_;
    std::string path_;
    UniqueFd socket_;
    // The file that was made, so that no other is removed: its device and inode.
    struct File {
        dev_t device;
        ino_t inode;
    };
    std::optional<File> file_;
};

/// Makes the directory of a user instance, 0700, or checks the one that is there. Throws std::runtime_error.
void prepare_user_directory(const std::string& directory);

}  // namespace shmd
