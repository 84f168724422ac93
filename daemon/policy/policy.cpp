#include "policy.hpp"

#include <algorithm>

namespace shmd {

bool Peer::in_group(std::uint32_t group) const {
    return gid == group || std::find(groups.begin(), groups.end(), group) != groups.end();
}

bool check(const Peer& peer, const Acl& acl, Access access) {
    if (peer.is_root()) return true;
    int bits = acl.mode;
    if (peer.uid == acl.owner_uid || peer.uid == acl.creator_uid) {
        bits >>= 6;
    } else if (peer.in_group(acl.owner_gid) || peer.in_group(acl.creator_gid)) {
        bits >>= 3;
    }
    int needed = access == Access::write ? 06 : 04;
    return (bits & needed) == needed;
}

bool check_describe(const Peer& peer, const Acl& acl) {
    return check_administer(peer, acl) || check(peer, acl, Access::read);
}

bool check_administer(const Peer& peer, const Acl& acl) {
    return peer.is_root() || peer.uid == acl.owner_uid || peer.uid == acl.creator_uid;
}

}  // namespace shmd
