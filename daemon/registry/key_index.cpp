#include "key_index.hpp"

#include <sys/random.h>

#include <bit>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "registry.hpp"

namespace shmd {
namespace {

constexpr std::size_t line_bytes = 64;

std::uint64_t little_endian(const char* bytes, std::size_t count) {
    std::uint64_t word = 0;
    if (std::endian::native == std::endian::little) {
        std::memcpy(&word, bytes, count);
    } else {
        for (std::size_t i = 0; i < count; i++) word |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << 8 * i;
    }
    return word;
}

}  // namespace

std::uint64_t sip_hash(const std::array<std::uint64_t, 2>& secret, std::string_view bytes) noexcept {
    std::uint64_t a = secret[0] ^ 0x736f6d6570736575, b = secret[1] ^ 0x646f72616e646f6d;
    std::uint64_t c = secret[0] ^ 0x6c7967656e657261, d = secret[1] ^ 0x7465646279746573;
    auto round = [&] {
        a += b, b = std::rotl(b, 13) ^ a, a = std::rotl(a, 32);
        c += d, d = std::rotl(d, 16) ^ c;
        a += d, d = std::rotl(d, 21) ^ a;
        c += b, b = std::rotl(b, 17) ^ c, c = std::rotl(c, 32);
    };
    auto take = [&](std::uint64_t word) {
        d ^= word;
        round();
        a ^= word;
    };
    constexpr std::size_t word_bytes = sizeof(std::uint64_t);
    std::size_t at = 0;
    for (; bytes.size() - at >= word_bytes; at += word_bytes) take(little_endian(bytes.data() + at, word_bytes));
    take(little_endian(bytes.data() + at, bytes.size() - at) | std::uint64_t{bytes.size()} << 56);
    c ^= 0xff;
    for (int i = 0; i < 3; i++) round();
    return a ^ b ^ c ^ d;
}

KeyIndex::KeyIndex() : places_(16) {
    if (::getrandom(secret_.data(), sizeof secret_, 0) != sizeof secret_) {
        throw std::system_error(errno, std::generic_category(), "getrandom");
    }
}

Entry* KeyIndex::find(std::string_view key) const noexcept {
    const std::uint64_t hash = sip_hash(secret_, key);
    const std::size_t mask = places_.size() - 1;
    for (std::size_t i = hash & mask; Entry* entry = places_[i].entry; i = (i + 1) & mask) {
        if (places_[i].hash != hash) continue;
        for (std::size_t line = 0; line < sizeof(Entry); line += line_bytes) {
            __builtin_prefetch(reinterpret_cast<const char*>(entry) + line);
        }
        if (*entry->key == key) return entry;
    }
    return nullptr;
}

void KeyIndex::make_room() {
    if (2 * (count_ + 1) <= places_.size()) return;
    std::vector<Place> smaller(2 * places_.size());
    smaller.swap(places_);
    for (const Place& place : smaller) {
        if (place.entry) put(place);
    }
}

void KeyIndex::insert(Entry& entry) noexcept {
    assert(2 * (count_ + 1) <= places_.size());
    put({sip_hash(secret_, *entry.key), &entry});
    count_++;
}

void KeyIndex::put(Place place) noexcept {
    const std::size_t mask = places_.size() - 1;
    std::size_t i = place.hash & mask;
    while (places_[i].entry) i = (i + 1) & mask;
    places_[i] = place;
}

std::size_t KeyIndex::place_of(const Entry& entry) const noexcept {
    const std::size_t mask = places_.size() - 1;
    std::size_t i = sip_hash(secret_, *entry.key) & mask;
    while (places_[i].entry != &entry) i = (i + 1) & mask;
    return i;
}

// Those behind it move up, as far as their hashes allow.
void KeyIndex::erase(const Entry& entry) noexcept {
    const std::size_t mask = places_.size() - 1;
    std::size_t free = place_of(entry);
    for (std::size_t i = (free + 1) & mask; places_[i].entry; i = (i + 1) & mask) {
        std::size_t moved_by = (i - places_[i].hash) & mask;
        if (moved_by < ((i - free) & mask)) continue;
        places_[std::exchange(free, i)] = places_[i];
    }
    places_[free] = {};
    count_--;
}

void KeyIndex::replace(const Entry& entry, Entry& by) noexcept {
    places_[place_of(entry)].entry = &by;
}

}  // namespace shmd
