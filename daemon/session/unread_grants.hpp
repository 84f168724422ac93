// The descriptors that a peer has been sent and has not read yet. The kernel keeps them, also when the connection is closed
// at this end, and counts them against the daemon's user: past RLIMIT_NOFILE nobody would get any more. So they are on the
// peer's account until they are read.
#pragma once

#include <cstdint>

#include "quota.hpp"

namespace shmd {

/// Those of one connection.
class UnreadGrants {
  public:
    UnreadGrants(Quota& quota, std::uint32_t uid) : quota_(quota), uid_(uid) {}

    enum class Room {
        made,
        not_read,   // not before this peer has read
        user_full,  // not before other connections of its user have read
    };
    /// Makes room for up to so many that are to be sent.
    Room reserve(int socket, int count);
    /// The refusal when a user has too many unread.
    [[nodiscard]] Error user_is_full() const;
    /// What was sent of those reserved; the room for the others is given back.
    void sent(int count);
    /// True when the peer has read everything that it was sent, or never can.
    bool all_read(int socket);

    [[nodiscard]] int count() const { return count_; }

  private:
    [[nodiscard]] bool is_far_from_full() const;

    Quota& quota_;
    std::uint32_t uid_;
    int count_ = 0;  // sent since the peer was last known to have read everything
    Charge charge_;
    Charge reserved_;
};

}  // namespace shmd
