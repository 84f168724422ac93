// The grammar of keys, and the keys that stand for System V's integers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shmd {

/// True for 1 to 255 bytes of [A-Za-z0-9._:/@+=-], the first one alphanumeric.
[[nodiscard]] bool is_valid_key(std::string_view key);

/// True for what List takes: empty, or a beginning of a valid key.
[[nodiscard]] bool is_valid_prefix(std::string_view prefix);

/// The key of a System V integer key: "sysv:0x" and 8 lower-case hexadecimal digits.
[[nodiscard]] std::string sysv_key(std::int32_t key);
/// The other way round; nothing when it is no such key, and for 0, which in System V stands for none.
[[nodiscard]] std::optional<std::int32_t> sysv_number(std::string_view key);

/// What a person types for a key: a decimal or 0x-hexadecimal integer of 32 bits, signed or unsigned, is the System V
/// key of that number; anything else is taken as it is, valid or not.
[[nodiscard]] std::string key_from_text(std::string_view text);

}  // namespace shmd
