#include "size_text.hpp"

#include <doctest/doctest.h>

using namespace shmd;

TEST_CASE("sizes are read in bytes and powers of 1024") {
    CHECK(parse_size("0") == 0);
    CHECK(parse_size("100") == 100);
    CHECK(parse_size("4K") == 4096);
    CHECK(parse_size("16M") == 16 << 20);
    CHECK(parse_size("2G") == std::int64_t{2} << 30);
    CHECK(parse_size("1T") == std::int64_t{1} << 40);
    CHECK(parse_size("9007199254740991") == 9007199254740991);
}

TEST_CASE("anything else is no size") {
    for (const char* text : {"", "K", "-1", "+1", " 1", "1 K", "1KB", "1k", "0x10", "1.5G", "9007199254740992", "9000T",
                             "99999999999999999999"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_size(text));
    }
}

TEST_CASE("sizes are written short") {
    CHECK(format_size(0) == "0");
    CHECK(format_size(1023) == "1023");
    CHECK(format_size(1024) == "1.0K");
    CHECK(format_size(1536) == "1.5K");
    CHECK(format_size(100 << 10) == "100K");
    CHECK(format_size((1 << 20) - 1) == "1.0M");
    CHECK(format_size(std::int64_t{5} << 30) == "5.0G");
    CHECK(format_size(std::int64_t{4096} << 40) == "4096T");
}
