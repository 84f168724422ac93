// Every message there and back, and replies as a client reads them.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "as_written.hpp"
#include "codec_samples.hpp"
#include "limits.hpp"
#include "messages.hpp"
#include "system_v_as_written.hpp"
#include "system_v_message.hpp"

using namespace shmd;
using namespace shmd::test;
using namespace std::string_literals;
using Json = nlohmann::ordered_json;

namespace {

std::vector<std::string> names(const Json& object) {
    std::vector<std::string> out;
    for (const auto& item : object.items()) out.push_back(item.key());
    return out;
}

}  // namespace

TEST_CASE("every call survives encoding and decoding, with every flag") {
    std::vector<bool> seen(std::variant_size_v<CallBody>);
    for (const CallBody& body : sample_calls()) {
        bool control = std::visit([](const auto& call) { return call.method.starts_with("io.shmd.Control."); }, body);
        for (CallFlags flags : {CallFlags{}, CallFlags{.oneway = true}, CallFlags{.more = true}}) {
            std::string text = encode_call(body, flags);
            CAPTURE(text);
            Call call = decode(text, control ? Endpoint::control : Endpoint::segments);
            CHECK((call.flags == flags));
            REQUIRE(call.body.has_value());
            CHECK((*call.body == body));
        }
        seen[body.index()] = true;
    }
    CHECK(seen == std::vector<bool>(std::variant_size_v<CallBody>, true));
}

TEST_CASE("every reply survives encoding and decoding") {
    check_round_trip(Empty{});
    check_round_trip(ServiceInfo{"vendor", "product", "0.1.0", "https://example.org", {"a.b", "c.d"}});
    check_round_trip(InterfaceDescription{"interface a.b\n"});
    check_round_trip(Grant{full_segment(), true, 4294967295U, 0});
    check_round_trip(Grant{bare_segment(), false, 1, 252});
    check_round_trip(full_system_v_status());
    check_round_trip(system_v::StatusReply{});
    check_round_trip(system_v::GetReply{2147483647});
    check_round_trip(system_v::AttachReply{4097, 7, 9, 0});
    check_round_trip(system_v::AttachReply{1, 8, std::nullopt, std::nullopt});
    check_round_trip(system_v::InfoReply{3, 2, 4096, 8192, 1 << 30});
    check_round_trip(system_v::ChangesReply{0});
    check_round_trip(system_v::Inherited{{2, 0}});
    check_round_trip(Grant{bare_segment(), std::nullopt, 1, 0});
    check_round_trip(SegmentReply{full_segment()});
    check_round_trip(SegmentReply{});
    check_round_trip(WatchReply{Event::evicted, full_segment()});
    check_round_trip(WatchReply{Event::ready, std::nullopt});
    check_round_trip(full_segment_status());
    check_round_trip(SegmentStatusReply{});
    check_round_trip(Disconnected{3});
    check_round_trip(Evicted{3, 4096});
    check_round_trip(full_status());
    check_round_trip(full_usage());
    check_round_trip(UsageReply{});
}

TEST_CASE("every error survives encoding and decoding") {
    std::vector<bool> seen(static_cast<std::size_t>(ErrorCode::expected_more) + 1);
    for (const Error& error : sample_errors()) {
        std::string text = encode_error(error);
        CAPTURE(text);
        auto reply = decode_reply<Grant>(text);
        REQUIRE(reply);
        REQUIRE(std::holds_alternative<RemoteError>(reply->body));
        const auto& remote = std::get<RemoteError>(reply->body);
        CHECK(remote.name == error_name(error.code));
        REQUIRE(remote.known.has_value());
        CHECK((*remote.known == error));
        CHECK(Json::parse(text).contains("parameters"));
        CHECK_FALSE(Json::parse(text).contains("continues"));
        seen[static_cast<std::size_t>(error.code)] = true;
    }
    CHECK(seen == std::vector<bool>(seen.size(), true));
}

TEST_CASE("a reply always has parameters and says continues only when it does") {
    CHECK(encode_reply(Empty{}) == R"({"parameters":{}})");
    CHECK(encode_reply(SegmentReply{}) == R"({"parameters":{"segment":null}})");
    CHECK(encode_reply(SegmentReply{}, true) == R"({"parameters":{"segment":null},"continues":true})");
    CHECK(encode_error(Error::permission_denied()) ==
          R"({"error":"org.varlink.service.PermissionDenied","parameters":{}})");
}

TEST_CASE("a call without parameters or flags is as short as it can be") {
    CHECK(encode_call(GetInfo{}) == R"({"method":"org.varlink.service.GetInfo"})");
    CHECK(encode_call(List{}, {.more = true}) == R"({"method":"io.shmd.Segments.List","more":true})");
    CHECK(encode_call(Detach{1}, {.oneway = true}) ==
          R"({"method":"io.shmd.Segments.Detach","parameters":{"attachment":1},"oneway":true})");
}

TEST_CASE("a segment as a document has the fields of the wire") {
    Json wire = Json::parse(encode_reply(SegmentReply{full_segment()}))["parameters"]["segment"];
    CHECK((Json::parse(to_json(full_segment())) == wire));
    CHECK((Json::parse(to_json(std::vector{full_segment(), full_segment()})) == Json::array({wire, wire})));
    CHECK(to_json(std::vector<Segment>{}) == "[]");
}

TEST_CASE("fields that a client does not know are passed over") {
    Json reply = Json::parse(encode_reply(Grant{full_segment(), true, 1, 0}));
    reply["parameters"]["invented"] = {1, 2};
    reply["parameters"]["segment"]["later"] = {{"a", 1}};
    auto decoded = decode_reply<Grant>(reply.dump());
    REQUIRE(decoded);
    CHECK((std::get<Grant>(decoded->body) == Grant{full_segment(), true, 1, 0}));
}

TEST_CASE("what is no reply is nothing") {
    for (const char* message :
         {"", "null", "[]", "{", "\"a\"", R"({"parameters":[]})", R"({"parameters":{},"continues":1})",
          R"({"error":1,"parameters":{}})", R"({"error":"x.Y","parameters":1})"}) {
        CAPTURE(message);
        CHECK_FALSE(decode_reply<Empty>(message));
    }
    CHECK_FALSE(decode_reply<Empty>(repeated("[", 100'000)));
    for (const char* message : {"{}", R"({"parameters":null})", R"({"parameters":{},"continues":null,"error":null})"}) {
        CAPTURE(message);
        CHECK(decode_reply<Empty>(message));
    }
}

TEST_CASE("a reply without one of its fields, or with one of the wrong type, is nothing") {
    auto check_fields = [](auto sample, const std::vector<std::string>& nullable, const std::string& path) {
        using T = decltype(sample);
        Json whole = Json::parse(encode_reply(sample));
        Json::json_pointer pointer("/parameters" + path);
        REQUIRE(decode_reply<T>(whole.dump()));
        for (const std::string& name : names(whole[pointer])) {
            CAPTURE(name);
            Json changed = whole;
            changed[pointer].erase(name);
            bool may_miss = std::find(nullable.begin(), nullable.end(), name) != nullable.end();
            CHECK(decode_reply<T>(changed.dump()).has_value() == may_miss);
            // No field of any reply may be a number with a fraction.
            changed[pointer][name] = 0.5;
            CHECK_FALSE(decode_reply<T>(changed.dump()));
        }
    };
    check_fields(ServiceInfo{"v", "p", "1", "u", {"i"}}, {}, "");
    check_fields(InterfaceDescription{"text"}, {}, "");
    check_fields(Grant{full_segment(), true, 1, 0}, {"created"}, "");
    check_fields(SegmentReply{full_segment()}, {"segment"}, "");
    check_fields(full_grants(), {}, "");
    check_fields(full_open_results(), {}, "");
    check_fields(SegmentReply{full_segment()}, {"key", "attachedUsec", "detachedUsec", "expiresUsec", "labels", "leaseUsec", "acl", "numaNodes"}, "/segment");
    check_fields(WatchReply{Event::created, full_segment()}, {"segment"}, "");
    check_fields(full_segment_status(), {"key"}, "/segment");
    check_fields(full_segment_status(), {}, "/segment/attachments/0");
    check_fields(Disconnected{1}, {}, "");
    check_fields(Evicted{1, 2}, {}, "");
    check_fields(full_status(), {}, "");
    check_fields(full_usage(), {}, "");
    check_fields(full_usage(), {}, "/usage/0");
}

TEST_CASE("a grant with an impossible attachment, descriptor or size is nothing") {
    Json reply = Json::parse(encode_reply(Grant{full_segment(), true, 1, 0}));
    auto changed = [&reply](const std::string& pointer, const Json& value) {
        Json copy = reply;
        copy[Json::json_pointer("/parameters" + pointer)] = value;
        return decode_reply<Grant>(copy.dump()).has_value();
    };
    CHECK(changed("/attachment", 4294967295U));
    CHECK_FALSE(changed("/attachment", 0));
    CHECK_FALSE(changed("/attachment", 4294967296));
    CHECK_FALSE(changed("/fileDescriptor", -1));
    CHECK_FALSE(changed("/segment/sizeBytes", 0));
    CHECK_FALSE(changed("/segment/sizeBytes", 9007199254740992));
    CHECK_FALSE(changed("/segment", nullptr));
}

TEST_CASE("an error of somebody else's keeps its name and parameters") {
    auto reply = decode_reply<Grant>(R"({"error":"org.example.Odd","parameters":{"a":[1]}})");
    REQUIRE(reply);
    const auto& error = std::get<RemoteError>(reply->body);
    CHECK(error.name == "org.example.Odd");
    CHECK(error.parameters == R"({"a":[1]})");
    CHECK_FALSE(error.known);

    auto ill_typed = decode_reply<Grant>(R"({"error":"io.shmd.Segments.SegmentExists","parameters":{"key":1}})");
    REQUIRE(ill_typed);
    CHECK(std::get<RemoteError>(ill_typed->body).name == "io.shmd.Segments.SegmentExists");
    CHECK_FALSE(std::get<RemoteError>(ill_typed->body).known);
}

TEST_CASE("a raw reply keeps its parameters as text") {
    auto reply = decode_reply<RawReply>(R"({"parameters":{"b":1,"a":[true,null]},"continues":true})");
    REQUIRE(reply);
    CHECK(reply->continues);
    CHECK(std::get<RawReply>(reply->body).parameters == R"({"b":1,"a":[true,null]})");
}

TEST_CASE("a raw call has its parameters from text that is an object") {
    auto call = encode_raw_call(Detach::method, R"({"attachment":1})");
    REQUIRE(call);
    CHECK((*decode(*call).body == CallBody(Detach{1})));
    CHECK(encode_raw_call(GetInfo::method, "{}"));
    for (const char* text : {"", "[]", "1", "null", "{", "{} {}"}) {
        CAPTURE(text);
        CHECK_FALSE(encode_raw_call(GetInfo::method, text));
    }
}

TEST_CASE("a text that was cut inside a character does not keep an error from its reader") {
    auto reply = decode_reply<Empty>(encode_error(Error::invalid_parameter("a\xe2\x82")));
    REQUIRE(reply);
    CHECK((std::get<RemoteError>(reply->body).known == Error::invalid_parameter("a\xef\xbf\xbd")));
    CHECK(decode_reply<InterfaceDescription>(encode_reply(InterfaceDescription{"\xff"})));
}

TEST_CASE("what an Open usually says is read without the parser, and only that") {
    auto check_grant = [](const Grant& grant, bool usual) {
        std::string text = encode_reply(grant);
        CAPTURE(text);
        Grant read;
        CHECK(read_as_written(text, read) == usual);
        if (usual) CHECK(read == grant);
        // One space more is as good, and another way.
        std::string spaced = text + " ";
        CHECK_FALSE(read_as_written(spaced, read));
        CHECK((std::get<Grant>(decode_reply<Grant>(spaced)->body) == grant));
    };
    Segment plain = bare_segment();
    plain.labels.clear();
    plain.acl.clear();
    plain.numa_nodes.clear();
    for (const std::optional<std::string>& key : {std::optional<std::string>(), std::optional<std::string>("a/b"), std::optional<std::string>("\"\\")}) {
        plain.key = key;
        plain.attached_usec = plain.expires_usec = std::nullopt;
        check_grant({plain, std::nullopt, 1, 0}, !key || *key == "a/b");
        plain.attached_usec = plain.detached_usec = plain.expires_usec = plain.lease_usec = limits::integer;
        plain.state = State::deleted;
        plain.lifetime = Lifetime::lease;
        plain.sealed = plain.evictable = true;
        check_grant({plain, std::nullopt, 4294967295U, 252}, !key || *key == "a/b");
        check_grant({plain, true, 2, 0}, !key || *key == "a/b");
        check_grant({plain, false, 2, 0}, !key || *key == "a/b");
        for (bool more : {false, true}) {
            SegmentReply described{plain}, again;
            bool continues = !more;
            CHECK(read_as_written(encode_reply(described, more), again, continues) == (!key || *key == "a/b"));
            if (!key || *key == "a/b") CHECK((described == again && continues == more));
            auto decoded = decode_reply<SegmentReply>(encode_reply(described, more));
            REQUIRE(decoded);
            CHECK(decoded->continues == more);
        }
    }
    plain.labels = {{"a", "b"}};
    check_grant({plain, std::nullopt, 1, 0}, false);
    check_grant({full_segment(), true, 1, 0}, false);

    plain.key = "a/b";
    OpenResults results{{{Grant{plain, std::nullopt, 1, 0}, std::nullopt}, {Grant{plain, std::nullopt, 2, 1}, std::nullopt}}};
    for (OpenResult& each : results.results) each.grant->segment.labels.clear();
    OpenResults some;
    CHECK(read_as_written(encode_reply(results), some));
    CHECK(some == results);
    results.results[1] = {std::nullopt, to_remote(Error::permission_denied())};
    CHECK_FALSE(read_as_written(encode_reply(results), some));
    CHECK((std::get<OpenResults>(decode_reply<OpenResults>(encode_reply(results))->body) == results));
}

TEST_CASE("usual calls are read without the parser, as the parser reads them, and others are left to it") {
    // Read by the parser, for the space at the end.
    auto parse = [](const std::string& text) { return std::get<Call>(decode_call(text + " ", Endpoint::segments)); };
    auto check_usual = [&](const CallBody& body, CallFlags flags = {}) {
        std::string text = encode_call(body, flags);
        CAPTURE(text);
        auto read = call_as_written(text);
        REQUIRE(read);
        REQUIRE(read->body);
        CHECK((*read->body == body));
        CHECK((read->flags == flags));
        CHECK((*parse(text).body == body));
        CHECK_FALSE(call_as_written(text + " "));
    };
    auto check_other = [&](const CallBody& body, CallFlags flags = {}) {
        std::string text = encode_call(body, flags);
        CAPTURE(text);
        CHECK_FALSE(call_as_written(text));
        auto read = std::get<Call>(decode_call(text, Endpoint::segments));
        CHECK((read.flags == flags));
        CHECK(read.body.has_value() == parse(text).body.has_value());
    };
    const std::string longest(limits::key_bytes, 'k');
    const Target by_key{"a/b", std::nullopt}, by_id{std::nullopt, 1};
    for (Access access : {Access::read, Access::write}) {
        check_usual(Open{by_key, access});
        check_usual(Open{{longest, std::nullopt}, access});
        check_other(Open{by_key, access, 1});
        check_other(Open{by_key, access, std::nullopt, true});
        check_usual(OpenMany{{by_key}, access});
        check_usual(OpenMany{{by_key, {"", std::nullopt}, {"no key", std::nullopt}}, access});
        check_usual(OpenMany{std::vector<Target>(limits::batch, by_key), access});
        check_other(OpenMany{std::vector<Target>(limits::batch + 1, by_key), access});
        check_other(OpenMany{{by_key, by_id}, access});
        check_other(OpenMany{{}, access});
    }
    for (const char* key : {"", "no key", "\"", "/a", "\xc3\xa9"}) {
        check_other(Open{{key, std::nullopt}, Access::read});
        check_other(Delete{{key, std::nullopt}});
        check_other(Create{key, 1});
    }
    check_other(Open{{longest + "k", std::nullopt}, Access::read});
    check_other(Open{by_id, Access::read});
    check_other(Open{by_key, Access::read}, {.oneway = true});
    check_usual(Delete{by_key});
    check_other(Delete{by_id});
    check_usual(Detach{4294967295U}, {.oneway = true});
    check_other(Detach{0}, {.oneway = true});
    check_other(Detach{1});
    for (std::int64_t size : {std::int64_t{1}, std::int64_t{4096}, limits::integer}) {
        check_usual(Create{"a", size});
        check_usual(Create{"a", size, 0777, CreateMode::any, Access::read, Reserve::populate, std::nullopt, Lifetime::creator});
        check_usual(Create{"a", size, std::nullopt, std::nullopt, Access::write, std::nullopt, std::nullopt, Lifetime::attached});
    }
    check_other(Create{std::nullopt, 1});
    check_other(Create{"a", 0});
    check_other(Create{"a", 1, 01000});
    check_other(Create{"a", 1, -1});
    check_other(Create{"a", 1, std::nullopt, std::nullopt, std::nullopt, std::nullopt, true});
    check_other(Create{"a", 1, std::nullopt, std::nullopt, std::nullopt, std::nullopt, std::nullopt, Lifetime::lease});
    check_other(Create{.key = "a", .size_bytes = 1, .labels = Labels{{"a", "b"}}});
    check_other(Create{.key = "a", .size_bytes = 1, .capacity_bytes = 2});
}

TEST_CASE("numbers of every length are written as the library writes them, and read again without the parser") {
    Segment plain = bare_segment();
    plain.key = std::string(limits::key_bytes, 'k');
    plain.labels.clear();
    plain.acl.clear();
    plain.numa_nodes.clear();
    auto check_number = [&](std::int64_t number) {
        if (number > limits::integer || number < -limits::integer) return;
        CAPTURE(number);
        plain.created_usec = plain.changed_usec = number;
        plain.attached_usec = plain.detached_usec = number;
        Grant grant{plain, std::nullopt, 1, 0}, read;
        std::string text = encode_reply(grant);
        REQUIRE(text.find("\"createdUsec\":" + std::to_string(number) + ",\"attachedUsec\":" + std::to_string(number) + ",") !=
                std::string::npos);
        REQUIRE(read_as_written(text, read));
        REQUIRE((read == grant));
        // No number begins with a zero.
        text.insert(text.find("createdUsec\":") + 13 + (number < 0 ? 1 : 0), "0");
        REQUIRE_FALSE(read_as_written(text, read));
    };
    std::int64_t power = 1;
    for (int digits = 1; digits <= 16; digits++, power *= 10) {
        for (std::int64_t near = -12; near <= 12; near++) {
            check_number(power + near);
            check_number(-power + near);
            check_number(power * 7 / 3 + near);
        }
    }
    check_number(limits::integer);
    check_number(-limits::integer);
    // All that a Grant says at its longest.
    plain.key = std::string(limits::key_bytes, 'k');
    plain.id = plain.size_bytes = plain.attachments = plain.created_usec = plain.changed_usec = plain.capacity_bytes = limits::integer;
    plain.attached_usec = plain.detached_usec = plain.expires_usec = plain.lease_usec = -limits::integer;
    plain.mode = plain.creator_pid = std::numeric_limits<std::int32_t>::min();
    plain.owner_uid = plain.owner_gid = plain.creator_uid = plain.creator_gid = std::numeric_limits<std::uint32_t>::max();
    plain.lifetime = Lifetime::persistent;
    plain.huge_pages = HugePages::transparent;
    plain.state = State::deleted;
    Grant longest{plain, false, std::numeric_limits<std::uint32_t>::max(), std::numeric_limits<std::int32_t>::max()}, read;
    REQUIRE(read_as_written(encode_reply(longest), read));
    CHECK((read == longest));
}

TEST_CASE("every byte changed in a usual call or batch makes the same of it with and without the parser") {
    const std::string bytes = "019-\"\\ ntk{}[],:\x1f\x7f\xc3";
    auto changes_of = [&](const std::string& text, auto&& check) {
        for (std::size_t i = 0; i < text.size(); i++) {
            for (char byte : bytes) {
                std::string changed = text;
                changed[i] = byte;
                check(changed);
                check(text.substr(0, i) + byte + text.substr(i));
            }
            check(text.substr(0, i) + text.substr(i + 1));
            check(text.substr(0, i));
        }
    };
    const Target key{"k1", std::nullopt};
    const std::vector<std::string> calls{
        encode_call(Open{key, Access::read}), encode_call(Delete{key}), encode_call(Detach{12}, {.oneway = true}),
        encode_call(OpenMany{{key, key}, Access::write}),
        encode_call(Create{"k1", 10, 0600, CreateMode::any, Access::read, Reserve::lazy, std::nullopt, Lifetime::attached})};
    int read_without = 0;
    for (const std::string& text : calls) {
        changes_of(text, [&](const std::string& changed) {
            auto read = call_as_written(changed);
            if (!read) return;
            CAPTURE(changed);
            auto parsed = decode_call(changed + " ", Endpoint::segments);
            REQUIRE(std::holds_alternative<Call>(parsed));
            REQUIRE(std::get<Call>(parsed).body.has_value());
            CHECK((*std::get<Call>(parsed).body == *read->body));
            CHECK((std::get<Call>(parsed).flags == read->flags));
            read_without++;
        });
    }
    CHECK(read_without > 100);
    Segment plain = bare_segment();
    plain.labels.clear();
    plain.acl.clear();
    plain.numa_nodes.clear();
    plain.key = "k";
    OpenResults some{{{Grant{plain, std::nullopt, 12, 0}, std::nullopt}, {Grant{plain, std::nullopt, 13, 1}, std::nullopt}}};
    changes_of(encode_reply(some), [&](const std::string& changed) {
        OpenResults read;
        if (!read_as_written(changed, read)) return;
        CAPTURE(changed);
        auto parsed = decode_reply<OpenResults>(changed + " ");
        REQUIRE(parsed);
        CHECK((std::get<OpenResults>(parsed->body) == read));
    });
}

TEST_CASE("every byte changed in a usual grant makes the same of it with and without the parser") {
    Segment plain = bare_segment();
    plain.key = "k";
    plain.attached_usec = 7;
    const std::string text = encode_reply(Grant{plain, std::nullopt, 12, 0});
    for (std::size_t i = 0; i < text.size(); i++) {
        for (char byte : {'0', '1', '9', '-', '"', '\\', ' ', 'n', 't', '{', '}', ',', '\x1f', '\x7f', '\xc3'}) {
            std::string changed = text;
            changed[i] = byte;
            Grant read;
            if (!read_as_written(changed, read)) continue;
            CAPTURE(changed);
            auto parsed = decode_reply<Grant>(changed + " ");
            REQUIRE(parsed);
            REQUIRE(std::holds_alternative<Grant>(parsed->body));
            CHECK((std::get<Grant>(parsed->body) == read));
        }
    }
}

TEST_CASE("what System V calls usually say is read without the parser, and only that") {
    auto check_reply = [](const auto& reply, bool usual = true) {
        const std::string text = encode_reply(reply);
        CAPTURE(text);
        std::remove_cvref_t<decltype(reply)> read;
        CHECK(system_v::read_as_written(text, read) == usual);
        if (usual) CHECK(read == reply);
        CHECK_FALSE(system_v::read_as_written(text + " ", read));
    };
    check_reply(system_v::GetReply{2147483647});
    check_reply(system_v::AttachReply{4097, 7, std::nullopt, std::nullopt});
    check_reply(system_v::AttachReply{1, limits::integer, 4294967295U, std::nullopt});
    check_reply(system_v::AttachReply{1, 8, 9, 0});
    check_reply(system_v::AttachReply{1, 8, 9, std::nullopt, true});
    check_reply(system_v::AttachReply{1, 8, 9, 0, false});
    check_reply(full_system_v_status());
    system_v::StatusReply prepared = full_system_v_status();
    prepared.prepared = 4294967295U;
    check_reply(prepared);
    check_reply(system_v::StatusReply{}, false);
    CHECK(system_v::is_empty_as_written(encode_reply(Empty{})));

    auto check_call = [](const system_v::Message& message, const CallBody& body, bool oneway = false) {
        const std::string text(message.bytes().substr(0, message.bytes().size() - 1));
        CAPTURE(text);
        auto call = system_v::call_as_written(text);
        REQUIRE(call);
        CHECK(*call->body == body);
        CHECK(call->flags.oneway == oneway);
        CHECK_FALSE(system_v::call_as_written(text + " "));
        auto parsed = decode_call(text + " ", Endpoint::segments);
        CHECK(*std::get<Call>(parsed).body == body);
        CHECK(std::get<Call>(parsed).flags == call->flags);
        // Not every endpoint has it.
        auto refused = decode_call(text, Endpoint::control);
        CHECK_FALSE(std::get<Call>(refused).body);
    };
    for (std::int32_t number : {0, 1, -1, 2147483647, -2147483647 - 1}) {
        for (std::int64_t bytes : {std::int64_t{-1}, std::int64_t{0}, limits::integer}) {
            const system_v::Get get{number, bytes, number};
            check_call(system_v::Message(get), get);
        }
        const system_v::Attach attach{number, 010000, std::nullopt, std::nullopt}, with_known{number, number, 7, std::nullopt};
        check_call(system_v::Message(attach), attach);
        check_call(system_v::Message(with_known), with_known);
        const system_v::Stat by_id{number, std::nullopt, false}, by_index{std::nullopt, number, true};
        check_call(system_v::Message(by_id), by_id);
        check_call(system_v::Message(by_index), by_index);
        const system_v::Stat to_attach{number, std::nullopt, false, 7, number};
        check_call(system_v::Message(to_attach), to_attach);
    }
    const system_v::Detach detach{4294967295U};
    check_call(system_v::Message(detach, false), detach);
    check_call(system_v::Message(detach, true), detach, true);
    auto bare = [](const system_v::Message& message) { return message.bytes().substr(0, message.bytes().size() - 1); };
    CHECK_FALSE(system_v::call_as_written(bare(system_v::Message(system_v::Detach{0}, true))));
    CHECK_FALSE(system_v::call_as_written(bare(system_v::Message(system_v::Get{1, -2, 0}))));
    CHECK_FALSE(system_v::call_as_written(bare(system_v::Message(system_v::Remove{1}))));
}

TEST_CASE("every byte changed in a usual System V message makes the same of it with and without the parser") {
    constexpr std::string_view bytes("019-\"\\ nt{},\x1f\x7f\xc3");
    auto for_each_change = [&](std::string_view text, const auto& check) {
        for (std::size_t i = 0; i < text.size(); i++) {
            for (char byte : bytes) {
                std::string changed(text);
                changed[i] = byte;
                CAPTURE(changed);
                check(changed);
            }
        }
    };
    auto check_reply = [&](const auto& reply) {
        using Reply = std::remove_cvref_t<decltype(reply)>;
        for_each_change(encode_reply(reply), [](const std::string& changed) {
            Reply read;
            if (!system_v::read_as_written(changed, read)) {
                CHECK(read == Reply{});
                return;
            }
            auto parsed = decode_reply<Reply>(changed + " ");
            REQUIRE(parsed);
            CHECK((std::get<Reply>(parsed->body) == read));
        });
    };
    check_reply(system_v::GetReply{10});
    check_reply(system_v::AttachReply{4097, 7, 9, 0, true});
    check_reply(full_system_v_status());
    auto check_call = [&](const system_v::Message& message) {
        for_each_change(message.bytes().substr(0, message.bytes().size() - 1), [](const std::string& changed) {
            auto read = system_v::call_as_written(changed);
            if (!read) return;
            auto parsed = decode_call(changed + " ", Endpoint::segments);
            REQUIRE(std::holds_alternative<Call>(parsed));
            REQUIRE(std::get<Call>(parsed).body);
            CHECK(*std::get<Call>(parsed).body == *read->body);
            CHECK(std::get<Call>(parsed).flags == read->flags);
        });
    };
    check_call(system_v::Message(system_v::Get{10, 4096, 0666}));
    check_call(system_v::Message(system_v::Attach{10, 0, 77, std::nullopt}));
    check_call(system_v::Message(system_v::Stat{10, std::nullopt, std::nullopt}));
    check_call(system_v::Message(system_v::Stat{10, std::nullopt, std::nullopt, 77, 0}));
    check_call(system_v::Message(system_v::Detach{10}, true));
}
