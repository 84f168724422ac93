// Records that tell by themselves whether they are whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace shmd::test {

/// The byte at this place of the record of this number.
inline std::byte record_byte(std::uint64_t number, std::size_t place) {
    std::uint64_t x = number * 0x9E3779B97F4A7C15ULL + place / 8;
    x ^= x >> 31;
    x *= 0xBF58476D1CE4E5B9ULL;
    return static_cast<std::byte>(x >> (place % 8 * 8));
}

inline void fill_record(std::span<std::byte> to, std::uint64_t number) {
    for (std::size_t i = 0; i < to.size(); i++) to[i] = record_byte(number, i);
}

inline std::vector<std::byte> make_record(std::uint64_t number, std::size_t size) {
    std::vector<std::byte> made(size);
    fill_record(made, number);
    return made;
}

inline bool is_record(std::span<const std::byte> data, std::uint64_t number, std::size_t size) {
    if (data.size() != size) return false;
    for (std::size_t i = 0; i < size; i++) {
        if (data[i] != record_byte(number, i)) return false;
    }
    return true;
}

}  // namespace shmd::test
