// The grammar of keys, byte by byte, and the keys that stand for integers.
#include "key.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>

using namespace shmd;

namespace {

// Written out from the IDL, apart from the implementation.
const std::string letters_and_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const std::string all_key_bytes = letters_and_digits + "._:/@+=-";

bool holds(const std::string& set, char byte) {
    return set.find(byte) != std::string::npos;
}

}  // namespace

TEST_CASE("every single byte is a key exactly when it is a letter or a digit") {
    for (int value = 0; value < 256; value++) {
        char byte = static_cast<char>(value);
        CAPTURE(value);
        CHECK(is_valid_key(std::string(1, byte)) == holds(letters_and_digits, byte));
    }
}

TEST_CASE("every byte may follow the first exactly when it is in the grammar") {
    for (int value = 0; value < 256; value++) {
        char byte = static_cast<char>(value);
        CAPTURE(value);
        CHECK(is_valid_key(std::string("a") + byte) == holds(all_key_bytes, byte));
        CHECK(is_valid_key(std::string("a") + byte + "z") == holds(all_key_bytes, byte));
    }
}

TEST_CASE("a key has 1 to 255 bytes") {
    CHECK_FALSE(is_valid_key(""));
    CHECK(is_valid_key(std::string(255, 'k')));
    CHECK_FALSE(is_valid_key(std::string(256, 'k')));
}

TEST_CASE("a prefix may be empty and is otherwise the beginning of a key") {
    CHECK(is_valid_prefix(""));
    CHECK(is_valid_prefix("a/"));
    CHECK(is_valid_prefix(std::string(255, 'k')));
    CHECK_FALSE(is_valid_prefix(std::string(256, 'k')));
    CHECK_FALSE(is_valid_prefix("/a"));
    CHECK_FALSE(is_valid_prefix("a b"));
    CHECK_FALSE(is_valid_prefix("a*"));
    CHECK_FALSE(is_valid_prefix(std::string("a\0b", 3)));
}

TEST_CASE("a System V key is sysv:0x and 8 lower-case digits") {
    CHECK(sysv_key(0xff3) == "sysv:0x00000ff3");
    CHECK(sysv_key(0) == "sysv:0x00000000");
    CHECK(sysv_key(-1) == "sysv:0xffffffff");
    CHECK(sysv_key(std::numeric_limits<std::int32_t>::max()) == "sysv:0x7fffffff");
    CHECK(sysv_key(std::numeric_limits<std::int32_t>::min()) == "sysv:0x80000000");
    CHECK(is_valid_key(sysv_key(-1)));
}

TEST_CASE("a typed 32-bit integer means the System V key of that number") {
    CHECK(key_from_text("0xff3") == "sysv:0x00000ff3");
    CHECK(key_from_text("0XFF3") == "sysv:0x00000ff3");
    CHECK(key_from_text("4083") == "sysv:0x00000ff3");
    CHECK(key_from_text("0") == "sysv:0x00000000");
    CHECK(key_from_text("-1") == "sysv:0xffffffff");
    CHECK(key_from_text("4294967295") == "sysv:0xffffffff");
    CHECK(key_from_text("0xffffffff") == "sysv:0xffffffff");
    CHECK(key_from_text("-2147483648") == "sysv:0x80000000");
    CHECK(key_from_text("2147483648") == "sysv:0x80000000");
}

TEST_CASE("anything else that is typed is taken as it is") {
    for (const char* text : {"", "-", "0x", "-0x", "4294967296", "-2147483649", "0x100000000", "12a", "0xg", "1.0",
                             " 1", "1 ", "+1", "--1", "sysv:0x00000ff3", "frame/0", "no key at all!"}) {
        CHECK(key_from_text(text) == text);
    }
}

TEST_CASE("a System V key's number is told from its text, and from nothing that only looks like one") {
    for (std::int32_t number : {1, 0xff3, -1, std::numeric_limits<std::int32_t>::min()}) {
        CHECK(sysv_number(sysv_key(number)) == number);
    }
    for (const char* text : {"sysv:0x00000000", "sysv:0xFF000000", "sysv:0x0000ff3", "sysv:0x000000ff3", "sysv:0x+0000ff3",
                             "sysv:00000000ff", "", "frame/0"}) {
        CAPTURE(text);
        CHECK_FALSE(sysv_number(text));
    }
}
