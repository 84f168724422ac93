// Where the segment with a key is. A table of its own, as every call looks there: one line of memory says where the entry is,
// whereas the nodes of std::unordered_map are three. What is far away is fetched at once, not one after the other. Keys come from
// anybody, so their places are not to be foreseen: they are hashed with a secret.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace shmd {

struct Entry;

/// SipHash-1-3 of these bytes (Aumasson and Bernstein, 2012).
[[nodiscard]] std::uint64_t sip_hash(const std::array<std::uint64_t, 2>& secret, std::string_view bytes) noexcept;

/// Borrowed pointers to entries that have a key, each another one. The key of an entry that is in here does not change.
class KeyIndex {
  public:
    KeyIndex();

    [[nodiscard]] Entry* find(std::string_view key) const noexcept;
    /// One that is not in here can be inserted after this, which may throw std::bad_alloc.
    void make_room();
    void insert(Entry& entry) noexcept;
    void erase(const Entry& entry) noexcept;
    /// Puts an entry with the same key in its place.
    void replace(const Entry& entry, Entry& by) noexcept;

  private:
    struct Place {
        std::uint64_t hash = 0;
        Entry* entry = nullptr;  // null: nobody has it
    };
    [[nodiscard]] std::size_t place_of(const Entry& entry) const noexcept;
    void put(Place place) noexcept;

    std::array<std::uint64_t, 2> secret_{};
    std::vector<Place> places_;  // a power of two, of which at most half are taken; each is as near as can be behind its hash
    std::size_t count_ = 0;
};

}  // namespace shmd
