// Who may do what to a segment, and who may take which key: pure functions of the peer, the segment's owner, mode and
// entries, and the administrator's rules. No descriptors, no JSON, no sockets. The rules of mode and owner are those of
// System V shared memory (ipc(5), shmget(2)).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "limits.hpp"
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
    std::vector<AclEntry> entries{};
    bool operator==(const Acl&) const = default;
};

/// True when the peer may be granted this access. Owner and creator are judged by the owner's bits, their groups by the
/// group's, all else by the last three; write needs r and w. An entry for the peer's uid or one of its groups adds to that. Root
/// passes.
[[nodiscard]] bool check(const Peer& peer, const Acl& acl, Access access);

/// The same for a System V call: wanted are permission bits of any class, of which those of all classes are taken together.
/// An entry adds r, or r and w.
[[nodiscard]] bool check_system_v(const Peer& peer, const Acl& acl, int wanted);

/// True when the peer may see the segment's description: it may read, or is owner or creator.
[[nodiscard]] bool check_describe(const Peer& peer, const Acl& acl);

/// True when the peer may delete or change the segment: its owner, its creator, root.
[[nodiscard]] bool check_administer(const Peer& peer, const Acl& acl);

/// Keys that begin with this prefix are for these users and groups to create, and have a mode of their own.
struct ReservedPrefix {
    std::string prefix;
    std::vector<std::uint32_t> uids{};
    std::vector<std::uint32_t> gids{};
    std::optional<int> mode{};
    bool operator==(const ReservedPrefix&) const = default;
};

/// Who may create which keys. The longest prefix that fits decides; without one everybody may. Unless the
/// administrator says otherwise, "user/UID/" is for that user alone, and nothing else below "user/" is for anybody.
/// Root may all.
class KeyPolicy {
  public:
    KeyPolicy() = default;
    KeyPolicy(std::vector<ReservedPrefix> reserved, int default_mode);

    [[nodiscard]] bool may_create(const Peer& peer, std::string_view key) const;
    /// The mode of a segment whose creator names none.
    [[nodiscard]] int default_mode(std::string_view key) const;

  private:
    [[nodiscard]] const ReservedPrefix* rule_for(std::string_view key) const;

    std::vector<ReservedPrefix> reserved_{};  // the longest first
    int default_mode_ = limits::default_mode;
};

}  // namespace shmd
