// What the tests of the codecs share: a sample of every message with all its fields, and calls decoded from text.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "messages.hpp"

namespace shmd::test {

// ---- Samples ----

inline std::vector<AclEntry> full_acl() {
    return {{AclEntry::Kind::user, 1000, Access::read}, {AclEntry::Kind::group, 4294967295U, Access::write}};
}

inline Segment full_segment() {
    Segment segment;
    segment.id = 7;
    segment.key = "frame/0";
    segment.size_bytes = 4097;
    segment.mode = 0640;
    segment.owner_uid = 1000;
    segment.owner_gid = 4294967295U;
    segment.creator_uid = 1001;
    segment.creator_gid = 1002;
    segment.creator_pid = 4242;
    segment.state = State::deleted;
    segment.sealed = true;
    segment.attachments = 3;
    segment.created_usec = 1'700'000'000'000'000;
    segment.attached_usec = 1'700'000'000'000'001;
    segment.detached_usec = 1'700'000'000'000'002;
    segment.changed_usec = 1'700'000'000'000'003;
    segment.expires_usec = 1'700'000'000'000'004;
    segment.evictable = true;
    segment.labels = {{"codec", "h264"}, {"größe", "…"}};
    segment.lifetime = Lifetime::lease;
    segment.lease_usec = 60'000'000;
    segment.acl = full_acl();
    segment.capacity_bytes = 8192;
    segment.huge_pages = HugePages::huge_2m;
    segment.numa_nodes = {0, 3};
    return segment;
}

inline Segment bare_segment() {
    Segment segment;
    segment.id = 1;
    segment.size_bytes = 1;
    segment.capacity_bytes = 1;
    return segment;
}

inline Create full_create() {
    return {"frame/0",         4096, 0644, CreateMode::any, Access::read, Reserve::populate, false, Lifetime::lease,
            Labels{{"a", "b"}}, 60'000'000, true,           false,        full_acl(),          8192,
            HugePages::huge_1g, std::vector<std::uint32_t>{0, 1023}, true};
}

/// One full and, where it differs, one bare sample of every call.
inline std::vector<CallBody> sample_calls() {
    return {GetInfo{},
            GetInterfaceDescription{"io.shmd.Segments"},
            full_create(),
            Create{std::nullopt, 1},
            Open{{"k", std::nullopt}, Access::write, 500'000, true},
            Open{{std::nullopt, 7}, Access::read},
            CreateMany{{full_create(), Create{std::nullopt, 1}}},
            OpenMany{{{"k", std::nullopt}, {std::nullopt, 7}}, Access::write},
            Detach{4294967295U},
            Publish{9, "k", true},
            Publish{9},
            Describe{{"k", std::nullopt}},
            Describe{{std::nullopt, 7}},
            List{"frame/"},
            List{},
            Delete{{"k", std::nullopt}},
            Delete{{std::nullopt, 7}},
            SetAttributes{{"k", std::nullopt}, 0644, 1000, 1001, Lifetime::lease, 60'000'000, true, Labels{{"a", "b"}},
                          std::vector<std::string>{"c"}, full_acl()},
            SetAttributes{{std::nullopt, 7}},
            Resume{{1, 4294967295}},
            Resume{{7}, true},
            OpenDetachQueue{},
            OpenSyncArea{4294967295U},
            RecoverLocks{1},
            Renew{{"k", std::nullopt}},
            Renew{{std::nullopt, 7}},
            Seal{{"k", std::nullopt}},
            Seal{{std::nullopt, 7}},
            Resize{{"k", std::nullopt}, 8192},
            Resize{{std::nullopt, 7}, 1},
            Watch{"frame/"},
            Watch{},
            GetStatus{},
            GetUsage{},
            ListSegments{"frame/"},
            ListSegments{},
            GetSegment{{"k", std::nullopt}},
            GetSegment{{std::nullopt, 7}},
            ForceDelete{{"k", std::nullopt}},
            ForceDelete{{std::nullopt, 7}},
            Disconnect{4242},
            Evict{4096},
            Evict{},
            Reload{},
            SetLogLevel{"debug"},
            Drain{true},
            system_v::Get{-1, 4096, 01600},
            system_v::Attach{65536, 010000, 7, true},
            system_v::Attach{0, 0},
            system_v::Detach{4294967295U},
            system_v::Stat{65536, std::nullopt, true, 7, 010000},
            system_v::Stat{std::nullopt, 3},
            system_v::Set{65536, 1000, 4294967294U, 0644},
            system_v::Remove{65536},
            system_v::Lock{65536, true},
            system_v::Info{},
            system_v::List{},
            system_v::Changes{},
            system_v::Inherit{{1, 4294967295U}},
            system_v::Claim{}};
}

inline Status full_status() {
    return {"1.2.3", 99, 1'700'000'000'000'000, 1, 2, 3, 4, 5, 6, 7, 8, true, true};
}

inline SegmentStatusReply full_segment_status() {
    return {SegmentStatus{7, "frame/0", 4097, 0640, 1000, 1001, State::live, true, true, 1'700'000'000'000'000,
                          2, {{9, 4242, 1000, "reader", Access::read, 1'700'000'000'000'001}}}};
}

inline system_v::StatusReply full_system_v_status() {
    return {system_v::Status{65539, 3, -1, 4097, 01640, 1000, 1001, 1002, 4294967294U, 2, 4242, 4243, 1'700'000'000,
                             1'700'000'001, 1'700'000'002}};
}

inline UsageReply full_usage() {
    return {{{0, 1, 4096, 2, 3, 10, 11, 12, 13}, {4294967295U, 5, 6, 7, 8, 14, 15, 16, 17}}};
}

inline Grants full_grants() {
    return {{{full_segment(), true, 1, 0}, {full_segment(), false, 2, 1}}};
}

inline OpenResults full_open_results() {
    return {{{Grant{full_segment(), std::nullopt, 1, 0}, std::nullopt},
             {std::nullopt, to_remote(Error::no_such_segment("k", std::nullopt))}}};
}

// The sample of each method's reply, by method.
inline std::string sample_reply(const std::string& method) {
    if (method == GetInfo::method) return encode_reply(ServiceInfo{"v", "p", "1", "u", {"i"}});
    if (method == GetInterfaceDescription::method) return encode_reply(InterfaceDescription{"text"});
    if (method == Create::method) return encode_reply(Grant{full_segment(), true, 1, 0});
    if (method == Open::method) return encode_reply(Grant{full_segment(), std::nullopt, 1, 0});
    if (method == CreateMany::method) return encode_reply(full_grants());
    if (method == OpenMany::method) return encode_reply(full_open_results());
    if (method == Publish::method || method == Describe::method || method == List::method ||
        method == SetAttributes::method || method == Renew::method || method == Seal::method ||
        method == Resize::method) {
        return encode_reply(SegmentReply{full_segment()});
    }
    if (method == Detach::method || method == RecoverLocks::method || method == Delete::method || method == ForceDelete::method ||
        method == Reload::method || method == SetLogLevel::method || method == Drain::method) {
        return encode_reply(Empty{});
    }
    if (method == Watch::method) return encode_reply(WatchReply{Event::replaced, full_segment()});
    if (method == ListSegments::method || method == GetSegment::method) return encode_reply(full_segment_status());
    if (method == Disconnect::method) return encode_reply(Disconnected{2});
    if (method == Evict::method) return encode_reply(Evicted{2, 8192});
    if (method == OpenSyncArea::method || method == OpenDetachQueue::method) return encode_reply(PageReply{0});
    if (method == Resume::method) return encode_reply(Resumed{{1, 4294967295}});
    if (method == GetStatus::method) return encode_reply(full_status());
    if (method == GetUsage::method) return encode_reply(full_usage());
    if (method == system_v::Get::method) return encode_reply(system_v::GetReply{65536});
    if (method == system_v::Attach::method) return encode_reply(system_v::AttachReply{4097, 7, 9, 0, true});
    if (method == system_v::List::method) return encode_reply(full_system_v_status());
    if (method == system_v::Stat::method) {
        system_v::StatusReply reply = full_system_v_status();
        reply.prepared = 9;
        return encode_reply(reply);
    }
    if (method == system_v::Info::method) return encode_reply(system_v::InfoReply{3, 2, 4096, 8192, 1 << 30});
    if (method == system_v::Changes::method) return encode_reply(system_v::ChangesReply{0});
    if (method == system_v::Inherit::method) return encode_reply(system_v::Inherited{{2, 0}});
    if (method == system_v::Detach::method || method == system_v::Set::method || method == system_v::Remove::method ||
        method == system_v::Lock::method || method == system_v::Claim::method) {
        return encode_reply(Empty{});
    }
    FAIL("a method without a sample of its reply: " << method);
    return {};
}

inline std::vector<Error> sample_errors() {
    return {Error::no_such_segment("k", 7),
            Error::segment_exists("k"),
            Error::size_mismatch(1),
            Error::invalid_key("!"),
            Error::quota_exceeded("bytes", 2),
            Error::out_of_memory(3),
            {ErrorCode::segment_sealed, "k", 7},
            {ErrorCode::not_sealed, "k", 7},
            {ErrorCode::not_sealable, "k", 7},
            Error::segment_busy({{4242, 1000, 9, Access::write}}),
            {ErrorCode::no_lease, "k", 7},
            Error::capacity_exceeded(8192),
            Error::placement_unavailable("/sys/x"),
            {ErrorCode::draining},
            {ErrorCode::no_such_process, std::nullopt, 4242},
            {ErrorCode::invalid_configuration, "line 3"},
            {ErrorCode::system_v_failed, "EINVAL", 22},
            Error::permission_denied(),
            Error::invalid_parameter("p"),
            {ErrorCode::interface_not_found, "i"},
            {ErrorCode::method_not_found, "m"},
            {ErrorCode::method_not_implemented, "m"},
            {ErrorCode::expected_more}};
}

template <typename T>
void check_round_trip(const T& body) {
    for (bool continues : {false, true}) {
        std::string text = encode_reply(body, continues);
        CAPTURE(text);
        auto reply = decode_reply<T>(text);
        REQUIRE(reply);
        CHECK(reply->continues == continues);
        REQUIRE(std::holds_alternative<T>(reply->body));
        CHECK((std::get<T>(reply->body) == body));
    }
}

// ---- What a message decodes to ----

inline std::string repeated(std::string_view text, int times) {
    std::string out;
    for (int i = 0; i < times; i++) out += text;
    return out;
}

inline bool is_violation(std::string_view message) {
    auto decoded = decode_call(message, Endpoint::segments);
    const auto* violation = std::get_if<Violation>(&decoded);
    if (violation) CHECK_FALSE(violation->reason.empty());
    return violation != nullptr;
}

inline Call decode(std::string_view message, Endpoint endpoint = Endpoint::segments) {
    auto decoded = decode_call(message, endpoint);
    if (const auto* violation = std::get_if<Violation>(&decoded)) FAIL(violation->reason << ": " << message);
    return std::get<Call>(std::move(decoded));
}

inline std::string message_of(std::string_view method, const std::string& parameters) {
    return R"({"method":")" + std::string(method) + R"(","parameters":)" + parameters + "}";
}

// The refusal as it would be sent, "" when there is none.
inline std::string refusal(std::string_view method, const std::string& parameters) {
    Call call = decode(message_of(method, parameters));
    return call.body ? "" : encode_error(call.body.error());
}

inline std::string invalid_parameter(const std::string& name) {
    return encode_error(Error::invalid_parameter(name));
}
inline std::string invalid_key(const std::string& key) {
    return encode_error(Error::invalid_key(key));
}

// The accepted call of type C. FAILs when it was refused.
template <typename C>
C accepted(const std::string& parameters) {
    Call call = decode(message_of(C::method, parameters));
    if (!call.body) FAIL(encode_error(call.body.error()) << " for " << parameters);
    REQUIRE(std::holds_alternative<C>(*call.body));
    return std::get<C>(*call.body);
}

}  // namespace shmd::test
