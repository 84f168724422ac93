#include "info.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace shmd::client {
namespace {

// What a shmd_info points to, behind it.
struct OwnedInfo : shmd_info {
    explicit OwnedInfo(Segment&& from);

    std::optional<std::string> key_text;
    Labels labels_text;
    std::vector<shmd_label> label_views;
    std::vector<shmd_acl_entry> acl_entries;
    std::vector<std::uint32_t> nodes;
};

std::int64_t or_never(const std::optional<std::int64_t>& time) {
    return time.value_or(-1);
}

std::optional<std::int64_t> unless_never(std::int64_t time) {
    return time < 0 ? std::nullopt : std::optional(time);
}

OwnedInfo::OwnedInfo(Segment&& from)
    : shmd_info{}, key_text(std::move(from.key)), nodes(std::move(from.numa_nodes)) {
    if (!from.labels.empty()) labels_text = std::move(from.labels);
    for (const auto& [name, value] : labels_text) label_views.push_back({name.c_str(), value.c_str()});
    id = from.id;
    key = key_text ? key_text->c_str() : nullptr;
    size_bytes = static_cast<std::uint64_t>(from.size_bytes);
    mode = static_cast<unsigned>(from.mode);
    owner_uid = from.owner_uid;
    owner_gid = from.owner_gid;
    creator_uid = from.creator_uid;
    creator_gid = from.creator_gid;
    creator_pid = from.creator_pid;
    state = static_cast<shmd_state>(from.state);
    sealed = from.sealed ? 1 : 0;
    evictable = from.evictable ? 1 : 0;
    attachments = static_cast<std::uint64_t>(from.attachments);
    created_usec = from.created_usec;
    attached_usec = or_never(from.attached_usec);
    detached_usec = or_never(from.detached_usec);
    changed_usec = from.changed_usec;
    expires_usec = or_never(from.expires_usec);
    labels = label_views.data();
    label_count = label_views.size();
    lifetime = static_cast<shmd_lifetime>(from.lifetime);
    lease_usec = or_never(from.lease_usec);
    for (const AclEntry& entry : from.acl) {
        acl_entries.push_back(
            {static_cast<shmd_acl_kind>(entry.kind), entry.id, static_cast<shmd_access>(entry.access)});
    }
    acl = acl_entries.data();
    acl_count = acl_entries.size();
    capacity_bytes = static_cast<std::uint64_t>(from.capacity_bytes);
    huge_pages = static_cast<shmd_huge_pages>(from.huge_pages);
    numa_nodes = nodes.data();
    numa_node_count = nodes.size();
}

static_assert(static_cast<int>(State::staged) == SHMD_STAGED && static_cast<int>(State::live) == SHMD_LIVE &&
              static_cast<int>(State::deleted) == SHMD_DELETED);
static_assert(static_cast<int>(Lifetime::attached) == SHMD_LIFETIME_ATTACHED &&
              static_cast<int>(Lifetime::creator) == SHMD_LIFETIME_CREATOR &&
              static_cast<int>(Lifetime::lease) == SHMD_LIFETIME_LEASE);
static_assert(static_cast<int>(HugePages::huge_1g) == SHMD_HUGE_1G);
static_assert(static_cast<int>(AclEntry::Kind::group) == SHMD_ACL_GROUP && static_cast<int>(Access::write) == SHMD_WRITE);

}  // namespace

void FreeInfo::operator()(shmd_info* first) const noexcept {
    while (first) {
        auto* info = static_cast<OwnedInfo*>(first);
        first = const_cast<shmd_info*>(info->next);
        delete info;
    }
}

InfoPointer make_info(Segment&& segment) {
    return InfoPointer(new OwnedInfo(std::move(segment)));
}

void InfoChain::add(Segment&& segment) {
    InfoPointer info = make_info(std::move(segment));
    shmd_info* added = info.get();
    if (last_) {
        last_->next = info.release();
    } else {
        first_ = std::move(info);
    }
    last_ = added;
}

Segment segment_of(const shmd_info& info) {
    Segment segment;
    segment.id = info.id;
    if (info.key) segment.key = info.key;
    segment.size_bytes = static_cast<std::int64_t>(info.size_bytes);
    segment.mode = static_cast<int>(info.mode);
    segment.owner_uid = info.owner_uid;
    segment.owner_gid = info.owner_gid;
    segment.creator_uid = info.creator_uid;
    segment.creator_gid = info.creator_gid;
    segment.creator_pid = info.creator_pid;
    segment.state = static_cast<State>(info.state);
    segment.sealed = info.sealed != 0;
    segment.evictable = info.evictable != 0;
    segment.attachments = static_cast<std::int64_t>(info.attachments);
    segment.created_usec = info.created_usec;
    segment.attached_usec = unless_never(info.attached_usec);
    segment.detached_usec = unless_never(info.detached_usec);
    segment.changed_usec = info.changed_usec;
    segment.expires_usec = unless_never(info.expires_usec);
    for (std::size_t i = 0; i < info.label_count; i++)
        segment.labels.emplace(info.labels[i].name, info.labels[i].value);
    segment.lifetime = static_cast<Lifetime>(info.lifetime);
    segment.lease_usec = unless_never(info.lease_usec);
    for (std::size_t i = 0; i < info.acl_count; i++) {
        const shmd_acl_entry& entry = info.acl[i];
        segment.acl.push_back(
            {static_cast<AclEntry::Kind>(entry.kind), entry.id, static_cast<Access>(entry.access)});
    }
    segment.capacity_bytes = static_cast<std::int64_t>(info.capacity_bytes);
    segment.huge_pages = static_cast<HugePages>(info.huge_pages);
    segment.numa_nodes.assign(info.numa_nodes, info.numa_nodes + info.numa_node_count);
    return segment;
}

}  // namespace shmd::client
