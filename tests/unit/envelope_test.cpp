// Which messages are calls, and to whom: everything around the parameters.
#include <doctest/doctest.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "codec_samples.hpp"
#include "limits.hpp"
#include "messages.hpp"

using namespace shmd;
using namespace shmd::test;
using namespace std::string_literals;
using Json = nlohmann::ordered_json;

TEST_CASE("a message that is no call closes the connection") {
    for (const char* message : {"",
                                " ",
                                "hello",
                                "{",
                                "{}",
                                "[]",
                                "null",
                                "1",
                                "\"method\"",
                                R"({"method":"a.b"}})",
                                R"({"method":"a.b"} {"method":"a.b"})",
                                R"({'method':'a.b'})",
                                R"({"method":"a.b",})",
                                R"({"method":"a.b"} // comment)",
                                R"({"parameters":{}})",
                                R"({"method":null})",
                                R"({"method":1})",
                                R"({"method":["a.b"]})",
                                R"({"method":"a.b","parameters":[]})",
                                R"({"method":"a.b","parameters":"{}"})",
                                R"({"method":"a.b","parameters":1})",
                                R"({"method":"a.b","parameters":false})",
                                R"({"method":"a.b","oneway":1})",
                                R"({"method":"a.b","oneway":null})",
                                R"({"method":"a.b","more":"true"})",
                                R"({"method":"a.b","upgrade":0})",
                                R"({"method":"a.b","oneway":true,"more":true})",
                                R"({"method":"a.b","oneway":true,"upgrade":true})",
                                R"({"method":"a.b","more":true,"upgrade":true})",
                                R"({"method":"a.b","id":1})",
                                R"({"method":"a.b","error":"x.y"})",
                                R"({"method":"a.b","continues":false})",
                                R"({"method":"a.b","Method":"a.b"})"}) {
        CAPTURE(message);
        CHECK(is_violation(message));
    }
}

TEST_CASE("broken UTF-8 closes the connection") {
    for (const std::string& bytes :
         {"\xff"s, "\x80"s, "\xc3"s, "\xc0\x80"s, "\xed\xa0\x80"s, "\xf4\x90\x80\x80"s, R"(\ud800)"s, R"(\udc00)"s,
          R"(a\uDFFFb)"s, R"(\udc00\ud800)"s, R"(\ud83d\ude00\ude00)"s, R"(\\\udc00)"s}) {
        CAPTURE(bytes);
        CHECK(is_violation(message_of(Describe::method, R"({"key":")" + bytes + R"("})")));
        CHECK(is_violation(R"({"method":"io.shmd.)" + bytes + R"("})"));
    }
}

TEST_CASE("a byte order mark, or a part of one, closes the connection") {
    for (const char* mark : {"\xef\xbb\xbf", "\xef", "\xbb", "\xbf"}) {
        CHECK(is_violation(mark + R"({"method":"a.b"})"s));
    }
}

TEST_CASE("a bare control character in a string closes the connection") {
    CHECK(is_violation(message_of(Describe::method, "{\"key\":\"a\nb\"}")));
    CHECK(is_violation(message_of(Describe::method, "{\"key\":\"a\0b\"}"s)));
}

TEST_CASE("absent, null and empty parameters are the same") {
    for (const char* tail : {"", R"(,"parameters":null)", R"(,"parameters":{})"}) {
        Call call = decode(R"({"method":"org.varlink.service.GetInfo")" + std::string(tail) + "}");
        REQUIRE(call.body.has_value());
        CHECK(std::holds_alternative<GetInfo>(*call.body));
        CHECK(refusal(Detach::method, "{}") == invalid_parameter("attachment"));
    }
}

TEST_CASE("flags may be there and false, and the first of a repeated one counts") {
    std::string method = R"({"method":"org.varlink.service.GetInfo",)";
    CHECK((decode(method + R"("oneway":false,"more":false,"upgrade":false})").flags == CallFlags{}));
    CHECK((decode(method + R"("oneway":true,"more":false})").flags == CallFlags{.oneway = true}));
    CHECK((decode(method + R"("oneway":false,"oneway":true})").flags == CallFlags{}));
    CHECK((decode(method + R"("more":true,"more":false})").flags == CallFlags{.more = true}));
}

TEST_CASE("a refused call keeps its flags, so that a refused oneway call is not answered") {
    Call call = decode(R"({"method":"io.shmd.Segments.Nonsense","oneway":true})");
    CHECK_FALSE(call.body.has_value());
    CHECK(call.flags.oneway);
}

TEST_CASE("an upgrade of the connection is not implemented") {
    Call call = decode(R"({"method":"io.shmd.Segments.List","upgrade":true})");
    REQUIRE_FALSE(call.body.has_value());
    CHECK((call.body.error() == Error{ErrorCode::method_not_implemented, "io.shmd.Segments.List"}));
}

TEST_CASE("32 levels of nesting are read and 33 close the connection") {
    // The message and its parameters are two levels already.
    auto nested = [](int levels, const std::string& open, const std::string& close) {
        return message_of(Describe::method,
                          R"({"key":)" + repeated(open, levels - 2) + "1" + repeated(close, levels - 2) + "}");
    };
    for (auto [open, close] : {std::pair{"[", "]"}, {R"({"a":)", "}"}}) {
        CHECK_FALSE(is_violation(nested(32, open, close)));
        CHECK(is_violation(nested(33, open, close)));
        CHECK(is_violation(nested(10'000, open, close)));
    }
    CHECK(is_violation(std::string(10'000, '[') + std::string(10'000, ']')));
    CHECK(is_violation(std::string(1'000'000, '[')));
    CHECK(is_violation(repeated(R"({"a":)", 100'000)));
}

TEST_CASE("brackets in strings and side by side do not nest") {
    CHECK(refusal(Describe::method, R"({"key":")" + std::string(100, '[') + R"("})") ==
          invalid_key(std::string(100, '[')));
    CHECK(refusal(Describe::method, R"({"key":"\")" + std::string(100, '{') + R"("})") ==
          invalid_key("\"" + std::string(100, '{')));
    CHECK(refusal(Describe::method, R"({"key":"\\","id":)" + repeated("[],", 0) + "[" + repeated("[],", 99) + "[]]}") ==
          invalid_parameter("id"));
}

TEST_CASE("an unknown interface and an unknown method are told apart") {
    auto error = [](const std::string& method, Endpoint endpoint = Endpoint::segments) {
        Call call = decode(Json{{"method", method}}.dump(), endpoint);
        return call.body ? Error::permission_denied() : call.body.error();
    };
    auto no_interface = [](const std::string& name) { return Error{ErrorCode::interface_not_found, name}; };
    auto no_method = [](const std::string& name) { return Error{ErrorCode::method_not_found, name}; };
    CHECK((error("org.example.Nothing.Do") == no_interface("org.example.Nothing")));
    CHECK((error("io.shmd.Segments") == no_interface("io.shmd")));
    CHECK((error("List") == no_interface("")));
    CHECK((error("") == no_interface("")));
    CHECK((error(".") == no_interface("")));
    CHECK((error(".List") == no_interface("")));
    CHECK((error("io.shmd.Segments.Nonsense") == no_method("io.shmd.Segments.Nonsense")));
    CHECK((error("io.shmd.Segments.") == no_method("io.shmd.Segments.")));
    CHECK((error("io.shmd.Segments.create") == no_method("io.shmd.Segments.create")));
    CHECK((error("IO.shmd.Segments.Create") == no_interface("IO.shmd.Segments")));
    CHECK((error("io.shmd.Segments.List\0"s) == no_method("io.shmd.Segments.List\0"s)));
}

TEST_CASE("each endpoint serves its own interface and the service interface") {
    auto refused = [](std::string_view method, Endpoint endpoint) {
        Call call = decode(Json{{"method", method}}.dump(), endpoint);
        return !call.body && call.body.error().code == ErrorCode::interface_not_found;
    };
    for (Endpoint endpoint : {Endpoint::segments, Endpoint::control}) {
        CHECK_FALSE(refused(GetInfo::method, endpoint));
        CHECK(refused(List::method, endpoint) == (endpoint == Endpoint::control));
        CHECK(refused(GetStatus::method, endpoint) == (endpoint == Endpoint::segments));
    }
    auto served = [](Endpoint endpoint) {
        auto names = served_interfaces(endpoint);
        return std::vector<std::string_view>(names.begin(), names.end());
    };
    using Names = std::vector<std::string_view>;
    CHECK(served(Endpoint::segments) == Names{"io.shmd.Segments", "io.shmd.SystemV", "org.varlink.service"});
    CHECK(served(Endpoint::control) == Names{"io.shmd.Control", "org.varlink.service"});
}

TEST_CASE("a hostile name is not sent back whole, nor cut inside a character") {
    std::string error =
        encode_error(decode(Json{{"method", "io.shmd.Segments." + std::string(100'000, 'x')}}.dump()).body.error());
    CHECK(error.size() < 400);
    for (int shift = 0; shift < 3; shift++) {
        std::string text = std::string(static_cast<std::size_t>(shift), '!') + repeated("€", 1000);
        auto key =
            Json::parse(refusal(Describe::method, Json{{"key", text}}.dump()))["parameters"]["key"].get<std::string>();
        CHECK(key.size() <= 256);
        CHECK(key.size() >= 254);
        CHECK(text.starts_with(key));
        CHECK(invalid_parameter(key) == refusal(GetInfo::method, Json{{text, 1}}.dump()));
    }
}
