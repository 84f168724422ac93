#include "views.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "size_text.hpp"
#include "table.hpp"
#include "text.hpp"

namespace shmd::cli {
namespace {

using Json = nlohmann::json;
using Fields = std::vector<std::pair<std::string, std::string>>;

std::string aligned(const Fields& fields) {
    std::size_t width = 0;
    for (const auto& [name, value] : fields) width = std::max(width, width_of(name));
    std::string out;
    for (const auto& [name, value] : fields) {
        std::string line = name + std::string(width - width_of(name) + 2, ' ') + value;
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + '\n';
    }
    return out;
}

std::string at(const Time& time) {
    return local_time(time.time_since_epoch().count(), true);
}

std::string at(const std::optional<Time>& time) {
    return time ? at(*time) : "never";
}

std::string user(std::uint32_t uid) {
    return user_name(uid) + " (" + std::to_string(uid) + ")";
}

std::string group(std::uint32_t gid) {
    return group_name(gid) + " (" + std::to_string(gid) + ")";
}

std::string state_name(State state) {
    switch (state) {
        case State::staged:
            return "staged";
        case State::live:
            return "live";
        case State::deleted:
            return "deleted";
    }
    return "unknown";
}

std::string lifetime_of(const Info& segment) {
    switch (segment.lifetime) {
        case Lifetime::persistent:
            return "persistent";
        case Lifetime::attached:
            return "attached";
        case Lifetime::creator:
            return "creator";
        case Lifetime::lease:
            return "a lease of " + duration_text(segment.lease.value_or(std::chrono::microseconds(0)));
    }
    return "unknown";
}

std::string huge_pages_name(HugePages kind) {
    switch (kind) {
        case HugePages::none:
            return "no";
        case HugePages::transparent:
            return "transparent";
        case HugePages::huge_2m:
            return "2M";
        case HugePages::huge_1g:
            return "1G";
    }
    return "unknown";
}

std::string nodes_of(const Info& segment) {
    std::string text;
    for (std::uint32_t node : segment.numa_nodes) text += (text.empty() ? "" : ",") + std::to_string(node);
    return text.empty() ? "any" : text;
}

std::string text_of(const AclEntry& entry) {
    bool is_user = entry.kind == AclEntry::Kind::user;
    return (is_user ? "u:" + user_name(entry.id) : "g:" + group_name(entry.id)) +
           (entry.access == Access::write ? ":rw" : ":r");
}

std::string key_of(const Info& segment) {
    return segment.key ? printable(*segment.key) : "-";
}

const char* yes_or_no(bool value) {
    return value ? "yes" : "no";
}

// A field of a reply; zero when another version of the daemon leaves it out.
std::int64_t number(const Json& object, const char* name) {
    auto found = object.find(name);
    return found != object.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

bool flag(const Json& object, const char* name) {
    auto found = object.find(name);
    return found != object.end() && found->is_boolean() && found->get<bool>();
}

// The array of a document; empty when it is none.
Json items(const std::string& document) {
    Json value = Json::parse(document, nullptr, false);
    return value.is_array() ? value : Json::array();
}

std::string text(const Json& object, const char* name) {
    auto found = object.find(name);
    return found != object.end() && found->is_string() ? printable(found->get<std::string>()) : "-";
}

std::string of_limit(const Json& status, const std::string& name, std::string (*form)(std::int64_t)) {
    return form(number(status, name.c_str())) + " of " + form(number(status, (name + "Limit").c_str()));
}

std::string plain(std::int64_t value) {
    return std::to_string(value);
}

Json parsed(const std::string& document) {
    Json value = Json::parse(document, nullptr, false);
    return value.is_object() ? value : Json::object();
}

// A daemon in a sandbox cannot see other users' programs; whoever asks it often can.
std::string command_of(const Json& attachment) {
    std::string name = attachment.value("command", "");
    std::int64_t pid = number(attachment, "pid");
    if (name.empty() && pid > 0) {
        std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
        std::getline(file, name);
    }
    return name.empty() ? "-" : printable(name);
}

}  // namespace

std::string segments_view(const std::vector<Info>& segments, std::size_t line_width) {
    using enum Table::Align;
    Table table({{"KEY"}, {"SIZE", right}, {"MODE"}, {"OWNER"}, {"GROUP"}, {"ATTACHED", right}, {"CREATED"}});
    for (const Info& segment : segments) {
        table.add({key_of(segment), format_size(static_cast<std::int64_t>(segment.size_bytes)),
                   octal_mode(segment.mode), user_name(segment.owner_uid), group_name(segment.owner_gid),
                   std::to_string(segment.attachments), local_time(segment.created.time_since_epoch().count())});
    }
    return table.text(line_width);
}

std::string segment_view(const Info& segment) {
    Fields fields{
        {"key", key_of(segment)},
        {"id", std::to_string(segment.id)},
        {"size", exact_size(segment.size_bytes)},
        {"capacity", segment.capacity_bytes == segment.size_bytes ? "the same" : exact_size(segment.capacity_bytes)},
        {"mode", octal_mode(segment.mode) + " (" + letters_of_mode(segment.mode) + ")"},
        {"owner", user(segment.owner_uid)},
        {"group", group(segment.owner_gid)},
        {"creator", user(segment.creator_uid)},
        {"creator group", group(segment.creator_gid)},
        {"creator pid", std::to_string(segment.creator_pid)},
        {"state", state_name(segment.state)},
        {"sealed", yes_or_no(segment.sealed)},
        {"evictable", yes_or_no(segment.evictable)},
        {"attachments", std::to_string(segment.attachments)},
        {"created", at(segment.created)},
        {"changed", at(segment.changed)},
        {"attached", at(segment.attached)},
        {"detached", at(segment.detached)},
        {"lifetime", lifetime_of(segment)},
        {"expires", at(segment.expires)},
        {"huge pages", huge_pages_name(segment.huge_pages)},
        {"NUMA nodes", nodes_of(segment)},
    };
    const char* acl_heading = "entries";
    for (const AclEntry& entry : segment.acl) fields.emplace_back(std::exchange(acl_heading, ""), text_of(entry));
    if (segment.acl.empty()) fields.emplace_back("entries", "none");
    const char* heading = "labels";
    for (const auto& [name, value] : segment.labels) {
        fields.emplace_back(std::exchange(heading, ""), printable(name) + "=" + printable(value));
    }
    if (segment.labels.empty()) fields.emplace_back("labels", "none");
    return aligned(fields);
}

std::string status_view(const std::string& reply) {
    Json status = parsed(reply);
    return aligned({
        {"version", text(status, "version")},
        {"pid", plain(number(status, "pid"))},
        {"started", local_time(number(status, "startedUsec"), true)},
        {"segments", of_limit(status, "segments", plain)},
        {"memory", of_limit(status, "bytes", format_size)},
        {"made ahead", format_size(number(status, "readyBytes"))},
        {"attachments", of_limit(status, "attachments", plain)},
        {"connections", of_limit(status, "connections", plain)},
        {"draining", yes_or_no(flag(status, "draining"))},
        {"restart", flag(status, "survivesRestart") ? "segments survive a restart of the daemon"
                                                    : "segments end with the daemon"},
    });
}

std::string usage_view(const std::string& reply, std::size_t line_width) {
    using enum Table::Align;
    Table table({{"USER"}, {"SEGMENTS", right}, {"MEMORY", right}, {"ATTACHMENTS", right}, {"CONNECTIONS", right}});
    Json users = parsed(reply).value("usage", Json::array());
    for (const Json& each : users) {
        table.add({user_name(static_cast<uid_t>(number(each, "uid"))), of_limit(each, "segments", plain),
                   of_limit(each, "bytes", format_size), of_limit(each, "attachments", plain),
                   of_limit(each, "connections", plain)});
    }
    return table.text(line_width);
}

std::string acl_view(const Info& segment) {
    std::string out;
    for (const AclEntry& entry : segment.acl) out += text_of(entry) + "\n";
    return out;
}

std::string event_line(const Event& event) {
    constexpr std::size_t widest = 9;  // "published"
    std::string name(to_string(event.kind));
    std::string line = local_time(now_usec()) + " " + name;
    if (event.kind == EventKind::lost) {
        line += ": some events were lost; what is there now follows";
    } else if (event.segment) {
        line += std::string(widest - std::min(widest, name.size()) + 2, ' ') + key_of(*event.segment) + "  " +
                format_size(static_cast<std::int64_t>(event.segment->size_bytes));
    }
    return line + "\n";
}

std::string event_json(const Event& event) {
    nlohmann::ordered_json line{{"event", to_string(event.kind)}};
    line["segment"] = event.segment ? nlohmann::ordered_json::parse(to_json(*event.segment)) : nullptr;
    return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string items_of(const std::string& replies, const char* member) {
    auto out = nlohmann::ordered_json::array();
    auto all = nlohmann::ordered_json::parse(replies, nullptr, false);
    for (const auto& reply : all.is_array() ? all : out) {
        if (reply.is_object() && reply.contains(member) && !reply[member].is_null()) out.push_back(reply[member]);
    }
    return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string attachments_of(const std::string& reply) {
    auto value = nlohmann::ordered_json::parse(reply, nullptr, false);
    auto none = nlohmann::ordered_json::array();
    bool has = value.is_object() && value.contains("segment") && value["segment"].is_object();
    return (has ? value["segment"].value("attachments", none) : none)
        .dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::int64_t attachments_left_out(const std::string& reply) {
    Json segment = parsed(reply).value("segment", Json::object());
    return number(segment, "attachmentCount") - static_cast<std::int64_t>(segment.value("attachments", Json::array()).size());
}

std::string statuses_view(const std::string& segments, std::size_t line_width) {
    using enum Table::Align;
    Table table({{"KEY"}, {"SIZE", right}, {"MODE"}, {"OWNER"}, {"GROUP"}, {"STATE"}, {"ATTACHED", right}, {"CREATED"}});
    for (const Json& each : items(segments)) {
        table.add({text(each, "key"), format_size(number(each, "sizeBytes")),
                   octal_mode(static_cast<unsigned>(number(each, "mode"))),
                   user_name(static_cast<uid_t>(number(each, "ownerUid"))),
                   group_name(static_cast<gid_t>(number(each, "ownerGid"))), text(each, "state"), plain(number(each, "attachmentCount")),
                   local_time(number(each, "createdUsec"))});
    }
    return table.text(line_width);
}

std::string system_v_view(const std::string& statuses) {
    using enum Table::Align;
    constexpr std::int64_t destroyed = 01000, locked = 02000;
    Table table({{"KEY"}, {"SHMID"}, {"OWNER"}, {"PERMS"}, {"BYTES", right}, {"NATTCH", right}, {"STATUS"}});
    for (const Json& each : items(statuses)) {
        std::int64_t mode = number(each, "mode");
        std::array<char, 16> key{}, permissions{};
        std::snprintf(key.data(), key.size(), "0x%08x", static_cast<unsigned>(number(each, "key")));
        std::snprintf(permissions.data(), permissions.size(), "%o", static_cast<unsigned>(mode & 0777));
        std::string status = (mode & destroyed) != 0 ? "dest" : "";
        if ((mode & locked) != 0) status += status.empty() ? "locked" : " locked";
        table.add({key.data(), plain(number(each, "id")), user_name(static_cast<uid_t>(number(each, "ownerUid"))),
                   permissions.data(), plain(number(each, "sizeBytes")), plain(number(each, "attachments")), status});
    }
    return table.text();
}

std::string who_view(const std::string& attachments, std::size_t line_width) {
    using enum Table::Align;
    Json all = items(attachments);
    if (all.empty()) return "";
    Table table({{"COMMAND"}, {"PID", right}, {"USER"}, {"ACCESS"}, {"SINCE"}});
    for (const Json& each : all) {
        std::int64_t pid = number(each, "pid");
        table.add({command_of(each), pid == 0 ? "-" : plain(pid), user_name(static_cast<uid_t>(number(each, "uid"))),
                   text(each, "access"), local_time(number(each, "sinceUsec"))});
    }
    return table.text(line_width);
}

std::string evicted_view(const std::string& reply) {
    Json evicted = parsed(reply);
    std::int64_t segments = number(evicted, "segments");
    return plain(segments) + (segments == 1 ? " segment, " : " segments, ") + format_size(number(evicted, "bytes")) + "\n";
}

std::string indented(const std::string& document) {
    auto value = nlohmann::ordered_json::parse(document, nullptr, false);
    return value.is_discarded() ? document : value.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::string safe_json(const std::string& document) {
    // Below 0x80 the document is plain already: JSON escapes the controls, and printable() would escape its escapes.
    std::string out;
    for (std::size_t begin = 0; begin < document.size();) {
        auto is_plain = [](char c) { return static_cast<unsigned char>(c) < 0x7f; };
        bool plain_run = is_plain(document[begin]);
        std::size_t end = begin;
        while (end < document.size() && is_plain(document[end]) == plain_run) end++;
        std::string run = document.substr(begin, end - begin);
        out += plain_run ? run : printable(run);
        begin = end;
    }
    return out;
}

}  // namespace shmd::cli
