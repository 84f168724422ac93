// The conformance agent of C++: <shmd/shmd.hpp>, driven by a JSON object a line. README.md has the contract.
#include <charconv>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include <shmd/shmd.hpp>

namespace {

using Json = nlohmann::json;
using Handle = std::variant<shmd::Segment, shmd::ReadOnlySegment>;

// What C++ leaves to the program, or to the compiler.
struct Refusal {
    const char *name, *type, *message;
};

std::optional<shmd::Client> connected;
std::map<int, Handle> handles;
std::map<int, shmd::Watch> watches;

shmd::Client& client() {
    if (!connected) connected.emplace();
    return *connected;
}

Json to_object(const shmd::Info& info) {
    return Json::parse(shmd::to_json(info));
}

template <typename T>
int keep(std::map<int, T>& all, T&& one) {
    int number = 1;
    while (all.contains(number)) number++;
    all.emplace(number, std::move(one));
    return number;
}

template <typename Segment>
Json opened(Segment segment) {
    Json answer{{"segment", to_object(segment.info())}, {"created", segment.created()}};
    answer["handle"] = keep(handles, Handle(std::move(segment)));
    return answer;
}

template <typename T>
T one_of(const Json& request, const char* name, const std::map<std::string, T>& words, T otherwise) {
    if (!request.contains(name)) return otherwise;
    auto word = words.find(request.at(name));
    if (word == words.end()) throw Refusal{"NoSuchWord", "compiler", "this is none of the enum's"};
    return word->second;
}

bool for_writing(const Json& request, bool otherwise) {
    return one_of<bool>(request, "access", {{"read", false}, {"write", true}}, otherwise);
}

std::optional<shmd::Lifetime> lifetime_of(const Json& request) {
    return one_of<std::optional<shmd::Lifetime>>(request, "lifetime",
                                                 {{"persistent", shmd::Lifetime::persistent},
                                                  {"attached", shmd::Lifetime::attached},
                                                  {"creator", shmd::Lifetime::creator},
                                                  {"lease", shmd::Lifetime::lease}},
                                                 std::nullopt);
}

std::chrono::microseconds lease_of(const Json& request) {
    return std::chrono::microseconds(request.value("leaseUsec", std::int64_t{0}));
}

shmd::Key key_of(const Json& key) {
    if (key.is_null()) return nullptr;
    if (key.is_number()) return static_cast<std::int32_t>(key.get<std::int64_t>());
    return key.get<std::string>();
}

shmd::Key key_in(const Json& request) {
    return key_of(request.value("key", Json()));
}

// Calls function with the Id or the Key that the request names.
template <typename Function>
auto on_target(const Json& request, Function function) {
    if (request.contains("id")) return function(shmd::Id{request.at("id").get<std::int64_t>()});
    return function(key_in(request));
}

Json create(const Json& request) {
    shmd::CreateOptions options;
    options.mode = request.value("mode", options.mode);
    options.create_mode = one_of(request, "createMode",
                                 {{"new", shmd::CreateMode::create_new}, {"any", shmd::CreateMode::any}},
                                 options.create_mode);
    options.reserve = one_of(request, "reserve",
                             {{"allocate", shmd::Reserve::allocate},
                              {"populate", shmd::Reserve::populate},
                              {"lazy", shmd::Reserve::lazy}},
                             options.reserve);
    options.lifetime = lifetime_of(request).value_or(options.lifetime);
    options.lease = lease_of(request);
    options.staged = request.value("staged", false);
    options.labels = request.value("labels", shmd::Labels{});
    options.evictable = request.value("evictable", false);
    options.sealable = request.value("sealable", true);
    options.capacity_bytes = request.value("capacityBytes", std::uint64_t{0});
    auto size = request.at("sizeBytes").get<std::uint64_t>();
    if (for_writing(request, true)) return opened(client().create(key_in(request), size, options));
    return opened(client().create<shmd::Access::read>(key_in(request), size, options));
}

Json open(const Json& request) {
    if (request.value("sealed", false)) {
        return on_target(request, [](const auto& target) { return opened(client().open_sealed(target)); });
    }
    bool writing = for_writing(request, false);
    if (request.contains("waitUsec")) {
        std::chrono::microseconds timeout(request.at("waitUsec").get<std::int64_t>());
        if (writing) return opened(client().open_write(key_in(request), timeout));
        return opened(client().open_read(key_in(request), timeout));
    }
    return on_target(request, [writing](const auto& target) {
        return writing ? opened(client().open_write(target)) : opened(client().open_read(target));
    });
}

// The names of what <shmd/shmd.h> says of these codes: more is not told of each.
std::string name_of(const std::error_code& code) {
    static const std::map<int, std::string> names{{ENOENT, "io.shmd.Segments.NoSuchSegment"},
                                                  {EACCES, "org.varlink.service.PermissionDenied"},
                                                  {EDQUOT, "io.shmd.Segments.QuotaExceeded"},
                                                  {EROFS, "io.shmd.Segments.SegmentSealed"}};
    auto name = names.find(code.value());
    return name == names.end() ? "" : name->second;
}

template <shmd::Access A>
Json open_all(const std::vector<shmd::Key>& keys) {
    Json results = Json::array();
    for (auto& result : client().open_many<A>(keys)) {
        if (result.segment) {
            results.push_back(opened(std::move(*result.segment)));
        } else {
            results.push_back({{"error", {{"name", name_of(result.error)}, {"class", "std::error_code"}}}});
        }
    }
    return {{"results", results}};
}

Json open_many(const Json& request) {
    std::vector<shmd::Key> keys;
    for (const Json& key : request.at("keys")) keys.push_back(key_of(key));
    return for_writing(request, false) ? open_all<shmd::Access::write>(keys) : open_all<shmd::Access::read>(keys);
}

auto handle_in(const Json& request) {
    auto found = handles.find(request.at("handle").get<int>());
    if (found == handles.end()) throw Refusal{"Closed", "is_open()", "no open segment has this handle"};
    return found;
}

constexpr Refusal read_only{"ReadOnly", "compiler", "what is opened for reading has const bytes and no such function"};

// Calls function with the segment that is open for writing.
template <typename Function>
Json on_writable(const Json& request, Function function) {
    auto* segment = std::get_if<shmd::Segment>(&handle_in(request)->second);
    if (!segment) throw read_only;
    return function(*segment);
}

template <typename Segment>
Json segment_of(const Segment& segment) {
    return {{"segment", to_object(segment.info())}};
}

template <typename Span>
Span part(Span bytes, std::uint64_t offset, std::uint64_t length) {
    if (offset > bytes.size() || length > bytes.size() - offset) {
        throw Refusal{"OutOfRange", "", "beyond the segment's size"};
    }
    return bytes.subspan(offset, length);
}

Json write(const Json& request) {
    return on_writable(request, [&request](shmd::Segment& segment) {
        const auto& hex = request.at("hex").get_ref<const std::string&>();
        std::span<std::byte> bytes = part(segment.bytes(), request.at("offset"), hex.size() / 2);
        for (std::size_t i = 0; i < bytes.size(); i++) {
            unsigned byte = 0;
            std::from_chars(&hex[2 * i], &hex[2 * i] + 2, byte, 16);
            bytes[i] = static_cast<std::byte>(byte);
        }
        return Json::object();
    });
}

Json read(const Json& request) {
    auto tell = [&request](const auto& segment) {
        std::string hex;
        for (std::byte byte : part(segment.bytes(), request.at("offset"), request.at("length"))) {
            hex += "0123456789abcdef"[std::to_integer<unsigned>(byte) >> 4];
            hex += "0123456789abcdef"[std::to_integer<unsigned>(byte) & 15];
        }
        return Json{{"hex", hex}};
    };
    return std::visit(tell, handle_in(request)->second);
}

Json describe(const Json& request) {
    return {{"segment", to_object(on_target(request, [](const auto& target) { return client().describe(target); }))}};
}

Json list(const Json& request) {
    return {{"segments", Json::parse(shmd::to_json(client().list(request.value("prefix", ""))))}};
}

Json publish(const Json& request) {
    return std::visit(
        [&request](auto& segment) {
            segment.publish(key_in(request), request.value("replace", false));
            return segment_of(segment);
        },
        handle_in(request)->second);
}

Json seal(const Json& request) {
    auto handle = handle_in(request);
    return on_writable(request, [&](shmd::Segment& segment) {
        shmd::ReadOnlySegment sealed = std::move(segment).seal();
        Json answer = segment_of(sealed);
        handle->second = std::move(sealed);
        return answer;
    });
}

Json resize(const Json& request) {
    return std::visit(
        [&request](auto& segment) {
            segment.resize(request.at("sizeBytes"));
            return segment_of(segment);
        },
        handle_in(request)->second);
}

Json remap(const Json& request) {
    return std::visit(
        [](auto& segment) {
            segment.remap();
            return segment_of(segment);
        },
        handle_in(request)->second);
}

Json set_attributes(const Json& request) {
    shmd::Attributes attributes;
    if (request.contains("mode")) attributes.mode = request.at("mode");
    attributes.lifetime = lifetime_of(request);
    attributes.lease = lease_of(request);
    if (request.contains("evictable")) attributes.evictable = request.at("evictable");
    attributes.labels = request.value("labels", shmd::Labels{});
    attributes.remove_labels = request.value("removeLabels", std::vector<std::string>{});
    auto set = [&attributes](const auto& target) { return client().set_attributes(target, attributes); };
    return {{"segment", to_object(on_target(request, set))}};
}

Json renew(const Json& request) {
    return {{"segment", to_object(on_target(request, [](const auto& target) { return client().renew(target); }))}};
}

Json delete_segment(const Json& request) {
    on_target(request, [](const auto& target) { client().delete_segment(target); });
    return Json::object();
}

Json close(const Json& request) {
    handles.erase(handle_in(request));
    return Json::object();
}

Json watch(const Json& request) {
    return {{"watch", keep(watches, client().watch(request.value("prefix", "")))}};
}

auto watch_in(const Json& request) {
    auto found = watches.find(request.at("watch").get<int>());
    if (found == watches.end()) throw Refusal{"Closed", "", "no such watch"};
    return found;
}

Json next_event(const Json& request) {
    shmd::Event event = watch_in(request)->second.next();
    Json answer{{"event", shmd::to_string(event.kind)}};
    if (event.segment) answer["segment"] = to_object(*event.segment);
    return answer;
}

Json unwatch(const Json& request) {
    watches.erase(watch_in(request));
    return Json::object();
}

Json capabilities(const Json&) {
    return {{"language", "C++"}, {"version", shmd::version()}, {"missing", Json::array()}};
}

const std::map<std::string, std::function<Json(const Json&)>> ops{
    {"create", create},       {"open", open},         {"openMany", open_many},
    {"write", write},         {"read", read},         {"describe", describe},
    {"list", list},           {"publish", publish},   {"seal", seal},
    {"resize", resize},       {"remap", remap},       {"setAttributes", set_attributes},
    {"renew", renew},         {"delete", delete_segment}, {"close", close},
    {"watch", watch},         {"nextEvent", next_event},  {"unwatch", unwatch},
    {"capabilities", capabilities}};

Json error(const std::string& name, const std::string& type, const std::string& message, Json parameters) {
    return {{"error", {{"name", name}, {"class", type}, {"message", message}, {"parameters", std::move(parameters)}}}};
}

Json answer_to(const std::string& line) {
    try {
        Json request = Json::parse(line);
        auto op = ops.find(request.at("op"));
        if (op == ops.end()) return error("UnknownOp", "", "the agent does not know this op", Json::object());
        return {{"ok", op->second(request)}};
    } catch (const shmd::Error& failed) {
        return error(failed.name(), "shmd::Error", failed.what(), Json::parse(failed.parameters()));
    } catch (const Refusal& refused) {
        return error(refused.name, refused.type, refused.message, Json::object());
    } catch (const Json::exception& wrong) {
        return error("BadRequest", "", wrong.what(), Json::object());
    }
}

}  // namespace

int main() {
    for (std::string line; std::getline(std::cin, line);) std::cout << answer_to(line).dump() << std::endl;
}
