// The types of io.shmd.Segments in C++. One struct or enum for each type of the IDL, with the same names.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace shmd {

enum class Access { read, write };
enum class CreateMode { create_new, any };
enum class Reserve { lazy, allocate, populate };
enum class State { staged, live, deleted };
enum class Lifetime { persistent, attached, creator, lease };
enum class HugePages { none, transparent, huge_2m, huge_1g };
enum class Event {
    present,
    ready,
    created,
    published,
    replaced,
    sealed,
    resized,
    changed,
    attached,
    detached,
    deleted,
    expired,
    evicted,
    lost
};

using Labels = std::map<std::string, std::string>;

/// Access beyond the mode, for a user or a group.
struct AclEntry {
    enum class Kind { user, group };
    Kind kind = Kind::user;
    std::uint32_t id = 0;
    Access access = Access::read;
    bool operator==(const AclEntry&) const = default;
};

/// One grant and the process that has it.
struct Holder {
    std::int32_t pid = 0;
    std::uint32_t uid = 0;
    std::uint32_t attachment = 0;
    Access access = Access::read;
    bool operator==(const Holder&) const = default;
};

/// A segment as the daemon describes it. Sizes in bytes, times in microseconds of CLOCK_REALTIME.
struct Segment {
    std::int64_t id = 0;
    std::optional<std::string> key;
    std::int64_t size_bytes = 0;
    int mode = 0;
    std::uint32_t owner_uid = 0;
    std::uint32_t owner_gid = 0;
    std::uint32_t creator_uid = 0;
    std::uint32_t creator_gid = 0;
    std::int32_t creator_pid = 0;
    State state = State::live;
    bool sealed = false;
    std::int64_t attachments = 0;
    std::int64_t created_usec = 0;
    std::optional<std::int64_t> attached_usec;
    std::optional<std::int64_t> detached_usec;
    std::int64_t changed_usec = 0;
    std::optional<std::int64_t> expires_usec;
    bool evictable = false;
    Labels labels;
    Lifetime lifetime = Lifetime::persistent;
    std::optional<std::int64_t> lease_usec;
    std::vector<AclEntry> acl;
    std::int64_t capacity_bytes = 0;
    HugePages huge_pages = HugePages::none;
    std::vector<std::uint32_t> numa_nodes;

    bool operator==(const Segment&) const = default;
};

}  // namespace shmd
