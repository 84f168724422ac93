#include "config.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "limits.hpp"
#include "size_text.hpp"

namespace shmd {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t& amount(Amounts& amounts, Resource resource) {
    return amounts[static_cast<std::size_t>(resource)];
}

// Reads one object of the file: every member must have a reader, which says what it wants when it gets something else.
class Section {
  public:
    Section(const std::string& path, std::string name) : path_(path), name_(std::move(name)) {}

    using Reader = std::function<bool(const Json&)>;
    Section& member(const std::string& name, std::string wanted, Reader read) {
        members_.emplace(name, Member{std::move(wanted), std::move(read)});
        return *this;
    }

    void read(const Json& object) const {
        if (!object.is_object()) fail(name_.empty() ? "the file" : name_, "must be an object");
        for (const auto& [name, value] : object.items()) {
            std::string full = name_.empty() ? name : name_ + "." + name;
            auto found = members_.find(name);
            if (found == members_.end()) fail(full, "there is no such option; options here: " + names());
            if (!found->second.read(value)) fail(full, "must be " + found->second.wanted);
        }
    }

  private:
    struct Member {
        std::string wanted;
        Reader read;
    };

    [[noreturn]] void fail(const std::string& name, const std::string& what) const {
        throw std::runtime_error(path_ + ": " + name + ": " + what);
    }
    std::string names() const {
        std::string text;
        for (const auto& [name, member] : members_) text += (text.empty() ? "" : ", ") + name;
        return text;
    }

    const std::string& path_;
    std::string name_;
    std::map<std::string, Member> members_;
};

bool read_text(const Json& value, std::string& out) {
    if (!value.is_string() || value.get_ref<const std::string&>().empty()) return false;
    out = value.get<std::string>();
    return true;
}

bool read_count(const Json& value, std::int64_t& out, std::int64_t high = limits::integer) {
    if (!value.is_number_integer()) return false;
    auto number = value.get<std::int64_t>();
    if (number < 1 || number > high) return false;
    out = number;
    return true;
}

bool read_size(const Json& value, std::int64_t& out) {
    if (!value.is_string()) return read_count(value, out);
    auto size = parse_size(value.get_ref<const std::string&>());
    if (!size || *size < 1) return false;
    out = *size;
    return true;
}

bool read_level(const Json& value, std::string& out) {
    constexpr std::string_view levels[] = {"trace", "debug", "info", "warning", "error", "critical", "off"};
    return read_text(value, out) && std::find(std::begin(levels), std::end(levels), out) != std::end(levels);
}

void add_limits(Section& section, Amounts& amounts) {
    constexpr Resource counts[] = {Resource::segments, Resource::attachments, Resource::connections};
    for (Resource resource : counts) {
        section.member(std::string(resource_name(resource)), "a whole number from 1",
                       [&, resource](const Json& value) { return read_count(value, amount(amounts, resource)); });
    }
    section.member("bytes", "a size from 1, such as 1073741824 or \"1G\"",
                   [&](const Json& value) { return read_size(value, amount(amounts, Resource::bytes)); });
}

bool read_limits(const std::string& path, const Json& value, Limits& limits) {
    Section per_uid(path, "limits.perUid");
    add_limits(per_uid, limits.per_uid);
    Section section(path, "limits");
    add_limits(section, limits.total);
    section.member("perUid", "an object", [&](const Json& object) { return per_uid.read(object), true; });
    section.read(value);
    return true;
}

Json parse_file(const std::string& path) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error(path + ": " + std::strerror(errno));
    std::string text{std::istreambuf_iterator<char>(file), {}};
    if (file.bad()) throw std::runtime_error(path + ": cannot be read");
    try {
        return Json::parse(text, nullptr, /*allow_exceptions=*/true, /*ignore_comments=*/true);
    } catch (const Json::parse_error& error) {
        auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(error.byte, text.size()));
        auto line = 1 + std::count(text.begin(), end, '\n');
        std::string what = error.what();
        std::size_t reason = what.find(": ", what.find("column"));
        throw std::runtime_error(path + ":" + std::to_string(line) + ": not valid JSON" +
                                 (reason == std::string::npos ? "" : what.substr(reason)));
    }
}

}  // namespace

Config default_config(std::int64_t memory_bytes, std::int64_t descriptors) {
    Config config;
    Amounts& total = config.limits.total;
    // Each segment and each connection takes one descriptor; the rest are for processes and for grants on their way.
    amount(total, Resource::segments) = std::min<std::int64_t>(65'536, descriptors * 11 / 20);
    amount(total, Resource::connections) = std::min<std::int64_t>(16'384, descriptors * 7 / 20);
    amount(total, Resource::attachments) = 1'048'576;
    amount(total, Resource::bytes) = std::max<std::int64_t>(memory_bytes / 2, 1);
    amount(total, Resource::message_bytes) = 256 << 20;
    Amounts& per_uid = config.limits.per_uid;
    amount(per_uid, Resource::segments) = std::max<std::int64_t>(amount(total, Resource::segments) / 4, 1);
    amount(per_uid, Resource::connections) = std::max<std::int64_t>(amount(total, Resource::connections) / 8, 1);
    amount(per_uid, Resource::attachments) = amount(total, Resource::attachments) / 8;
    amount(per_uid, Resource::bytes) = std::max<std::int64_t>(amount(total, Resource::bytes) / 2, 1);
    amount(per_uid, Resource::message_bytes) = 16 << 20;
    return config;
}

Config read_config(const std::string& path, Config config) {
    Json file = parse_file(path);
    std::string socket, control_socket;
    std::int64_t timeout = config.message_timeout.count();
    Section section(path, "");
    section.member("socket", "a path", [&](const Json& value) { return read_text(value, socket); })
        .member("controlSocket", "a path", [&](const Json& value) { return read_text(value, control_socket); })
        .member("controlGroup", "the name of a group",
                [&](const Json& value) { return read_text(value, config.control_group); })
        .member("logLevel", "trace, debug, info, warning, error, critical or off",
                [&](const Json& value) { return read_level(value, config.log_level); })
        .member("messageTimeoutSec", "a whole number of seconds from 1 to 86400",
                [&](const Json& value) { return read_count(value, timeout, 86'400); })
        .member("limits", "an object", [&](const Json& value) { return read_limits(path, value, config.limits); });
    section.read(file);
    if (!socket.empty()) config.socket = socket;
    if (!control_socket.empty()) config.control_socket = control_socket;
    config.message_timeout = std::chrono::seconds(timeout);
    return config;
}

std::optional<std::string> find_config() {
    constexpr uid_t first_human_uid = 1000;
    std::string path = "/etc/shmd/shmd.conf";
    if (::geteuid() >= first_human_uid) {
        const char* base = std::getenv("XDG_CONFIG_HOME");
        const char* home = std::getenv("HOME");
        if (base && *base) {
            path = std::string(base) + "/shmd/shmd.conf";
        } else if (home && *home) {
            path = std::string(home) + "/.config/shmd/shmd.conf";
        } else {
            return std::nullopt;
        }
    }
    return ::access(path.c_str(), F_OK) == 0 ? std::optional(path) : std::nullopt;
}

}  // namespace shmd
