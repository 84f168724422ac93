// The methods of io.shmd.Control. Who may call them is decided by the control socket's mode and group.
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <map>
#include <span>
#include <string>
#include <utility>

#include "administrator_view.hpp"
#include "handlers.hpp"
#include "log.hpp"
#include "size_text.hpp"

namespace shmd {
namespace {

// A reply stays a small one, and /proc is not read for long while others wait.
constexpr std::size_t most_attachments = 1000;

// The kernel's short name of a program; empty when it is gone or cannot be seen.
std::string command_of(std::int32_t pid) {
    std::string name;
    if (pid > 0) {
        std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
        std::getline(file, name);
    }
    return name;
}

// Who did it, for the log.
void note(const Client& client, const std::string& what, std::string_view key = {}) {
    log(LogLevel::notice, what, {client.peer.uid, client.peer.pid, key, message_id::administrator_acted});
}

}  // namespace

SegmentStatus status_of(const Entry& entry) {
    SegmentStatus status;
    status.id = entry.id;
    status.key = entry.key;
    status.size_bytes = entry.size_bytes;
    status.mode = entry.acl.mode;
    status.owner_uid = entry.acl.owner_uid;
    status.owner_gid = entry.acl.owner_gid;
    status.state = entry.state;
    status.sealed = entry.sealed();
    status.evictable = entry.evictable;
    status.created_usec = entry.created_usec;
    status.attachment_count = static_cast<std::int64_t>(entry.attachments.size());
    std::map<std::int32_t, std::string> commands;  // by process: most have several
    for (const Attachment* each : std::span(entry.attachments).first(std::min(entry.attachments.size(), most_attachments))) {
        const HeldAttachments& holder = *each->holder;
        auto [command, is_new] = commands.try_emplace(holder.pid());
        if (is_new) command->second = command_of(holder.pid());
        status.attachments.push_back(
            {each->id, holder.pid(), holder.uid(), command->second, each->access, each->since_usec});
    }
    return status;
}

Outcome Handlers::act(Client&, const GetStatus&) {
    const Amounts& limit = quota_.limits().total;
    auto limit_of = [&](Resource resource) { return limit[static_cast<std::size_t>(resource)]; };
    Status status;
    status.version = SHMD_VERSION;
    status.pid = ::getpid();
    status.started_usec = started_usec_;
    status.segments = quota_.total(Resource::segments);
    status.bytes = quota_.total(Resource::bytes);
    status.attachments = quota_.total(Resource::attachments);
    status.connections = quota_.total(Resource::connections);
    status.segments_limit = limit_of(Resource::segments);
    status.bytes_limit = limit_of(Resource::bytes);
    status.attachments_limit = limit_of(Resource::attachments);
    status.connections_limit = limit_of(Resource::connections);
    status.draining = draining_;
    status.ready_bytes = ready_.bytes();
    status.survives_restart = recorder_ != nullptr;
    return Answer{std::move(status)};
}

Outcome Handlers::act(Client&, const GetUsage&) {
    return Answer{UsageReply{quota_.usage()}};
}

Outcome Handlers::act(Client&, const ListSegments& call) {
    return Listing{call.prefix.value_or(""), true};
}

// An administrator sees staged segments too.
Result<Entry*> Handlers::find_any(const Target& target) {
    Entry* entry = find_present(target);
    if (!entry) return Error::no_such_segment(target.key, target.id);
    return entry;
}

Outcome Handlers::act(Client&, const GetSegment& call) {
    auto entry = find_any(call.target);
    if (!entry) return std::move(entry).error();
    return Answer{SegmentStatusReply{status_of(**entry)}};
}

Outcome Handlers::act(Client& client, const ForceDelete& call) {
    auto entry = find_any(call.target);
    if (!entry) return std::move(entry).error();
    std::string key = (*entry)->key.value_or("");
    note(client, "deleted segment " + std::to_string((*entry)->id) + (key.empty() ? "" : " (" + key + ")") + " of uid " +
                     std::to_string((*entry)->acl.owner_uid), key);
    registry_.remove(**entry);
    return Answer{Empty{}};
}

Outcome Handlers::act(Client& client, const Disconnect& call) {
    int connections = operations_.disconnect(call.pid);
    if (connections == 0) return Error{ErrorCode::no_such_process, std::nullopt, call.pid};
    note(client, "closed the " + std::to_string(connections) + " connections of process " + std::to_string(call.pid));
    return Answer{Disconnected{connections}};
}

Outcome Handlers::act(Client& client, const Evict& call) {
    Evicted evicted;
    while (!call.bytes || evicted.bytes < *call.bytes) {
        std::int64_t bytes = registry_.evict();
        if (bytes == 0) break;
        evicted.segments++;
        evicted.bytes += bytes;
    }
    note(client, "evicted " + std::to_string(evicted.segments) + " segments, " + format_size(evicted.bytes));
    return Answer{evicted};
}

Outcome Handlers::act(Client& client, const Reload&) {
    note(client, "asked for the configuration to be read anew");
    if (auto wrong = operations_.reload()) return Error{ErrorCode::invalid_configuration, *std::move(wrong)};
    return Answer{Empty{}};
}

Outcome Handlers::act(Client& client, const SetLogLevel& call) {
    note(client, "set the log level to " + call.level);
    operations_.set_log_level(call.level);
    return Answer{Empty{}};
}

Outcome Handlers::act(Client& client, const Drain& call) {
    note(client, call.enable ? "stopped the creation of segments" : "let segments be created again");
    draining_ = call.enable;
    return Answer{Empty{}};
}

}  // namespace shmd
