// The JSON of the codecs, byte by byte, against a parser that shares nothing with them.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "codec_samples.hpp"
#include "messages.hpp"

using namespace shmd;
using namespace shmd::test;
using Json = nlohmann::json;

namespace {

// The rules of a call's envelope, once more.
bool is_call(const Json& message) {
    if (!message.is_object() || !message.contains("method")) return false;
    int flags = 0;
    for (const auto& [name, value] : message.items()) {
        if (name == "method") {
            if (!value.is_string()) return false;
        } else if (name == "parameters") {
            if (!value.is_object() && !value.is_null()) return false;
        } else if (name == "oneway" || name == "more" || name == "upgrade") {
            if (!value.is_boolean()) return false;
            flags += value.get<bool>() ? 1 : 0;
        } else {
            return false;
        }
    }
    return flags <= 1;
}

// One of every kind that a JSON or UTF-8 parser may tell apart. No NUL: a message holds none.
const std::string telling_bytes =
    "\x01\x08\t\n\v\r\x1f "
    "!\"#'*+,-./0129:;<[\\]{|}Eadefnrtu\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xed\xef\xf0\xf4\xf5\xff";

// Both must agree on whether it is a call and, if so, on its flags.
bool agree(const std::string& message) {
    Json reference = Json::parse(message, nullptr, false);
    auto decoded = decode_call(message, Endpoint::segments);
    const Call* call = std::get_if<Call>(&decoded);
    if (reference.is_discarded() || !is_call(reference)) return call == nullptr;
    return call && call->flags == CallFlags{reference.value("oneway", false), reference.value("more", false)};
}

void append_utf8(std::string& out, std::uint32_t point) {
    auto byte = [&out](std::uint32_t value) { out += static_cast<char>(value); };
    if (point < 0x80) {
        byte(point);
    } else if (point < 0x800) {
        byte(0xc0 | point >> 6), byte(0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
        byte(0xe0 | point >> 12), byte(0x80 | (point >> 6 & 0x3f)), byte(0x80 | (point & 0x3f));
    } else {
        byte(0xf0 | point >> 18), byte(0x80 | (point >> 12 & 0x3f)), byte(0x80 | (point >> 6 & 0x3f)),
            byte(0x80 | (point & 0x3f));
    }
}

bool is_surrogate(std::uint32_t point) {
    return point >= 0xd800 && point < 0xe000;
}

// What a client reads where the daemon wrote this text.
std::string read_back(const std::string& text) {
    auto reply = decode_reply<InterfaceDescription>(encode_reply(InterfaceDescription{text}));
    REQUIRE(reply);
    return std::get<InterfaceDescription>(reply->body).description;
}

}  // namespace

TEST_CASE("any one byte changed, put in or left out makes the same of a call as for another parser") {
    const std::vector<std::string> calls{
        R"({"method":"io.shmd.Segments.List","parameters":{"prefix":"a/"},"more":true})",
        R"({"method":"io.shmd.Segments.Create","parameters":{"sizeBytes":120,"labels":{"a":"\u00e9\n"}},"oneway":false})",
        R"({ "oneway" : true , "method" : "a.b" , "parameters" : [ -1.5e+2 , null , {"x":[]} ] })",
        R"({"method":"\ud83d\ude00 ä€😀","parameters":null,"upgrade":false})",
    };
    for (const std::string& call : calls) {
        for (std::size_t at = 0; at <= call.size(); at++) {
            for (char byte : telling_bytes) {
                std::string inserted = call;
                inserted.insert(at, 1, byte);
                if (!agree(inserted)) FAIL_CHECK("inserted: " << inserted);
                if (at == call.size()) continue;
                std::string changed = call;
                changed[at] = byte;
                if (!agree(changed)) FAIL_CHECK("changed: " << changed);
            }
            if (!agree(call.substr(0, at))) FAIL_CHECK("cut: " << call.substr(0, at));
            std::string shorter = call;
            if (at < call.size() && !agree(shorter.erase(at, 1))) FAIL_CHECK("left out: " << shorter);
        }
    }
}

TEST_CASE("every escape of four digits makes the same of a call as for another parser") {
    constexpr std::string_view digits = "0123456789abcdefABCDEFg";
    for (const char* before : {"", "\\ud83d", "\\ude00", "\\\\", "a"}) {
        for (char first : digits) {
            for (char second : digits) {
                std::string escape{'\\', 'u', first, second, '0', '0'};
                std::string call = R"({"method":"a.b)" + std::string(before) + escape + "\"}";
                if (!agree(call)) FAIL_CHECK(call);
            }
        }
    }
}

TEST_CASE("every character comes back as it went") {
    std::string text;
    for (std::uint32_t point = 0; point <= 0x10ffff; point++) {
        if (!is_surrogate(point)) append_utf8(text, point);
        if (text.size() < 256 && point < 0x10ffff) continue;
        if (read_back(text) != text) FAIL_CHECK("up to code point " << point);
        text.clear();
    }
}

TEST_CASE("what is not UTF-8 comes back as what is") {
    for (int first = 0; first < 256; first++) {
        for (int second = 0; second < 256; second++) {
            std::string text{static_cast<char>(first), static_cast<char>(second)};
            std::string back = read_back(text);
            (void)Json(back).dump();  // throws unless it is UTF-8
            if (first < 0x80 && second < 0x80 && back != text) FAIL_CHECK(first << " " << second);
        }
    }
}

TEST_CASE("numbers are written as another parser reads them") {
    auto written = [](std::int64_t number) {
        SegmentReply reply{Segment{}};
        reply.segment->created_usec = number;
        return Json::parse(encode_reply(reply))["parameters"]["segment"]["createdUsec"];
    };
    for (std::int64_t power = 1; power <= 1'000'000'000'000'000'000 / 10; power *= 10) {
        for (std::int64_t number : {power - 1, power, power + 1, 3 * power + power / 7, -power}) {
            CAPTURE(number);
            CHECK(written(number) == number);
        }
    }
    for (std::int64_t number : {INT64_MAX, INT64_MIN, INT64_MIN + 1, std::int64_t{10}, std::int64_t{99}, std::int64_t{100}}) {
        CHECK(written(number) == number);
    }
}
