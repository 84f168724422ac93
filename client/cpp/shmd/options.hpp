// How segments are named, made and changed: keys and options, and their C forms. Part of <shmd/shmd.hpp>.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <shmd/error.hpp>
#include <shmd/info.hpp>

namespace shmd {
inline namespace v0 {

/// create_new: fail when the key is taken. any: open that segment.
enum class CreateMode { create_new = SHMD_CREATE_NEW, any = SHMD_CREATE_ANY };
/// How much of the memory is there at first: all of it; all of it and zeroed; nothing.
enum class Reserve { allocate = SHMD_RESERVE_ALLOCATE, populate = SHMD_RESERVE_POPULATE, lazy = SHMD_RESERVE_LAZY };

/// Names a segment: a text, or an integer for the System V key of that number. nullptr is no key, for create().
/// Throws Error when the text holds a NUL.
class Key {
  public:
    Key(std::nullptr_t) noexcept : none_(true) {}
    Key(std::string_view text) : text_(text) {
        if (text.find('\0') != text.npos) detail::refuse("a key holds a NUL");
    }
    Key(const std::string& text) : Key(std::string_view(text)) {}
    Key(const char* text) : none_(!text) {
        if (text) text_ = text;
    }
    Key(std::int32_t sysv) {
        char text[SHMD_KEY_SIZE];
        shmd_sysv_key(sysv, text);
        text_ = text;
    }
    Key(std::uint32_t sysv) : Key(static_cast<std::int32_t>(sysv)) {}

    /// Null for no key. Valid as long as the Key.
    [[nodiscard]] const char* c_str() const noexcept { return none_ ? nullptr : text_.c_str(); }

  private:
    std::string text_;
    bool none_ = false;
};

/// Names a segment by its id, which is never reused.
struct Id {
    std::int64_t value;
};

/// Options of Client::create(). Designated initializers fit: {.mode = 0640, .staged = true}.
struct CreateOptions {
    unsigned mode = 0600;  // SHMD_MODE_DEFAULT: the daemon chooses, as its policy.defaultMode says
    CreateMode create_mode = CreateMode::create_new;
    Reserve reserve = Reserve::allocate;
    Lifetime lifetime = Lifetime::persistent;
    bool staged = false;  // invisible until publish()
    Labels labels{};
    std::chrono::microseconds lease{};  // with Lifetime::lease: at least a second
    bool evictable = false;             // may be dropped when memory runs short and nobody has it open
    bool sealable = true;               // false: nobody can ever make it immutable
    std::vector<AclEntry> acl{};
    std::uint64_t capacity_bytes = 0;  // how far it can grow, all charged to the quota; 0: not at all
    HugePages huge_pages = HugePages::none;
    std::vector<std::uint32_t> numa_nodes{};  // none: any
    bool placement_fallback = false;          // do without what the machine has not
};

/// What Client::set_attributes() changes: what is set, and nothing else.
struct Attributes {
    std::optional<unsigned> mode{};
    std::optional<std::uint32_t> owner_uid{}, owner_gid{};
    std::optional<Lifetime> lifetime{};
    std::chrono::microseconds lease{};  // with Lifetime::lease, which begins now
    std::optional<bool> evictable{};
    Labels labels{};                           // to be added, or changed where the name is there
    std::vector<std::string> remove_labels{};  // names
    std::optional<std::vector<AclEntry>> acl{};  // in place of all that there are
};

namespace detail {

// The C form. Borrows from the options.
struct CCreateOptions : shmd_create_options {
    CCreateOptions(const CreateOptions& from, Access granted)
        : shmd_create_options(SHMD_CREATE_OPTIONS_INIT), label_views(views(from.labels)), acl_views(views(from.acl)) {
        mode = from.mode;
        create_mode = static_cast<shmd_create_mode>(from.create_mode);
        access = static_cast<shmd_access>(granted);
        reserve = static_cast<shmd_reserve>(from.reserve);
        lifetime = static_cast<shmd_lifetime>(from.lifetime);
        staged = from.staged ? 1 : 0;
        labels = label_views.data();
        label_count = label_views.size();
        lease_usec = from.lease.count();
        evictable = from.evictable ? 1 : 0;
        sealable = from.sealable ? 1 : 0;
        acl = acl_views.data();
        acl_count = acl_views.size();
        capacity_bytes = from.capacity_bytes;
        huge_pages = static_cast<shmd_huge_pages>(from.huge_pages);
        numa_nodes = from.numa_nodes.data();
        numa_node_count = from.numa_nodes.size();
        placement_fallback = from.placement_fallback ? 1 : 0;
    }
    CCreateOptions(const CCreateOptions&) = delete;
    CCreateOptions& operator=(const CCreateOptions&) = delete;

    std::vector<shmd_label> label_views;
    std::vector<shmd_acl_entry> acl_views;
};

// The C form. Borrows from the attributes.
struct CAttributes : shmd_attributes {
    explicit CAttributes(const Attributes& from)
        : shmd_attributes(SHMD_ATTRIBUTES_INIT), label_views(views(from.labels)), acl_views(views(from.acl.value_or(std::vector<AclEntry>{}))) {
        if (from.mode) mode = *from.mode, set |= SHMD_SET_MODE;
        if (from.owner_uid) owner_uid = *from.owner_uid, set |= SHMD_SET_OWNER_UID;
        if (from.owner_gid) owner_gid = *from.owner_gid, set |= SHMD_SET_OWNER_GID;
        if (from.lifetime) lifetime = static_cast<shmd_lifetime>(*from.lifetime), set |= SHMD_SET_LIFETIME;
        lease_usec = from.lease.count();
        if (from.evictable) evictable = *from.evictable ? 1 : 0, set |= SHMD_SET_EVICTABLE;
        if (!from.labels.empty()) set |= SHMD_SET_LABELS;
        labels = label_views.data();
        label_count = label_views.size();
        for (const std::string& name : from.remove_labels) name_views.push_back(name.c_str());
        if (!name_views.empty()) set |= SHMD_REMOVE_LABELS;
        shmd_attributes::remove_labels = name_views.data();
        remove_label_count = name_views.size();
        if (from.acl) set |= SHMD_SET_ACL;
        acl = acl_views.data();
        acl_count = acl_views.size();
    }
    CAttributes(const CAttributes&) = delete;
    CAttributes& operator=(const CAttributes&) = delete;

    std::vector<shmd_label> label_views;
    std::vector<const char*> name_views;
    std::vector<shmd_acl_entry> acl_views;
};

}  // namespace detail

}  // namespace v0
}  // namespace shmd
