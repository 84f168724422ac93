#include "config.hpp"

#include <grp.h>
#include <pwd.h>
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

#include "key.hpp"
#include "limits.hpp"
#include "size_text.hpp"

namespace shmd {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t& amount(Amounts& amounts, Resource resource) {
    return amounts[static_cast<std::size_t>(resource)];
}

// The file, and where each of its members stands: "limits.perUid.bytes" on line 7.
struct File {
    std::string path;
    Json content;
    std::map<std::string, int> lines{};

    // Where this member, or the nearest one around it, stands.
    [[nodiscard]] std::string place(std::string name) const {
        for (;;) {
            if (auto found = lines.find(name); found != lines.end()) return path + ":" + std::to_string(found->second);
            std::size_t end = name.find_last_of(".[");
            if (end == std::string::npos) return path;
            name.resize(end);
        }
    }
};

// Reads one object of the file: every member must have a reader, which says what it wants when it gets something else.
class Section {
  public:
    Section(const File& file, std::string name) : file_(file), name_(std::move(name)) {}

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
        throw std::runtime_error(file_.place(name) + ": " + name + ": " + what);
    }
    std::string names() const {
        std::string text;
        for (const auto& [name, member] : members_) text += (text.empty() ? "" : ", ") + name;
        return text;
    }

    const File& file_;
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

bool read_flag(const Json& value, bool& out) {
    if (!value.is_boolean()) return false;
    out = value.get<bool>();
    return true;
}

bool read_level(const Json& value, std::string& out) {
    constexpr std::string_view levels[] = {"trace", "debug", "info", "warning", "error", "critical", "off"};
    return read_text(value, out) && std::find(std::begin(levels), std::end(levels), out) != std::end(levels);
}

void add_limits(Section& section, Amounts& amounts) {
    constexpr Resource counts[] = {Resource::segments, Resource::attachments, Resource::connections,
                                   Resource::watches};
    for (Resource resource : counts) {
        section.member(std::string(resource_name(resource)), "a whole number from 1",
                       [&, resource](const Json& value) { return read_count(value, amount(amounts, resource)); });
    }
    for (Resource resource : {Resource::bytes, Resource::staged_bytes}) {
        section.member(std::string(resource_name(resource)), "a size from 1, such as 1073741824 or \"1G\"",
                       [&, resource](const Json& value) { return read_size(value, amount(amounts, resource)); });
    }
}

bool read_limits(const File& file, const Json& value, Limits& limits) {
    Section per_uid(file, "limits.perUid");
    add_limits(per_uid, limits.per_uid);
    Section section(file, "limits");
    add_limits(section, limits.total);
    section.member("perUid", "an object", [&](const Json& object) { return per_uid.read(object), true; });
    section.read(value);
    return true;
}

bool read_mode(const Json& value, std::optional<int>& out) {
    if (!value.is_string()) return false;
    const auto& text = value.get_ref<const std::string&>();
    bool octal = !text.empty() && text.size() <= 4 && text.find_first_not_of("01234567") == std::string::npos;
    if (!octal || std::stoi(text, nullptr, 8) > limits::mode_bits) return false;
    out = std::stoi(text, nullptr, 8);
    return true;
}

std::optional<std::uint32_t> uid_of(const std::string& name) {
    const passwd* found = ::getpwnam(name.c_str());
    return found ? std::optional(found->pw_uid) : std::nullopt;
}

std::optional<std::uint32_t> gid_of(const std::string& name) {
    const group* found = ::getgrnam(name.c_str());
    return found ? std::optional(found->gr_gid) : std::nullopt;
}

// An array of names and numbers.
bool read_ids(const Json& value, std::optional<std::uint32_t> (*id_of)(const std::string&),
              std::vector<std::uint32_t>& out) {
    if (!value.is_array()) return false;
    for (const Json& each : value) {
        std::int64_t number = 0;
        if (each.is_number_integer() && each.get<std::int64_t>() == 0) {
            out.push_back(0);
        } else if (read_count(each, number, UINT32_MAX - 1)) {
            out.push_back(static_cast<std::uint32_t>(number));
        } else {
            auto id = each.is_string() ? id_of(each.get<std::string>()) : std::nullopt;
            if (!id) return false;
            out.push_back(*id);
        }
    }
    return true;
}

ReservedPrefix read_rule(const File& file, const std::string& name, const Json& value) {
    ReservedPrefix rule;
    Section section(file, name);
    auto read_prefix = [&](const Json& text) { return read_text(text, rule.prefix) && is_valid_prefix(rule.prefix); };
    section.member("prefix", "the beginning of a key", read_prefix)
        .member("users", "an array of users of this machine, names or numbers",
                [&](const Json& ids) { return read_ids(ids, uid_of, rule.uids); })
        .member("groups", "an array of groups of this machine, names or numbers",
                [&](const Json& ids) { return read_ids(ids, gid_of, rule.gids); })
        .member("mode", "an octal mode such as \"0640\"", [&](const Json& mode) { return read_mode(mode, rule.mode); });
    section.read(value);
    if (rule.prefix.empty()) throw std::runtime_error(file.place(name) + ": " + name + ".prefix: is missing");
    return rule;
}

bool read_policy(const File& file, const Json& value, KeyPolicy& policy) {
    std::vector<ReservedPrefix> reserved;
    std::optional<int> default_mode;
    Section section(file, "policy");
    auto read_reserved = [&](const Json& rules) {
        if (!rules.is_array()) return false;
        for (std::size_t i = 0; i < rules.size(); i++) {
            reserved.push_back(read_rule(file, "policy.reserved[" + std::to_string(i) + "]", rules[i]));
        }
        return true;
    };
    section
        .member("defaultMode", "an octal mode such as \"0600\"",
                [&](const Json& mode) { return read_mode(mode, default_mode); })
        .member("reserved", "an array of objects", read_reserved);
    section.read(value);
    policy = KeyPolicy(std::move(reserved), default_mode.value_or(limits::default_mode));
    return true;
}

// Reads characters and counts lines.
class LineCounter {
  public:
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;

    LineCounter(const char* at, int* line) : at_(at), line_(line) {}
    const char& operator*() const { return *at_; }
    LineCounter& operator++() {
        if (*at_++ == '\n') ++*line_;
        return *this;
    }
    LineCounter operator++(int) {
        LineCounter before = *this;
        ++*this;
        return before;
    }
    bool operator==(const LineCounter& other) const { return at_ == other.at_; }

  private:
    const char* at_;
    int* line_;
};

// Notes on which line each member and each object of an array begins. A text that is not JSON is not its matter.
class PlaceFinder : public nlohmann::json_sax<Json> {
  public:
    PlaceFinder(const int& line, std::map<std::string, int>& lines) : line_(line), lines_(lines) {}

    bool null() override { return item(); }
    bool boolean(bool) override { return item(); }
    bool number_integer(number_integer_t) override { return item(); }
    bool number_unsigned(number_unsigned_t) override { return item(); }
    bool number_float(number_float_t, const string_t&) override { return item(); }
    bool string(string_t&) override { return item(); }
    bool binary(binary_t&) override { return item(); }
    bool start_object(std::size_t) override { return enter(false); }
    bool start_array(std::size_t) override { return enter(true); }
    bool end_object() override { return leave(); }
    bool end_array() override { return leave(); }
    bool key(string_t& name) override {
        name_ = inside_.back().name.empty() ? name : inside_.back().name + "." + name;
        lines_.emplace(name_, line_);
        return true;
    }
    bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

  private:
    struct Inside {
        std::string name;
        bool is_array;
        int next;
    };

    // Every value of an array has the next number.
    bool item() {
        if (inside_.empty() || !inside_.back().is_array) return true;
        name_ = inside_.back().name + "[" + std::to_string(inside_.back().next++) + "]";
        lines_.emplace(name_, line_);
        return true;
    }
    bool enter(bool is_array) {
        item();
        inside_.push_back({name_, is_array, 0});
        return true;
    }
    bool leave() {
        inside_.pop_back();
        return true;
    }

    const int& line_;
    std::map<std::string, int>& lines_;
    std::vector<Inside> inside_;
    std::string name_;
};

File parse_file(const std::string& path) {
    std::ifstream input(path);
    if (!input) throw std::runtime_error(path + ": " + std::strerror(errno));
    std::string text{std::istreambuf_iterator<char>(input), {}};
    if (input.bad()) throw std::runtime_error(path + ": cannot be read");
    File file{path, {}};
    try {
        file.content = Json::parse(text, nullptr, /*allow_exceptions=*/true, /*ignore_comments=*/true);
    } catch (const Json::parse_error& error) {
        auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(error.byte, text.size()));
        auto line = 1 + std::count(text.begin(), end, '\n');
        std::string what = error.what();
        std::size_t reason = what.find(": ", what.find("column"));
        throw std::runtime_error(path + ":" + std::to_string(line) + ": not valid JSON" +
                                 (reason == std::string::npos ? "" : what.substr(reason)));
    }
    int line = 1;
    PlaceFinder finder(line, file.lines);
    (void)Json::sax_parse(LineCounter(text.data(), &line), LineCounter(text.data() + text.size(), &line), &finder,
                          nlohmann::detail::input_format_t::json, /*strict=*/true, /*ignore_comments=*/true);
    return file;
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
    amount(total, Resource::staged_bytes) = amount(total, Resource::bytes);
    amount(total, Resource::watches) = 4096;
    amount(total, Resource::message_bytes) = 256 << 20;
    Amounts& per_uid = config.limits.per_uid;
    amount(per_uid, Resource::segments) = std::max<std::int64_t>(amount(total, Resource::segments) / 4, 1);
    amount(per_uid, Resource::connections) = std::max<std::int64_t>(amount(total, Resource::connections) / 8, 1);
    amount(per_uid, Resource::attachments) = amount(total, Resource::attachments) / 8;
    amount(per_uid, Resource::bytes) = std::max<std::int64_t>(amount(total, Resource::bytes) / 2, 1);
    amount(per_uid, Resource::staged_bytes) = amount(per_uid, Resource::bytes);
    amount(per_uid, Resource::watches) = 128;
    amount(per_uid, Resource::message_bytes) = 16 << 20;
    amount(total, Resource::watch_bytes) = 256 << 20;
    amount(per_uid, Resource::watch_bytes) = 16 << 20;
    // The kernel lets a user without privileges have so many unread as it may open files. A connection that is silent
    // counts as one that has not read its last one, and a batch must fit in any case.
    amount(total, Resource::unread_fds) = std::max<std::int64_t>(descriptors * 3 / 4, 1024);
    amount(per_uid, Resource::unread_fds) =
        std::max(amount(total, Resource::unread_fds) / 8, amount(per_uid, Resource::connections) + 512);
    config.ready_bytes = std::min<std::int64_t>(memory_bytes / 16, std::int64_t{1} << 30);
    return config;
}

Config read_config(const std::string& path, Config config) {
    File file = parse_file(path);
    std::string socket, control_socket;
    std::int64_t timeout = config.message_timeout.count();
    Section section(file, "");
    section.member("socket", "a path", [&](const Json& value) { return read_text(value, socket); })
        .member("controlSocket", "a path", [&](const Json& value) { return read_text(value, control_socket); })
        .member("controlGroup", "the name of a group",
                [&](const Json& value) { return read_text(value, config.control_group); })
        .member("logLevel", "trace, debug, info, warning, error, critical or off",
                [&](const Json& value) { return read_level(value, config.log_level); })
        .member("messageTimeoutSec", "a whole number of seconds from 1 to 86400",
                [&](const Json& value) { return read_count(value, timeout, 86'400); })
        .member("hugePages", "true or false", [&](const Json& value) { return read_flag(value, config.huge_pages); })
        .member("readyBytes", "a size from 0, such as 0 or \"1G\"",
                [&](const Json& value) {
                    return value == 0 ? (config.ready_bytes = 0, true) : read_size(value, config.ready_bytes);
                })
        .member("policy", "an object", [&](const Json& value) { return read_policy(file, value, config.policy); })
        .member("limits", "an object", [&](const Json& value) { return read_limits(file, value, config.limits); });
    section.read(file.content);
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
