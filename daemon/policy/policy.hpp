// Who may do what to a segment: pure functions of the peer and the segment's owner and mode. No descriptors, no JSON,
// no sockets. The rules are those of System V shared memory (ipc(5), shmget(2)).
#pragma once

#include <cstdint>
#include <vector>

#include "types.hpp"

namespace shmd {

/// A process at the other end of a connection, as the kernel names it (SO_PEERCRED, SO_PEERGROUPS).
struct Peer {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::int32_t pid = 0;  // 0 when it is not visible in this pid namespace
    std::vector<std::uint32_t> groups{};

    [[nodiscard]] bool is_root() const { return uid == 0; }
    [[nodiscard]] bool in_group(std::uint32_t group) const;
};

/// What decides about access to one segment.
struct Acl {
    std::uint32_t owner_uid = 0;
    std::uint32_t owner_gid = 0;
    std::uint32_t creator_uid = 0;
    std::uint32_t creator_gid = 0;
    int mode = 0;
};

/// True when the peer may be granted this access. Owner and creator are judged by the owner's bits, their groups by the
/// group's, all else by the last three; write needs r and w. Root passes.
[[nodiscard]] bool check(const Peer& peer, const Acl& acl, Access access);

/// True when the peer may see the segment's description: it may read, or is owner or creator.
[[nodiscard]] bool check_describe(const Peer& peer, const Acl& acl);

/// True when the peer may delete or change the segment: its owner, its creator, root.
[[nodiscard]] bool check_administer(const Peer& peer, const Acl& acl);

}  // namespace shmd
