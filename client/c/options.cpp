#include "options.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

#include "limits.hpp"

namespace shmd::client {
namespace {

// The size of the first version of the struct, which every caller has at least.
constexpr std::size_t least_options_size =
    offsetof(shmd_create_options, label_count) + sizeof(shmd_create_options::label_count);

// By position: the C enumerator's value is the index.
constexpr std::array accesses{Access::read, Access::write};
constexpr std::array create_modes{CreateMode::create_new, CreateMode::any};
constexpr std::array reserves{Reserve::allocate, Reserve::populate, Reserve::lazy};
constexpr std::array lifetimes{Lifetime::persistent, Lifetime::attached};
static_assert(SHMD_READ == 0 && SHMD_WRITE == 1 && SHMD_CREATE_NEW == 0 && SHMD_CREATE_ANY == 1);
static_assert(SHMD_RESERVE_ALLOCATE == 0 && SHMD_RESERVE_POPULATE == 1 && SHMD_RESERVE_LAZY == 2);
static_assert(SHMD_LIFETIME_PERSISTENT == 0 && SHMD_LIFETIME_ATTACHED == 1);

Failure invalid(const char* what) {
    return {EINVAL, std::string("invalid argument: ") + what};
}

// What the caller has of the options, over the defaults.
Outcome<shmd_create_options> complete(const shmd_create_options& given) {
    shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
    if (given.struct_size < least_options_size) return invalid("options.struct_size is not set");
    std::memcpy(&options, &given, std::min(given.struct_size, sizeof options));
    const auto* bytes = reinterpret_cast<const unsigned char*>(&given);
    for (std::size_t i = sizeof options; i < given.struct_size; i++) {
        if (bytes[i] != 0) return invalid("options has a field that this version of libshmd does not know");
    }
    return options;
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

Outcome<Labels> labels_from(const shmd_create_options& options) {
    Labels labels;
    if (options.label_count > 0 && !options.labels) return invalid("options.labels is null");
    for (std::size_t i = 0; i < options.label_count; i++) {
        const shmd_label& label = options.labels[i];
        if (!label.name || !label.value) return invalid("a label's name or value is null");
        if (!labels.emplace(label.name, label.value).second) return invalid("two labels have the same name");
    }
    return labels;
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

    auto given = complete(*options);
    if (!given) return std::move(given.failure());
    if (given->mode > static_cast<unsigned>(limits::mode_bits)) return invalid("options.mode is more than 0777");
    create.mode = static_cast<int>(given->mode);
    if (!choose(given->create_mode, create_modes, create.create_mode)) return invalid("options.create_mode");
    if (!choose(given->access, accesses, create.access)) return invalid("options.access");
    if (!choose(given->reserve, reserves, create.reserve)) return invalid("options.reserve");
    if (!choose(given->lifetime, lifetimes, create.lifetime)) return invalid("options.lifetime");
    if (given->staged) create.staged = true;
    auto labels = labels_from(*given);
    if (!labels) return std::move(labels.failure());
    if (!labels->empty()) create.labels = std::move(*labels);
    return create;
}

}  // namespace shmd::client
