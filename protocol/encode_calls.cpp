// Calls to JSON.
#include "bounded_text.hpp"
#include "json_reader.hpp"
#include "json_writer.hpp"
#include "limits.hpp"
#include "messages.hpp"
#include "system_v_json.hpp"

namespace shmd {
namespace {

using json::ObjectWriter;

void put(ObjectWriter& out, const Target& target) {
    out.add_if("key", target.key);
    out.add_if("id", target.id);
}

template <typename E>
void put_enum(ObjectWriter& out, std::string_view name, const std::optional<E>& value) {
    if (value) out.add(name, json::enum_name(*value));
}

struct EncodeParameters {
    ObjectWriter& out;

    void operator()(const GetInfo&) const {}
    void operator()(const GetInterfaceDescription& call) const { out.add("interface", call.interface); }
    void operator()(const Create& call) const {
        out.add_if("key", call.key);
        out.add("sizeBytes", call.size_bytes);
        out.add_if("mode", call.mode);
        put_enum(out, "createMode", call.create_mode);
        put_enum(out, "access", call.access);
        put_enum(out, "reserve", call.reserve);
        out.add_if("staged", call.staged);
        put_enum(out, "lifetime", call.lifetime);
        if (call.labels) json::append(out.begin("labels"), *call.labels);
        out.add_if("leaseUsec", call.lease_usec);
        out.add_if("evictable", call.evictable);
        out.add_if("sealable", call.sealable);
        if (call.acl) json::append(out.begin("acl"), *call.acl);
        out.add_if("capacityBytes", call.capacity_bytes);
        put_enum(out, "hugePages", call.huge_pages);
        if (call.numa_nodes) json::append(out.begin("numaNodes"), *call.numa_nodes);
        out.add_if("placementFallback", call.placement_fallback);
    }
    void operator()(const Open& call) const {
        put(out, call.target);
        out.add("access", json::enum_name(call.access));
        out.add_if("waitUsec", call.wait_usec);
        out.add_if("sealed", call.sealed);
    }
    void operator()(const CreateMany& call) const {
        std::string& list = out.begin("segments");
        list += '[';
        for (const Create& segment : call.segments) {
            if (list.back() != '[') list += ',';
            ObjectWriter item(list);
            EncodeParameters{item}(segment);
        }
        list += ']';
    }
    void operator()(const OpenMany& call) const {
        std::string& list = out.begin("targets");
        list += '[';
        for (const Target& target : call.targets) {
            if (list.back() != '[') list += ',';
            ObjectWriter item(list);
            put(item, target);
        }
        list += ']';
        out.add("access", json::enum_name(call.access));
    }
    void operator()(const Detach& call) const { out.add("attachment", call.attachment); }
    void operator()(const Resume& call) const {
        json::append(out.begin("attachments"), call.attachments);
        out.add_if("partial", call.partial);
    }
    void operator()(const OpenDetachQueue&) const {}
    void operator()(const OpenSyncArea& call) const { out.add("attachment", call.attachment); }
    void operator()(const RecoverLocks& call) const { out.add("attachment", call.attachment); }
    void operator()(const Publish& call) const {
        out.add("attachment", call.attachment);
        out.add_if("key", call.key);
        out.add_if("replace", call.replace);
    }
    void operator()(const Describe& call) const { put(out, call.target); }
    void operator()(const List& call) const { out.add_if("prefix", call.prefix); }
    void operator()(const Delete& call) const { put(out, call.target); }
    void operator()(const SetAttributes& call) const {
        put(out, call.target);
        out.add_if("mode", call.mode);
        out.add_if("ownerUid", call.owner_uid);
        out.add_if("ownerGid", call.owner_gid);
        put_enum(out, "lifetime", call.lifetime);
        out.add_if("leaseUsec", call.lease_usec);
        out.add_if("evictable", call.evictable);
        if (call.labels) json::append(out.begin("labels"), *call.labels);
        if (call.remove_labels) json::append(out.begin("removeLabels"), *call.remove_labels);
        if (call.acl) json::append(out.begin("acl"), *call.acl);
    }
    void operator()(const Renew& call) const { put(out, call.target); }
    void operator()(const Seal& call) const { put(out, call.target); }
    void operator()(const Resize& call) const {
        put(out, call.target);
        out.add("sizeBytes", call.size_bytes);
    }
    void operator()(const Watch& call) const { out.add_if("prefix", call.prefix); }
    void operator()(const ListSegments& call) const { out.add_if("prefix", call.prefix); }
    void operator()(const GetSegment& call) const { put(out, call.target); }
    void operator()(const ForceDelete& call) const { put(out, call.target); }
    void operator()(const Disconnect& call) const { out.add("pid", call.pid); }
    void operator()(const Evict& call) const { out.add_if("bytes", call.bytes); }
    void operator()(const Reload&) const {}
    void operator()(const SetLogLevel& call) const { out.add("level", call.level); }
    void operator()(const Drain& call) const { out.add("enable", call.enable); }
    void operator()(const GetStatus&) const {}
    void operator()(const GetUsage&) const {}
    void operator()(const system_v::Info&) const {}
    void operator()(const system_v::List&) const {}
    void operator()(const system_v::Changes&) const {}
    void operator()(const system_v::Claim&) const {}
    template <typename T>
    requires requires(ObjectWriter& writer, const T& call) { system_v::write(writer, call); }
    void operator()(const T& call) const { system_v::write(out, call); }
};

// The most frequent calls, in one go.
std::optional<std::string> encode_usual(const Open& call) {
    const std::optional<std::string>& key = call.target.key;
    bool usual = key && !call.target.id && key->size() <= limits::key_bytes && json::stands_for_itself(*key) &&
                 !call.wait_usec && !call.sealed;
    if (!usual) return std::nullopt;
    constexpr std::size_t most_rest = 100;
    std::string message;
    json::BoundedText<limits::key_bytes + most_rest>(message)
        .text("{\"method\":\"io.shmd.Segments.Open\",\"parameters\":{\"key\":\"")
        .copy(*key)
        .text("\",\"access\":")
        .name(call.access)
        .text("}}");
    return message;
}

std::string encode_usual(const Detach& call) {
    constexpr std::size_t most_rest = 100;
    std::string message;
    json::BoundedText<json::most_digits + most_rest>(message)
        .text("{\"method\":\"io.shmd.Segments.Detach\",\"parameters\":{\"attachment\":")
        .integer(call.attachment)
        .text("},\"oneway\":true}");
    return message;
}

}  // namespace

std::string encode_call(const CallBody& body, CallFlags flags) {
    if (const Open* open = std::get_if<Open>(&body); open && flags == CallFlags{}) {
        if (auto usual = encode_usual(*open)) return *std::move(usual);
    }
    constexpr CallFlags oneway{.oneway = true};
    if (const Detach* detach = std::get_if<Detach>(&body); detach && flags == oneway) return encode_usual(*detach);
    constexpr std::size_t usual_bytes = 200;
    std::string message;
    message.reserve(usual_bytes);
    {
        ObjectWriter object(message);
        object.add("method", std::visit([](const auto& call) { return call.method; }, body));
        std::size_t without_parameters = message.size();
        {
            ObjectWriter out(object.begin("parameters"));
            std::visit(EncodeParameters{out}, body);
        }
        if (message.ends_with(":{}")) message.resize(without_parameters);
        if (flags.oneway) object.add("oneway", true);
        if (flags.more) object.add("more", true);
    }
    return message;
}

std::optional<std::string> encode_raw_call(std::string_view method, std::string_view parameters, CallFlags flags) {
    json::Document document(parameters);
    if (!document.root() || !document.root()->is_object()) return std::nullopt;
    std::string message;
    {
        ObjectWriter object(message);
        object.add("method", method);
        if (flags.oneway) object.add("oneway", true);
        if (flags.more) object.add("more", true);
        object.begin("parameters") += document.root()->text();
    }
    return message;
}

}  // namespace shmd
