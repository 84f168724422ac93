#include "options.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "limits.hpp"

namespace shmd::client {
namespace {

// The size of the first version of the struct, which every caller has at least.
constexpr std::size_t least_options_size =
    offsetof(shmd_create_options, placement_fallback) + sizeof(shmd_create_options::placement_fallback);
constexpr std::size_t least_attributes_size =
    offsetof(shmd_attributes, acl_count) + sizeof(shmd_attributes::acl_count);

// By position: the C enumerator's value is the index.
constexpr std::array accesses{Access::read, Access::write};
constexpr std::array create_modes{CreateMode::create_new, CreateMode::any};
constexpr std::array reserves{Reserve::allocate, Reserve::populate, Reserve::lazy};
constexpr std::array lifetimes{Lifetime::persistent, Lifetime::attached, Lifetime::creator, Lifetime::lease};
constexpr std::array huge_page_kinds{HugePages::none, HugePages::transparent, HugePages::huge_2m, HugePages::huge_1g};
constexpr std::array acl_kinds{AclEntry::Kind::user, AclEntry::Kind::group};
static_assert(SHMD_READ == 0 && SHMD_WRITE == 1 && SHMD_CREATE_NEW == 0 && SHMD_CREATE_ANY == 1);
static_assert(SHMD_RESERVE_ALLOCATE == 0 && SHMD_RESERVE_POPULATE == 1 && SHMD_RESERVE_LAZY == 2);
static_assert(SHMD_LIFETIME_PERSISTENT == 0 && SHMD_LIFETIME_ATTACHED == 1);

Failure invalid(const char* what) {
    return {EINVAL, std::string("invalid argument: ") + what};
}

// What the caller has of a struct that may grow, over the defaults.
template <typename T>
Outcome<T> complete(const T& given, T defaults, std::size_t least_size) {
    if (given.struct_size < least_size) return invalid("the struct_size of the options is not set");
    std::memcpy(&defaults, &given, std::min(given.struct_size, sizeof defaults));
    const auto* bytes = reinterpret_cast<const unsigned char*>(&given);
    for (std::size_t i = sizeof defaults; i < given.struct_size; i++) {
        if (bytes[i] != 0) return invalid("options has a field that this version of libshmd does not know");
    }
    return defaults;
}

template <typename Enumerator, typename E, std::size_t n>
bool choose(const Enumerator& enumerator, const std::array<E, n>& values, std::optional<E>& out) {
    unsigned position = 0;
    static_assert(sizeof position == sizeof enumerator);
    std::memcpy(&position, &enumerator, sizeof position);
    if (position >= n) return false;
    out = values[position];
    return true;
}

Outcome<Labels> labels_from(const shmd_label* given, std::size_t count) {
    Labels labels;
    if (count > 0 && !given) return invalid("options.labels is null");
    for (std::size_t i = 0; i < count; i++) {
        const shmd_label& label = given[i];
        if (!label.name || !label.value) return invalid("a label's name or value is null");
        if (!labels.emplace(label.name, label.value).second) return invalid("two labels have the same name");
    }
    return labels;
}

Outcome<std::vector<AclEntry>> acl_from(const shmd_acl_entry* given, std::size_t count) {
    std::vector<AclEntry> acl;
    if (count > 0 && !given) return invalid("options.acl is null");
    for (std::size_t i = 0; i < count; i++) {
        std::optional<AclEntry::Kind> kind;
        std::optional<Access> access;
        if (!choose(given[i].kind, acl_kinds, kind)) return invalid("options.acl.kind");
        if (!choose(given[i].access, accesses, access)) return invalid("options.acl.access");
        acl.push_back({*kind, given[i].id, *access});
    }
    return acl;
}

}  // namespace

Outcome<Access> access_from(const shmd_access& access) {
    std::optional<Access> chosen;
    if (!choose(access, accesses, chosen)) return invalid("access is neither SHMD_READ nor SHMD_WRITE");
    return *chosen;
}

Outcome<Create> create_from(const char* key, std::uint64_t size, const shmd_create_options* options) {
    Create create;
    if (key) create.key = key;
    if (size > static_cast<std::uint64_t>(limits::integer)) return invalid("a segment has at most 2^53-1 bytes");
    create.size_bytes = static_cast<std::int64_t>(size);
    if (!options) return create;

    auto given = complete<shmd_create_options>(*options, SHMD_CREATE_OPTIONS_INIT, least_options_size);
    if (!given) return std::move(given.failure());
    if (given->mode != SHMD_MODE_DEFAULT) {
        if (given->mode > static_cast<unsigned>(limits::mode_bits)) return invalid("options.mode is more than 0777");
        create.mode = static_cast<int>(given->mode);
    }
    if (!choose(given->create_mode, create_modes, create.create_mode)) return invalid("options.create_mode");
    if (!choose(given->access, accesses, create.access)) return invalid("options.access");
    if (!choose(given->reserve, reserves, create.reserve)) return invalid("options.reserve");
    if (!choose(given->lifetime, lifetimes, create.lifetime)) return invalid("options.lifetime");
    if (given->staged) create.staged = true;
    auto labels = labels_from(given->labels, given->label_count);
    if (!labels) return std::move(labels.failure());
    if (!labels->empty()) create.labels = std::move(*labels);
    auto acl = acl_from(given->acl, given->acl_count);
    if (!acl) return std::move(acl.failure());
    if (!acl->empty()) create.acl = std::move(*acl);
    if (given->lease_usec != 0) create.lease_usec = given->lease_usec;
    if (given->evictable) create.evictable = true;
    if (!given->sealable) create.sealable = false;
    if (given->capacity_bytes > static_cast<std::uint64_t>(limits::integer)) {
        return invalid("a segment has at most 2^53-1 bytes");
    }
    if (given->capacity_bytes != 0) create.capacity_bytes = static_cast<std::int64_t>(given->capacity_bytes);
    if (!choose(given->huge_pages, huge_page_kinds, create.huge_pages)) return invalid("options.huge_pages");
    if (create.huge_pages == HugePages::none) create.huge_pages.reset();
    if (given->numa_node_count > 0 && !given->numa_nodes) return invalid("options.numa_nodes is null");
    if (given->numa_node_count > 0) {
        create.numa_nodes.emplace(given->numa_nodes, given->numa_nodes + given->numa_node_count);
    }
    if (given->placement_fallback) create.placement_fallback = true;
    return create;
}

Outcome<SetAttributes> attributes_from(const Target& target, const shmd_attributes& attributes) {
    auto given = complete<shmd_attributes>(attributes, SHMD_ATTRIBUTES_INIT, least_attributes_size);
    if (!given) return std::move(given.failure());
    SetAttributes change{target};
    constexpr unsigned known = SHMD_SET_MODE | SHMD_SET_OWNER_UID | SHMD_SET_OWNER_GID | SHMD_SET_LIFETIME |
                               SHMD_SET_EVICTABLE | SHMD_SET_LABELS | SHMD_REMOVE_LABELS | SHMD_SET_ACL;
    auto is_set = [&given](unsigned flag) { return (given->set & flag) != 0; };
    if (is_set(~known)) return invalid("attributes.set has a bit that this version of libshmd does not know");
    if (is_set(SHMD_SET_MODE)) {
        if (given->mode > static_cast<unsigned>(limits::mode_bits)) return invalid("attributes.mode is more than 0777");
        change.mode = static_cast<int>(given->mode);
    }
    if (is_set(SHMD_SET_OWNER_UID)) change.owner_uid = given->owner_uid;
    if (is_set(SHMD_SET_OWNER_GID)) change.owner_gid = given->owner_gid;
    if (is_set(SHMD_SET_LIFETIME)) {
        if (!choose(given->lifetime, lifetimes, change.lifetime)) return invalid("attributes.lifetime");
        if (given->lease_usec != 0) change.lease_usec = given->lease_usec;
    }
    if (is_set(SHMD_SET_EVICTABLE)) change.evictable = given->evictable != 0;
    if (is_set(SHMD_SET_LABELS)) {
        auto labels = labels_from(given->labels, given->label_count);
        if (!labels) return std::move(labels.failure());
        change.labels = std::move(*labels);
    }
    if (is_set(SHMD_REMOVE_LABELS)) {
        if (given->remove_label_count > 0 && !given->remove_labels) return invalid("attributes.remove_labels is null");
        change.remove_labels.emplace();
        for (std::size_t i = 0; i < given->remove_label_count; i++) {
            if (!given->remove_labels[i]) return invalid("a label's name is null");
            change.remove_labels->emplace_back(given->remove_labels[i]);
        }
    }
    if (is_set(SHMD_SET_ACL)) {
        auto acl = acl_from(given->acl, given->acl_count);
        if (!acl) return std::move(acl.failure());
        change.acl = std::move(*acl);
    }
    return change;
}

}  // namespace shmd::client
