// The calls and replies of every interface, typed, and their JSON. Whatever decode_call() lets through obeys the IDL
// and the limits: handlers need not look again. No JSON type leaves this directory.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "result.hpp"
#include "system_v.hpp"
#include "types.hpp"

namespace shmd {

/// The two sockets. Each serves its own interfaces and org.varlink.service; that of segments has io.shmd.SystemV beside.
enum class Endpoint { segments, control };

// ---- Calls. Each names its method; the fields are those of the IDL. ----

/// Names a segment by exactly one of both.
struct Target {
    std::optional<std::string> key;
    std::optional<std::int64_t> id;
    bool operator==(const Target&) const = default;
};

struct GetInfo {
    static constexpr std::string_view method = "org.varlink.service.GetInfo";
    bool operator==(const GetInfo&) const = default;
};
struct GetInterfaceDescription {
    static constexpr std::string_view method = "org.varlink.service.GetInterfaceDescription";
    std::string interface;
    bool operator==(const GetInterfaceDescription&) const = default;
};
struct Create {
    static constexpr std::string_view method = "io.shmd.Segments.Create";
    std::optional<std::string> key;
    std::int64_t size_bytes = 0;
    std::optional<int> mode;
    std::optional<CreateMode> create_mode;
    std::optional<Access> access;
    std::optional<Reserve> reserve;
    std::optional<bool> staged;
    std::optional<Lifetime> lifetime;
    std::optional<Labels> labels;
    std::optional<std::int64_t> lease_usec;
    std::optional<bool> evictable;
    std::optional<bool> sealable;
    std::optional<std::vector<AclEntry>> acl;
    std::optional<std::int64_t> capacity_bytes;
    std::optional<HugePages> huge_pages;
    std::optional<std::vector<std::uint32_t>> numa_nodes;
    std::optional<bool> placement_fallback;
    bool operator==(const Create&) const = default;
};
struct Open {
    static constexpr std::string_view method = "io.shmd.Segments.Open";
    Target target;
    Access access = Access::read;
    std::optional<std::int64_t> wait_usec;
    std::optional<bool> sealed;
    bool operator==(const Open&) const = default;
};
struct CreateMany {
    static constexpr std::string_view method = "io.shmd.Segments.CreateMany";
    std::vector<Create> segments;
    bool operator==(const CreateMany&) const = default;
};
/// Keys are those that were sent: they may be invalid.
struct OpenMany {
    static constexpr std::string_view method = "io.shmd.Segments.OpenMany";
    std::vector<Target> targets;
    Access access = Access::read;
    bool operator==(const OpenMany&) const = default;
};
struct Detach {
    static constexpr std::string_view method = "io.shmd.Segments.Detach";
    std::uint32_t attachment = 0;
    bool operator==(const Detach&) const = default;
};
/// 1 to limits::resumed of them.
struct Resume {
    static constexpr std::string_view method = "io.shmd.Segments.Resume";
    std::vector<std::uint32_t> attachments;
    std::optional<bool> partial = std::nullopt;
    bool operator==(const Resume&) const = default;
};
struct OpenDetachQueue {
    static constexpr std::string_view method = "io.shmd.Segments.OpenDetachQueue";
    bool operator==(const OpenDetachQueue&) const = default;
};
struct OpenSyncArea {
    static constexpr std::string_view method = "io.shmd.Segments.OpenSyncArea";
    std::uint32_t attachment = 0;
    bool operator==(const OpenSyncArea&) const = default;
};
struct RecoverLocks {
    static constexpr std::string_view method = "io.shmd.Segments.RecoverLocks";
    std::uint32_t attachment = 0;
    bool operator==(const RecoverLocks&) const = default;
};
struct Publish {
    static constexpr std::string_view method = "io.shmd.Segments.Publish";
    std::uint32_t attachment = 0;
    std::optional<std::string> key;
    std::optional<bool> replace;
    bool operator==(const Publish&) const = default;
};
struct Describe {
    static constexpr std::string_view method = "io.shmd.Segments.Describe";
    Target target;
    bool operator==(const Describe&) const = default;
};
struct List {
    static constexpr std::string_view method = "io.shmd.Segments.List";
    std::optional<std::string> prefix;
    bool operator==(const List&) const = default;
};
struct Delete {
    static constexpr std::string_view method = "io.shmd.Segments.Delete";
    Target target;
    bool operator==(const Delete&) const = default;
};
struct SetAttributes {
    static constexpr std::string_view method = "io.shmd.Segments.SetAttributes";
    Target target;
    std::optional<int> mode;
    std::optional<std::uint32_t> owner_uid;
    std::optional<std::uint32_t> owner_gid;
    std::optional<Lifetime> lifetime;
    std::optional<std::int64_t> lease_usec;
    std::optional<bool> evictable;
    std::optional<Labels> labels;
    std::optional<std::vector<std::string>> remove_labels;
    std::optional<std::vector<AclEntry>> acl;
    bool operator==(const SetAttributes&) const = default;
};
struct Renew {
    static constexpr std::string_view method = "io.shmd.Segments.Renew";
    Target target;
    bool operator==(const Renew&) const = default;
};
struct Seal {
    static constexpr std::string_view method = "io.shmd.Segments.Seal";
    Target target;
    bool operator==(const Seal&) const = default;
};
struct Resize {
    static constexpr std::string_view method = "io.shmd.Segments.Resize";
    Target target;
    std::int64_t size_bytes = 0;
    bool operator==(const Resize&) const = default;
};
struct Watch {
    static constexpr std::string_view method = "io.shmd.Segments.Watch";
    std::optional<std::string> prefix;
    bool operator==(const Watch&) const = default;
};
struct GetStatus {
    static constexpr std::string_view method = "io.shmd.Control.GetStatus";
    bool operator==(const GetStatus&) const = default;
};
struct GetUsage {
    static constexpr std::string_view method = "io.shmd.Control.GetUsage";
    bool operator==(const GetUsage&) const = default;
};
struct ListSegments {
    static constexpr std::string_view method = "io.shmd.Control.ListSegments";
    std::optional<std::string> prefix;
    bool operator==(const ListSegments&) const = default;
};
struct GetSegment {
    static constexpr std::string_view method = "io.shmd.Control.GetSegment";
    Target target;
    bool operator==(const GetSegment&) const = default;
};
struct ForceDelete {
    static constexpr std::string_view method = "io.shmd.Control.Delete";
    Target target;
    bool operator==(const ForceDelete&) const = default;
};
struct Disconnect {
    static constexpr std::string_view method = "io.shmd.Control.Disconnect";
    std::int32_t pid = 0;
    bool operator==(const Disconnect&) const = default;
};
struct Evict {
    static constexpr std::string_view method = "io.shmd.Control.Evict";
    std::optional<std::int64_t> bytes;
    bool operator==(const Evict&) const = default;
};
struct Reload {
    static constexpr std::string_view method = "io.shmd.Control.Reload";
    bool operator==(const Reload&) const = default;
};
struct SetLogLevel {
    static constexpr std::string_view method = "io.shmd.Control.SetLogLevel";
    std::string level;
    bool operator==(const SetLogLevel&) const = default;
};
struct Drain {
    static constexpr std::string_view method = "io.shmd.Control.Drain";
    bool enable = false;
    bool operator==(const Drain&) const = default;
};

using CallBody = std::variant<GetInfo, GetInterfaceDescription, Create, Open, CreateMany, OpenMany, Detach, OpenDetachQueue, Resume, OpenSyncArea,
                              RecoverLocks, Publish, Describe,
                              List, Delete, SetAttributes, Renew, Seal, Resize, Watch, GetStatus, GetUsage, ListSegments,
                              GetSegment, ForceDelete, Disconnect, Evict, Reload, SetLogLevel, Drain, system_v::Get,
                              system_v::Attach, system_v::Detach, system_v::Stat, system_v::Set, system_v::Remove,
                              system_v::Lock, system_v::Info, system_v::List, system_v::Changes, system_v::Inherit, system_v::Claim>;

/// True when a segment may carry these.
[[nodiscard]] bool labels_fit(const Labels& labels);

/// How a call wants its replies. At most one is true.
struct CallFlags {
    bool oneway = false;
    bool more = false;
    bool operator==(const CallFlags&) const = default;
};

/// A message that is a call, though perhaps one to refuse.
struct Call {
    CallFlags flags;
    Result<CallBody> body;
};

/// A message that is no call at all: the connection is closed without a reply. The text is for the log.
struct Violation {
    std::string reason;
};

[[nodiscard]] std::variant<Call, Violation> decode_call(std::string_view message, Endpoint endpoint);
/// Bytes that are not UTF-8 go as U+FFFD, which no key may hold.
[[nodiscard]] std::string encode_call(const CallBody& body, CallFlags flags = {});
/// A call of any method. Nothing when the parameters are not the text of a JSON object.
[[nodiscard]] std::optional<std::string> encode_raw_call(std::string_view method, std::string_view parameters,
                                                       CallFlags flags = {});

// ---- Replies ----

struct Empty {
    bool operator==(const Empty&) const = default;
};
struct ServiceInfo {
    std::string vendor, product, version, url;
    std::vector<std::string> interfaces;
    bool operator==(const ServiceInfo&) const = default;
};
struct InterfaceDescription {
    std::string description;
    bool operator==(const InterfaceDescription&) const = default;
};
/// The reply of Create and Open. `created` is there for Create alone.
struct Grant {
    Segment segment;
    std::optional<bool> created;
    std::uint32_t attachment = 0;
    int file_descriptor = 0;  // index among the descriptors of this reply
    bool operator==(const Grant&) const = default;
};
/// The reply of CreateMany.
struct Grants {
    std::vector<Grant> grants;
    bool operator==(const Grants&) const = default;
};
/// An error as a client receives it: any name, ours or not, and its parameters as JSON text.
struct RemoteError {
    std::string name;
    std::string parameters;
    /// The same, when it is one of ours.
    std::optional<Error> known;
    bool operator==(const RemoteError&) const = default;
};
[[nodiscard]] RemoteError to_remote(Error error);

/// Exactly one of both.
struct OpenResult {
    std::optional<Grant> grant;
    std::optional<RemoteError> error;
    bool operator==(const OpenResult&) const = default;
};
/// The reply of OpenMany.
struct OpenResults {
    std::vector<OpenResult> results;
    bool operator==(const OpenResults&) const = default;
};
/// The reply of Describe, Publish, SetAttributes, Renew, Seal and Resize, and one of those of List. Null only for a List
/// that found nothing.
struct SegmentReply {
    std::optional<Segment> segment;
    bool operator==(const SegmentReply&) const = default;
};
/// The reply of Resume.
struct Resumed {
    std::vector<std::uint32_t> attachments;
    bool operator==(const Resumed&) const = default;
};
/// The reply of OpenSyncArea and of OpenDetachQueue.
struct PageReply {
    int file_descriptor = 0;  // index among the descriptors of this reply
    bool operator==(const PageReply&) const = default;
};
/// One reply of Watch.
struct WatchReply {
    Event event = Event::present;
    std::optional<Segment> segment;
    bool operator==(const WatchReply&) const = default;
};
struct Status {
    std::string version;
    std::int64_t pid = 0;
    std::int64_t started_usec = 0;
    std::int64_t segments = 0, bytes = 0, attachments = 0, connections = 0;
    std::int64_t segments_limit = 0, bytes_limit = 0, attachments_limit = 0, connections_limit = 0;
    bool draining = false;
    bool survives_restart = false;
    std::int64_t ready_bytes = 0;
    bool operator==(const Status&) const = default;
};
struct Usage {
    std::uint32_t uid = 0;
    std::int64_t segments = 0, bytes = 0, attachments = 0, connections = 0;
    std::int64_t segments_limit = 0, bytes_limit = 0, attachments_limit = 0, connections_limit = 0;
    bool operator==(const Usage&) const = default;
};
struct UsageReply {
    std::vector<Usage> usage;
    bool operator==(const UsageReply&) const = default;
};
/// One grant as an administrator sees it.
struct AttachmentStatus {
    std::uint32_t attachment = 0;
    std::int32_t pid = 0;
    std::uint32_t uid = 0;
    std::string command;
    Access access = Access::read;
    std::int64_t since_usec = 0;
    bool operator==(const AttachmentStatus&) const = default;
};
struct SegmentStatus {
    std::int64_t id = 0;
    std::optional<std::string> key;
    std::int64_t size_bytes = 0;
    int mode = 0;
    std::uint32_t owner_uid = 0, owner_gid = 0;
    State state = State::live;
    bool sealed = false;
    bool evictable = false;
    std::int64_t created_usec = 0;
    std::int64_t attachment_count = 0;
    std::vector<AttachmentStatus> attachments;  // so many as a reply may hold
    bool operator==(const SegmentStatus&) const = default;
};
/// The reply of GetSegment and one of those of ListSegments. Null only for a list that is empty.
struct SegmentStatusReply {
    std::optional<SegmentStatus> segment;
    bool operator==(const SegmentStatusReply&) const = default;
};
struct Disconnected {
    std::int64_t connections = 0;
    bool operator==(const Disconnected&) const = default;
};
struct Evicted {
    std::int64_t segments = 0, bytes = 0;
    bool operator==(const Evicted&) const = default;
};

using ReplyBody = std::variant<Empty, ServiceInfo, InterfaceDescription, Grant, Grants, OpenResults, Resumed, PageReply, SegmentReply, WatchReply,
                               Status, UsageReply, SegmentStatusReply, Disconnected, Evicted, system_v::GetReply,
                               system_v::AttachReply, system_v::StatusReply, system_v::InfoReply, system_v::ChangesReply,
                               system_v::Inherited>;

/// Bytes that are not UTF-8 go as U+FFFD.
[[nodiscard]] std::string encode_reply(const ReplyBody& body, bool continues = false);
[[nodiscard]] std::string encode_error(const Error& error);

/// One decoded reply. `continues`: more replies to the same call follow.
template <typename T>
struct Reply {
    std::variant<T, RemoteError> body;
    bool continues = false;
};

/// Nothing when the message is not a reply of this type. Fields that this version does not know are passed over.
template <typename T>
[[nodiscard]] std::optional<Reply<T>> decode_reply(std::string_view message);

/// A reply of any method with its parameters left as JSON text.
struct RawReply {
    std::string parameters;
};

/// A segment, or an array of them, as one JSON document with the field names of the IDL.
[[nodiscard]] std::string to_json(const Segment& segment);
[[nodiscard]] std::string to_json(const std::vector<Segment>& segments);

/// The texts of the IDL files of this directory, embedded at build time.
struct InterfaceText {
    std::string_view name;
    std::string_view text;
};
[[nodiscard]] const std::vector<InterfaceText>& interface_texts();
/// The interfaces that this endpoint serves, by name.
[[nodiscard]] std::span<const std::string_view> served_interfaces(Endpoint endpoint);

}  // namespace shmd
