// Everything that the parameters of a call may get wrong, and the limits of what is right.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "codec_samples.hpp"
#include "limits.hpp"
#include "messages.hpp"

using namespace shmd;
using namespace shmd::test;
using namespace std::string_literals;
using Json = nlohmann::ordered_json;

namespace {

// The JSON values that are no value of these types.
const std::vector<std::string> not_an_int{"\"1\"",
                                          "1.0",
                                          "1.5",
                                          "1e3",
                                          "true",
                                          "[]",
                                          "[1]",
                                          "{}",
                                          "9007199254740992",
                                          "18446744073709551615",
                                          "18446744073709551616",
                                          "-9007199254740992",
                                          "-9223372036854775808"};
const std::vector<std::string> not_a_string{"1", "true", "[]", "[\"a\"]", "{}"};
const std::vector<std::string> not_a_bool{"0", "1", "\"true\"", "[]", "{}"};
const std::vector<std::string> not_an_enum{"\"\"", "\"Read\"", "\"read \"", "\"nonsense\"", "0", "true", "[]", "{}"};

// Each value of `bad` for the parameter, with `others` beside it, is refused by its name.
void check_refused(std::string_view method, const std::string& parameter, const std::vector<std::string>& bad,
                   const std::string& others = "") {
    for (const std::string& value : bad) {
        std::string parameters = "{" + others + (others.empty() ? "" : ",") + "\"" + parameter + "\":" + value + "}";
        CAPTURE(parameters);
        CHECK(refusal(method, parameters) == invalid_parameter(parameter));
    }
}

std::vector<std::string> with(std::vector<std::string> list, const std::vector<std::string>& more) {
    list.insert(list.end(), more.begin(), more.end());
    return list;
}

}  // namespace

TEST_CASE("an ill-typed parameter is named") {
    std::string size = R"("sizeBytes":1)", key = R"("key":"k")", attachment = R"("attachment":1)";
    check_refused(Create::method, "key", not_a_string, size);
    check_refused(Create::method, "sizeBytes", with(not_an_int, {"null", "0", "-1"}));
    check_refused(Create::method, "mode", with(not_an_int, {"-1", "512", "4294967296", "\"0600\""}), size);
    check_refused(Create::method, "createMode", not_an_enum, size);
    check_refused(Create::method, "access", not_an_enum, size);
    check_refused(Create::method, "reserve", not_an_enum, size);
    check_refused(Create::method, "staged", not_a_bool, size);
    check_refused(Create::method, "lifetime", not_an_enum, size);
    check_refused(Create::method, "labels", {"1", "\"a\"", "[]", "true", R"({"a":1})", R"({"a":null})", R"({"a":{}})"},
                  size);
    check_refused(Open::method, "key", not_a_string, R"("access":"read")");
    check_refused(Open::method, "id", not_an_int, R"("access":"read")");
    check_refused(Open::method, "access", with(not_an_enum, {"null"}), key);
    check_refused(Open::method, "waitUsec", with(not_an_int, {"-1"}), key + R"(,"access":"read")");
    check_refused(Detach::method, "attachment", with(not_an_int, {"null", "0", "-1", "4294967296"}));
    check_refused(Publish::method, "attachment", with(not_an_int, {"null", "0", "-1", "4294967296"}));
    check_refused(Publish::method, "key", not_a_string, attachment);
    check_refused(Publish::method, "replace", not_a_bool, attachment);
    for (std::string_view method : {Describe::method, Delete::method}) {
        check_refused(method, "key", not_a_string);
        check_refused(method, "id", not_an_int);
    }
    check_refused(List::method, "prefix",
                  with(not_a_string, {"\"/\"", "\" \"", "\"a*\"", "\"" + std::string(256, 'a') + "\""}));
    check_refused(GetInterfaceDescription::method, "interface", with(not_a_string, {"null"}));
}

TEST_CASE("a number that JSON cannot hold closes the connection") {
    CHECK(is_violation(message_of(Create::method, R"({"sizeBytes":1e400})")));
    CHECK(is_violation(message_of(Create::method, R"({"sizeBytes":01})")));
    CHECK(is_violation(message_of(Create::method, R"({"sizeBytes":NaN})")));
}

TEST_CASE("a parameter that the method does not have is named") {
    std::string method_and_parameters[][2] = {
        {std::string(GetInfo::method), R"({"extra":null})"},
        {std::string(GetInterfaceDescription::method), R"({"interface":"a","extra":1})"},
        {std::string(Create::method), R"({"sizeBytes":1,"extra":1})"},
        {std::string(Open::method), R"({"key":"k","access":"read","extra":1})"},
        {std::string(Detach::method), R"({"attachment":1,"extra":1})"},
        {std::string(Publish::method), R"({"attachment":1,"extra":1})"},
        {std::string(Describe::method), R"({"key":"k","extra":1})"},
        {std::string(List::method), R"({"extra":1})"},
        {std::string(Delete::method), R"({"id":1,"extra":1})"},
    };
    for (const auto& [method, parameters] : method_and_parameters)
        CHECK(refusal(method, parameters) == invalid_parameter("extra"));
    for (std::string_view method : {GetStatus::method, GetUsage::method}) {
        Call call = decode(message_of(method, R"({"extra":1})"), Endpoint::control);
        REQUIRE_FALSE(call.body.has_value());
        CHECK((call.body.error() == Error::invalid_parameter("extra")));
    }
    CHECK(refusal(Create::method, R"({"sizeBytes":1,"":1})") == invalid_parameter(""));
    CHECK(refusal(Create::method, R"({"sizeBytes":1,"SizeBytes":1})") == invalid_parameter("SizeBytes"));
}

TEST_CASE("a missing parameter is named") {
    CHECK(refusal(Create::method, R"({"key":"k"})") == invalid_parameter("sizeBytes"));
    CHECK(refusal(Open::method, R"({"key":"k"})") == invalid_parameter("access"));
    CHECK(refusal(Detach::method, "{}") == invalid_parameter("attachment"));
    CHECK(refusal(Publish::method, R"({"key":"k"})") == invalid_parameter("attachment"));
    CHECK(refusal(GetInterfaceDescription::method, "{}") == invalid_parameter("interface"));
}

TEST_CASE("a segment is named by exactly one of key and id") {
    std::string access = R"(,"access":"read"})";
    for (auto [method, end] : {std::pair{Open::method, access}, {Describe::method, "}"s}, {Delete::method, "}"s}}) {
        CAPTURE(method);
        CHECK(refusal(method, R"({"key":null,"id":null)" + end) == invalid_parameter("key"));
        CHECK(refusal(method, R"({"key":"k","id":1)" + end) == invalid_parameter("id"));
        CHECK(refusal(method, R"({"key":"k","id":null)" + end) == "");
        CHECK(refusal(method, R"({"key":null,"id":1)" + end) == "");
    }
    CHECK(refusal(Describe::method, "{}") == invalid_parameter("key"));
}

TEST_CASE("a bad key is refused with the key") {
    for (const std::string& key : {""s, "/"s, ".a"s, "a b"s, "ä"s, "a\0b"s, "a\n"s, std::string(256, 'a')}) {
        std::string text = Json(key).dump();
        CAPTURE(text);
        CHECK(refusal(Create::method, R"({"sizeBytes":1,"key":)" + text + "}") == invalid_key(key));
        CHECK(refusal(Open::method, R"({"access":"read","key":)" + text + "}") == invalid_key(key));
        CHECK(refusal(Publish::method, R"({"attachment":1,"key":)" + text + "}") == invalid_key(key));
        CHECK(refusal(Describe::method, R"({"key":)" + text + "}") == invalid_key(key));
        CHECK(refusal(Delete::method, R"({"key":)" + text + "}") == invalid_key(key));
    }
}

TEST_CASE("null stands for a parameter that is left out") {
    CHECK((accepted<Create>(R"({"key":null,"sizeBytes":1,"mode":null,"createMode":null,"access":null,"reserve":null,
                                "staged":null,"lifetime":null,"labels":null})") == Create{std::nullopt, 1}));
    CHECK((accepted<Open>(R"({"id":1,"access":"read","waitUsec":null})") == Open{{std::nullopt, 1}, Access::read}));
    CHECK((accepted<Publish>(R"({"attachment":1,"key":null,"replace":null})") == Publish{1}));
    CHECK((accepted<List>(R"({"prefix":null})") == List{}));
}

TEST_CASE("every value of every enum is read as itself") {
    auto create = [](const std::string& field, const std::string& value) {
        return accepted<Create>(R"({"sizeBytes":1,")" + field + R"(":")" + value + R"("})");
    };
    CHECK(create("createMode", "new").create_mode == CreateMode::create_new);
    CHECK(create("createMode", "any").create_mode == CreateMode::any);
    CHECK(create("access", "read").access == Access::read);
    CHECK(create("access", "write").access == Access::write);
    CHECK(create("reserve", "lazy").reserve == Reserve::lazy);
    CHECK(create("reserve", "allocate").reserve == Reserve::allocate);
    CHECK(create("reserve", "populate").reserve == Reserve::populate);
    CHECK(create("lifetime", "persistent").lifetime == Lifetime::persistent);
    CHECK(create("lifetime", "attached").lifetime == Lifetime::attached);
    for (State state : {State::staged, State::live, State::deleted}) {
        Segment segment = bare_segment();
        segment.state = state;
        check_round_trip(SegmentReply{segment});
    }
}

TEST_CASE("the ends of every range are accepted") {
    CHECK(accepted<Create>(R"({"sizeBytes":9007199254740991})").size_bytes == 9007199254740991);
    CHECK(accepted<Create>(R"({"sizeBytes":1,"mode":0})").mode == 0);
    CHECK(accepted<Create>(R"({"sizeBytes":1,"mode":511})").mode == 0777);
    CHECK(accepted<Detach>(R"({"attachment":1})").attachment == 1);
    CHECK(accepted<Detach>(R"({"attachment":4294967295})").attachment == 4294967295U);
    CHECK(accepted<Open>(R"({"key":"k","access":"read","waitUsec":0})").wait_usec == 0);
    CHECK(accepted<Open>(R"({"key":"k","access":"read","waitUsec":9007199254740991})").wait_usec == 9007199254740991);
    CHECK(accepted<Describe>(R"({"id":-9007199254740991})").target.id == -9007199254740991);
    CHECK(accepted<List>(R"({"prefix":""})").prefix == "");
}

TEST_CASE("waiting needs a key") {
    CHECK(refusal(Open::method, R"({"id":1,"access":"read","waitUsec":0})") == invalid_parameter("waitUsec"));
}

TEST_CASE("a staged segment is always a new one") {
    CHECK(refusal(Create::method, R"({"sizeBytes":1,"staged":true,"createMode":"any"})") ==
          invalid_parameter("createMode"));
    CHECK(refusal(Create::method, R"({"sizeBytes":1,"staged":false,"createMode":"any"})") == "");
    CHECK(refusal(Create::method, R"({"sizeBytes":1,"staged":true,"createMode":"new"})") == "");
    CHECK(refusal(Create::method, R"({"sizeBytes":1,"staged":true})") == "");
}

TEST_CASE("labels are limited in number, in each length and in all") {
    auto create = [](const Labels& labels) {
        return refusal(Create::method, Json{{"sizeBytes", 1}, {"labels", labels}}.dump());
    };
    auto numbered = [](int count, std::size_t value_bytes) {
        Labels labels;
        for (int i = 0; i < count; i++) labels["n" + std::to_string(i)] = std::string(value_bytes, 'v');
        return labels;
    };
    const std::string too_much = invalid_parameter("labels");
    CHECK(create({}) == "");
    CHECK(create(numbered(32, 0)) == "");
    CHECK(create(numbered(33, 0)) == too_much);
    CHECK(create({{std::string(63, 'n'), ""}}) == "");
    CHECK(create({{std::string(64, 'n'), ""}}) == too_much);
    CHECK(create({{"", "v"}}) == too_much);
    CHECK(create({{"n", std::string(1024, 'v')}}) == "");
    CHECK(create({{"n", std::string(1025, 'v')}}) == too_much);
    // 4 names of 2 bytes and 4 values of 1022 are 4096 bytes.
    CHECK(create(numbered(4, 1022)) == "");
    Labels over = numbered(4, 1022);
    over["n0"] += "v";
    CHECK(create(over) == too_much);
    // Bytes are counted, not characters.
    CHECK(create({{repeated("€", 21), ""}}) == "");
    CHECK(create({{repeated("€", 22), ""}}) == too_much);
}

TEST_CASE("labels hold no NUL, which readers of C strings and of JSON alike stumble over") {
    CHECK(refusal(Create::method, R"({"sizeBytes":1,"labels":{"a":"x\u0000y"}})") == invalid_parameter("labels"));
    CHECK(refusal(Create::method, R"({"sizeBytes":1,"labels":{"a\u0000b":"x"}})") == invalid_parameter("labels"));
    CHECK(refusal(Create::method, R"({"sizeBytes":1,"labels":{"a":"x\ny\u0001"}})") == "");
}

TEST_CASE("encoding a call with broken UTF-8 makes a message that is refused, and does not throw") {
    std::string broken = "a\xff";
    Call call = decode(encode_call(Describe{{broken, std::nullopt}}));
    REQUIRE_FALSE(call.body.has_value());
    CHECK(call.body.error().code == ErrorCode::invalid_key);
    CHECK_FALSE(is_violation(encode_call(Create{"k", 1, {}, {}, {}, {}, {}, {}, Labels{{"a", broken}}})));
}
