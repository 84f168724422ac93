// What is known of a segment, as a value and as JSON. Included by <shmd/shmd.hpp>.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <shmd/error.hpp>

namespace shmd {
inline namespace v0 {

enum class Access { read = SHMD_READ, write = SHMD_WRITE };

/// Until deleted; until the last grant ends; until the process that created it is gone; until its lease runs out.
enum class Lifetime {
    persistent = SHMD_LIFETIME_PERSISTENT,
    attached = SHMD_LIFETIME_ATTACHED,
    creator = SHMD_LIFETIME_CREATOR,
    lease = SHMD_LIFETIME_LEASE
};

/// Pages of which memory is made: the usual ones; huge ones where the kernel finds them; huge ones alone, from their pool.
enum class HugePages {
    none = SHMD_HUGE_NONE,
    transparent = SHMD_HUGE_TRANSPARENT,
    huge_2m = SHMD_HUGE_2M,
    huge_1g = SHMD_HUGE_1G
};

/// Access beyond what the mode allows, for a user or a group.
struct AclEntry {
    enum class Kind { user = SHMD_ACL_USER, group = SHMD_ACL_GROUP };
    Kind kind = Kind::user;
    std::uint32_t id = 0;
    Access access = Access::read;
    bool operator==(const AclEntry&) const = default;
};

enum class State { staged = SHMD_STAGED, live = SHMD_LIVE, deleted = SHMD_DELETED };

using Labels = std::map<std::string, std::string>;
/// Of CLOCK_REALTIME.
using Time = std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>;

/// What the daemon knows of a segment. A value: it does not change with the segment.
struct Info {
    std::int64_t id = 0;
    std::optional<std::string> key{};  // none while staged, after deletion, and when the key was taken over
    std::uint64_t size_bytes = 0;
    unsigned mode = 0;  // permission bits
    std::uint32_t owner_uid = 0, owner_gid = 0;
    std::uint32_t creator_uid = 0, creator_gid = 0;
    std::int32_t creator_pid = 0;
    State state = State::live;
    bool sealed = false;
    bool evictable = false;
    std::uint64_t attachments = 0;  // grants that have not ended
    Time created{}, changed{};
    std::optional<Time> attached{}, detached{}, expires{};
    Labels labels{};
    Lifetime lifetime = Lifetime::persistent;
    std::optional<std::chrono::microseconds> lease{};
    std::vector<AclEntry> acl{};
    std::uint64_t capacity_bytes = 0;
    HugePages huge_pages = HugePages::none;
    std::vector<std::uint32_t> numa_nodes{};  // none: any
};

namespace detail {

inline Time time(std::int64_t usec) {
    return Time(std::chrono::microseconds(usec));
}
inline std::optional<Time> optional_time(std::int64_t usec) {
    return usec < 0 ? std::nullopt : std::optional(time(usec));
}
inline std::int64_t usec(const std::optional<Time>& at) {
    return at ? at->time_since_epoch().count() : -1;
}

// Microseconds for C: rounded up, -1 for what no clock will ever reach.
template <typename Rep, typename Period>
std::int64_t timeout_usec(std::chrono::duration<Rep, Period> timeout) {
    constexpr std::chrono::duration<double> century(3.2e9);
    if (timeout <= timeout.zero()) return 0;
    if (std::chrono::duration<double>(timeout) > century) return -1;
    return std::chrono::ceil<std::chrono::microseconds>(timeout).count();
}

inline std::vector<shmd_label> views(const Labels& labels) {
    std::vector<shmd_label> all;
    for (const auto& [name, value] : labels) all.push_back({name.c_str(), value.c_str()});
    return all;
}

inline std::vector<shmd_acl_entry> views(const std::vector<AclEntry>& acl) {
    std::vector<shmd_acl_entry> all;
    for (const AclEntry& entry : acl) {
        all.push_back({static_cast<shmd_acl_kind>(entry.kind), entry.id, static_cast<shmd_access>(entry.access)});
    }
    return all;
}

inline Info info_from(const shmd_info& from) {
    Info info;
    info.id = from.id;
    if (from.key) info.key = from.key;
    info.size_bytes = from.size_bytes;
    info.mode = from.mode;
    info.owner_uid = from.owner_uid;
    info.owner_gid = from.owner_gid;
    info.creator_uid = from.creator_uid;
    info.creator_gid = from.creator_gid;
    info.creator_pid = from.creator_pid;
    info.state = static_cast<State>(from.state);
    info.sealed = from.sealed != 0;
    info.evictable = from.evictable != 0;
    info.attachments = from.attachments;
    info.created = time(from.created_usec);
    info.changed = time(from.changed_usec);
    info.attached = optional_time(from.attached_usec);
    info.detached = optional_time(from.detached_usec);
    info.expires = optional_time(from.expires_usec);
    for (std::size_t i = 0; i < from.label_count; i++) info.labels.emplace(from.labels[i].name, from.labels[i].value);
    info.lifetime = static_cast<Lifetime>(from.lifetime);
    if (from.lease_usec >= 0) info.lease = std::chrono::microseconds(from.lease_usec);
    for (std::size_t i = 0; i < from.acl_count; i++) {
        const shmd_acl_entry& entry = from.acl[i];
        info.acl.push_back(
            {static_cast<AclEntry::Kind>(entry.kind), entry.id, static_cast<Access>(entry.access)});
    }
    info.capacity_bytes = from.capacity_bytes;
    info.huge_pages = static_cast<HugePages>(from.huge_pages);
    info.numa_nodes.assign(from.numa_nodes, from.numa_nodes + from.numa_node_count);
    return info;
}

// The way back into C. The views borrow from the info.
struct CInfo : shmd_info {
    explicit CInfo(const Info& from) : shmd_info{}, label_views(views(from.labels)), acl_views(views(from.acl)) {
        id = from.id;
        key = from.key ? from.key->c_str() : nullptr;
        size_bytes = from.size_bytes;
        mode = from.mode;
        owner_uid = from.owner_uid;
        owner_gid = from.owner_gid;
        creator_uid = from.creator_uid;
        creator_gid = from.creator_gid;
        creator_pid = from.creator_pid;
        state = static_cast<shmd_state>(from.state);
        sealed = from.sealed ? 1 : 0;
        evictable = from.evictable ? 1 : 0;
        attachments = from.attachments;
        created_usec = usec(from.created);
        attached_usec = usec(from.attached);
        detached_usec = usec(from.detached);
        changed_usec = usec(from.changed);
        expires_usec = usec(from.expires);
        labels = label_views.data();
        label_count = label_views.size();
        lifetime = static_cast<shmd_lifetime>(from.lifetime);
        lease_usec = from.lease ? from.lease->count() : -1;
        acl = acl_views.data();
        acl_count = acl_views.size();
        capacity_bytes = from.capacity_bytes;
        huge_pages = static_cast<shmd_huge_pages>(from.huge_pages);
        numa_nodes = from.numa_nodes.data();
        numa_node_count = from.numa_nodes.size();
    }
    CInfo(const CInfo&) = delete;
    CInfo& operator=(const CInfo&) = delete;

    std::vector<shmd_label> label_views;
    std::vector<shmd_acl_entry> acl_views;
};

}  // namespace detail

/// An info as a JSON object with the field names of the interface description, indented by 2. Throws Error.
[[nodiscard]] inline std::string to_json(const Info& info) {
    const detail::CInfo plain(info);
    return detail::made_by<char>(shmd_info_json, static_cast<const shmd_info*>(&plain)).get();
}

/// The same for several, as an array.
[[nodiscard]] inline std::string to_json(const std::vector<Info>& infos) {
    std::list<detail::CInfo> plain;
    for (auto info = infos.rbegin(); info != infos.rend(); ++info) {
        const shmd_info* next = plain.empty() ? nullptr : &plain.front();
        plain.emplace_front(*info).next = next;
    }
    const shmd_info* first = plain.empty() ? nullptr : &plain.front();
    return detail::made_by<char>(shmd_info_list_json, first).get();
}

}  // namespace v0
}  // namespace shmd
