// The calls and replies of io.shmd.SystemV, typed. Part of messages.hpp, which is what to include.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace shmd::system_v {

/// The highest number of indexes, as IPCMNI in the kernel.
inline constexpr int indexes = 32768;

struct Get {
    static constexpr std::string_view method = "io.shmd.SystemV.Get";
    std::int32_t key = 0;
    std::int64_t size_bytes = 0;
    std::int32_t flags = 0;
    bool operator==(const Get&) const = default;
};
struct Attach {
    static constexpr std::string_view method = "io.shmd.SystemV.Attach";
    std::int32_t id = 0;
    std::int32_t flags = 0;
    std::optional<std::int64_t> known;
    std::optional<bool> probe;
    bool operator==(const Attach&) const = default;
};
struct Detach {
    static constexpr std::string_view method = "io.shmd.SystemV.Detach";
    std::uint32_t attachment = 0;
    bool operator==(const Detach&) const = default;
};
/// Exactly one of id and index. Known and flags: both or neither.
struct Stat {
    static constexpr std::string_view method = "io.shmd.SystemV.Stat";
    std::optional<std::int32_t> id;
    std::optional<std::int32_t> index;
    std::optional<bool> any;
    std::optional<std::int64_t> known{};
    std::optional<std::int32_t> flags{};
    bool operator==(const Stat&) const = default;
};
struct Set {
    static constexpr std::string_view method = "io.shmd.SystemV.Set";
    std::int32_t id = 0;
    std::uint32_t owner_uid = 0;
    std::uint32_t owner_gid = 0;
    std::int32_t mode = 0;
    bool operator==(const Set&) const = default;
};
struct Remove {
    static constexpr std::string_view method = "io.shmd.SystemV.Remove";
    std::int32_t id = 0;
    bool operator==(const Remove&) const = default;
};
struct Lock {
    static constexpr std::string_view method = "io.shmd.SystemV.Lock";
    std::int32_t id = 0;
    bool locked = false;
    bool operator==(const Lock&) const = default;
};
struct Info {
    static constexpr std::string_view method = "io.shmd.SystemV.Info";
    bool operator==(const Info&) const = default;
};
struct List {
    static constexpr std::string_view method = "io.shmd.SystemV.List";
    bool operator==(const List&) const = default;
};
struct Changes {
    static constexpr std::string_view method = "io.shmd.SystemV.Changes";
    bool operator==(const Changes&) const = default;
};
/// 1 to limits::resumed of them.
struct Inherit {
    static constexpr std::string_view method = "io.shmd.SystemV.Inherit";
    std::vector<std::uint32_t> attachments;
    bool operator==(const Inherit&) const = default;
};
struct Claim {
    static constexpr std::string_view method = "io.shmd.SystemV.Claim";
    bool operator==(const Claim&) const = default;
};

struct GetReply {
    std::int32_t id = 0;
    bool operator==(const GetReply&) const = default;
};
struct AttachReply {
    std::int64_t size_bytes = 0;
    std::int64_t segment_id = 0;
    std::optional<std::uint32_t> attachment;
    std::optional<int> file_descriptor;
    std::optional<bool> may_end_late{};
    bool operator==(const AttachReply&) const = default;
};
struct Status {
    std::int32_t id = 0;
    std::int32_t index = 0;
    std::int32_t key = 0;
    std::int64_t size_bytes = 0;
    std::int32_t mode = 0;
    std::uint32_t owner_uid = 0, owner_gid = 0;
    std::uint32_t creator_uid = 0, creator_gid = 0;
    std::int64_t attachments = 0;
    std::int32_t creator_pid = 0;
    std::int32_t last_pid = 0;
    std::int64_t attached_sec = 0, detached_sec = 0, changed_sec = 0;
    bool operator==(const Status&) const = default;
};
/// Null only for a List that found nothing.
struct StatusReply {
    std::optional<Status> status;
    std::optional<std::uint32_t> prepared{};
    bool operator==(const StatusReply&) const = default;
};
struct InfoReply {
    std::int32_t highest_index = 0;
    std::int64_t segments = 0, segments_limit = 0;
    std::int64_t bytes = 0, bytes_limit = 0;
    bool operator==(const InfoReply&) const = default;
};
struct ChangesReply {
    int file_descriptor = 0;
    bool operator==(const ChangesReply&) const = default;
};
struct Inherited {
    std::vector<std::uint32_t> attachments;
    bool operator==(const Inherited&) const = default;
};

}  // namespace shmd::system_v
