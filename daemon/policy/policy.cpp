#include "policy.hpp"

#include <algorithm>
#include <utility>

namespace shmd {
namespace {

constexpr std::string_view user_space = "user/";

// "user/1000/anything" for user 1000. The number stands there as it is usually written, so it means one user.
bool in_own_space(const Peer& peer, std::string_view key) {
    return key.starts_with(std::string(user_space) + std::to_string(peer.uid) + "/");
}

template <typename T>
bool contains(const std::vector<T>& list, T value) {
    return std::find(list.begin(), list.end(), value) != list.end();
}

}  // namespace

bool Peer::in_group(std::uint32_t group) const {
    return gid == group || std::find(groups.begin(), groups.end(), group) != groups.end();
}

bool check(const Peer& peer, const Acl& acl, Access access) {
    return check_system_v(peer, acl, access == Access::write ? 06 : 04);
}

// As ipcperms() in the kernel.
bool check_system_v(const Peer& peer, const Acl& acl, int wanted) {
    if (peer.is_root()) return true;
    int bits = acl.mode;
    if (peer.uid == acl.owner_uid || peer.uid == acl.creator_uid) {
        bits >>= 6;
    } else if (peer.in_group(acl.owner_gid) || peer.in_group(acl.creator_gid)) {
        bits >>= 3;
    }
    int missing = (wanted >> 6 | wanted >> 3 | wanted) & ~bits & 07;
    if (missing == 0) return true;
    return std::any_of(acl.entries.begin(), acl.entries.end(), [&](const AclEntry& entry) {
        bool is_peer = entry.kind == AclEntry::Kind::user ? entry.id == peer.uid : peer.in_group(entry.id);
        int added = entry.access == Access::write ? 06 : 04;
        return is_peer && (missing & ~added) == 0;
    });
}

bool check_describe(const Peer& peer, const Acl& acl) {
    return check_administer(peer, acl) || check(peer, acl, Access::read);
}

bool check_administer(const Peer& peer, const Acl& acl) {
    return peer.is_root() || peer.uid == acl.owner_uid || peer.uid == acl.creator_uid;
}

KeyPolicy::KeyPolicy(std::vector<ReservedPrefix> reserved, int default_mode)
    : reserved_(std::move(reserved)), default_mode_(default_mode) {
    std::stable_sort(reserved_.begin(), reserved_.end(), [](const ReservedPrefix& a, const ReservedPrefix& b) {
        return a.prefix.size() > b.prefix.size();
    });
}

const ReservedPrefix* KeyPolicy::rule_for(std::string_view key) const {
    auto found = std::find_if(reserved_.begin(), reserved_.end(),
                              [&](const ReservedPrefix& rule) { return key.starts_with(rule.prefix); });
    return found == reserved_.end() ? nullptr : &*found;
}

bool KeyPolicy::may_create(const Peer& peer, std::string_view key) const {
    if (peer.is_root()) return true;
    const ReservedPrefix* rule = rule_for(key);
    // A rule for a part of the user's space decides about that part; a shorter one leaves the space to its users.
    bool built_in = key.starts_with(user_space) && (!rule || rule->prefix.size() < user_space.size());
    if (built_in) return in_own_space(peer, key);
    if (!rule) return true;
    return contains(rule->uids, peer.uid) ||
           std::any_of(rule->gids.begin(), rule->gids.end(), [&](std::uint32_t gid) { return peer.in_group(gid); });
}

int KeyPolicy::default_mode(std::string_view key) const {
    const ReservedPrefix* rule = rule_for(key);
    return rule && rule->mode ? *rule->mode : default_mode_;
}

}  // namespace shmd
