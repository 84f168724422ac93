// The codecs against the interface descriptions, which are parsed here apart from the implementation.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "codec_samples.hpp"
#include "limits.hpp"
#include "messages.hpp"

using namespace shmd;
using namespace shmd::test;
using namespace std::string_literals;
using Json = nlohmann::ordered_json;

namespace {

struct IdlField {
    std::string name, type;
};
using IdlFields = std::vector<IdlField>;

struct Idl {
    std::string interface;
    std::vector<std::pair<std::string, std::vector<std::string>>> enums;
    std::vector<std::pair<std::string, IdlFields>> structs, errors;
    std::vector<std::tuple<std::string, IdlFields, IdlFields>> methods;
};

// Comments gone, every run of white space one space, none beside punctuation.
std::string condensed(std::string_view text) {
    std::string out;
    bool comment = false;
    for (char c : text) {
        if (c == '#') comment = true;
        if (c == '\n') comment = false;
        if (comment) continue;
        bool space = c == ' ' || c == '\n';
        bool wanted = !out.empty() && out.back() != ' ' && !std::strchr("(),:", out.back());
        if (space && !wanted) continue;
        if (std::strchr("(),:", c) && !out.empty() && out.back() == ' ') out.pop_back();
        out += space ? ' ' : c;
    }
    return out;
}

// Takes "name(...)" apart at `from`, which then stands behind the closing parenthesis.
IdlFields take_fields(const std::string& text, std::size_t& from) {
    std::size_t open = text.find('(', from);
    std::size_t close = text.find(')', open);
    REQUIRE(close != std::string::npos);
    from = close + 1;
    IdlFields fields;
    std::string inside = text.substr(open + 1, close - open - 1) + ",";
    for (std::size_t begin = 0, end = 0; (end = inside.find(',', begin)) != std::string::npos; begin = end + 1) {
        std::string field = inside.substr(begin, end - begin);
        std::size_t colon = field.find(':');
        if (field.empty()) continue;
        fields.push_back({field.substr(0, colon), colon == std::string::npos ? "" : field.substr(colon + 1)});
    }
    return fields;
}

Idl parse_idl(std::string_view source) {
    Idl idl;
    std::string text = condensed(source);
    std::size_t at = 0;
    while (at < text.size()) {
        if (text[at] == ' ') {
            at++;
            continue;
        }
        std::size_t space = text.find(' ', at);
        std::string word = text.substr(at, space - at);
        at = space + 1;
        std::size_t end = text.find_first_of("( ", at);
        std::string name = text.substr(at, end - at);
        at = end;
        if (word == "interface") {
            idl.interface = name;
        } else if (word == "type") {
            IdlFields fields = take_fields(text, at);
            if (fields.front().type.empty()) {
                std::vector<std::string> values;
                for (const IdlField& value : fields) values.push_back(value.name);
                idl.enums.emplace_back(name, values);
            } else {
                idl.structs.emplace_back(name, fields);
            }
        } else if (word == "error") {
            idl.errors.emplace_back(name, take_fields(text, at));
        } else if (word == "method") {
            IdlFields in = take_fields(text, at);
            REQUIRE(text.compare(at, 2, "->") == 0);
            idl.methods.emplace_back(name, in, take_fields(text, at));
        } else {
            FAIL("an IDL member of an unknown kind: " << word);
        }
    }
    return idl;
}

std::vector<Idl> all_idl() {
    std::vector<Idl> all;
    for (const InterfaceText& text : interface_texts()) all.push_back(parse_idl(text.text));
    return all;
}

std::vector<std::string> names(const IdlFields& fields) {
    std::vector<std::string> out;
    for (const IdlField& field : fields) out.push_back(field.name);
    return out;
}

std::vector<std::string> names(const Json& object) {
    std::vector<std::string> out;
    for (const auto& item : object.items()) out.push_back(item.key());
    return out;
}

}  // namespace

TEST_CASE("the embedded interface descriptions are those of the served interfaces") {
    std::vector<std::string> found;
    for (const InterfaceText& text : interface_texts()) {
        CHECK(parse_idl(text.text).interface == text.name);
        found.emplace_back(text.name);
    }
    CHECK(found == std::vector{"org.varlink.service"s, "io.shmd.Segments"s, "io.shmd.SystemV"s,
                               "io.shmd.Control"s});
}

TEST_CASE("every method of the IDL has a call with exactly its parameters, and no other call exists") {
    std::vector<std::string> in_idl, in_code;
    for (const Idl& idl : all_idl()) {
        for (const auto& [name, in, out] : idl.methods) {
            in_idl.push_back(idl.interface + "." + name);
            CAPTURE(in_idl.back());
            std::vector<std::string> expected = names(in), sent;
            for (const CallBody& body : sample_calls()) {
                Json message = Json::parse(encode_call(body));
                if (message["method"] != in_idl.back()) continue;
                for (const std::string& parameter : names(message.value("parameters", Json::object()))) {
                    if (std::find(sent.begin(), sent.end(), parameter) == sent.end()) sent.push_back(parameter);
                }
            }
            std::sort(expected.begin(), expected.end());
            std::sort(sent.begin(), sent.end());
            CHECK(sent == expected);
        }
    }
    for (const CallBody& body : sample_calls()) {
        std::string method(std::visit([](const auto& call) { return call.method; }, body));
        if (std::find(in_code.begin(), in_code.end(), method) == in_code.end()) in_code.push_back(method);
    }
    std::sort(in_idl.begin(), in_idl.end());
    std::sort(in_code.begin(), in_code.end());
    CHECK(in_idl == in_code);
}

TEST_CASE("every reply has exactly the fields of the IDL, in its order") {
    for (const Idl& idl : all_idl()) {
        for (const auto& [name, in, out] : idl.methods) {
            std::string method = idl.interface + "." + name;
            CAPTURE(method);
            CHECK(names(Json::parse(sample_reply(method))["parameters"]) == names(out));
        }
    }
}

TEST_CASE("every struct and enum of the IDL has exactly the fields and values that are sent") {
    std::vector<std::string> checked;
    Json segment = Json::parse(to_json(full_segment()));
    auto parameters = [](const std::string& reply) { return Json::parse(reply)["parameters"]; };
    Json status = parameters(encode_reply(full_segment_status()))["segment"];
    const std::map<std::string, Json> samples{
        {"Segment", segment},
        {"Usage", parameters(encode_reply(full_usage()))["usage"][0]},
        {"SegmentStatus", status},
        {"Attachment", status["attachments"][0]},
        {"Grant", parameters(encode_reply(full_grants()))["grants"][0]},
        {"NewSegment", Json::parse(encode_call(full_create()))["parameters"]},
        {"Status", parameters(encode_reply(full_system_v_status()))["status"]},
        {"Holder", parameters(encode_error(Error::segment_busy({{4242, 1000, 9, Access::write}})))["holders"][0]},
    };
    for (const Idl& idl : all_idl()) {
        for (const auto& [name, fields] : idl.structs) {
            checked.push_back(name);
            if (name == "AclEntry") {
                // Exactly one of uid and gid is sent.
                CHECK(names(segment["acl"][0]) == std::vector{"uid"s, "access"s});
                CHECK(names(segment["acl"][1]) == std::vector{"gid"s, "access"s});
                CHECK(names(fields) == std::vector{"uid"s, "gid"s, "access"s});
                continue;
            }
            if (name == "Target") {
                CHECK(names(fields) == std::vector{"key"s, "id"s});
                continue;
            }
            if (name == "OpenResult") {
                // Exactly one of a grant and an error is sent.
                Json results = parameters(encode_reply(full_open_results()))["results"];
                CHECK(names(results[0]) == std::vector{"grant"s});
                CHECK(names(results[1]) == std::vector{"error"s, "parameters"s});
                CHECK(names(fields) == std::vector{"grant"s, "error"s, "parameters"s});
                continue;
            }
            CAPTURE(name);
            REQUIRE(samples.contains(name));
            CHECK(names(samples.at(name)) == names(fields));
        }
        for (const auto& [name, values] : idl.enums) {
            checked.push_back(name);
            if (name == "Access") CHECK(values == std::vector{"read"s, "write"s});
            if (name == "CreateMode") CHECK(values == std::vector{"new"s, "any"s});
            if (name == "Reserve") CHECK(values == std::vector{"lazy"s, "allocate"s, "populate"s});
            if (name == "HugePages") {
                CHECK(values == std::vector{"none"s, "transparent"s, "huge2M"s, "huge1G"s});
            }
            if (name == "State") CHECK(values == std::vector{"staged"s, "live"s, "deleted"s});
            if (name == "Lifetime") CHECK(values == std::vector{"persistent"s, "attached"s, "creator"s, "lease"s});
            if (name == "Event") {
                std::vector<std::string> sent;
                for (int event = 0; event <= static_cast<int>(Event::lost); event++) {
                    std::string text = encode_reply(WatchReply{static_cast<Event>(event), std::nullopt});
                    sent.push_back(Json::parse(text)["parameters"]["event"]);
                }
                CHECK(values == sent);
            }
        }
    }
    std::sort(checked.begin(), checked.end());
    CHECK(checked == std::vector{"Access"s, "Access"s, "AclEntry"s, "Attachment"s, "CreateMode"s, "Event"s, "Grant"s,
                                 "Holder"s, "HugePages"s, "Lifetime"s, "NewSegment"s, "OpenResult"s, "Reserve"s,
                                 "Segment"s, "SegmentStatus"s, "State"s, "State"s, "Status"s, "Target"s, "Usage"s});
}

TEST_CASE("every value in a reply has the type that the IDL gives it") {
    auto fits = [](const Json& value, std::string type) {
        if (type.starts_with('?')) type.erase(0, 1);
        if (type == "int") return value.is_number_integer();
        if (type == "bool") return value.is_boolean();
        if (type == "string" || type == "State" || type == "Lifetime" || type == "Event" ||
            type == "HugePages") {
            return value.is_string();
        }
        if (type.starts_with("[]")) return value.is_array();
        if (type == "[string]string" || type == "Segment" || type == "SegmentStatus" ||
            type == "Status") {
            return value.is_object();
        }
        FAIL("a type that this test does not know: " << type);
        return false;
    };
    for (const Idl& idl : all_idl()) {
        for (const auto& [name, in, out] : idl.methods) {
            Json parameters = Json::parse(sample_reply(idl.interface + "." + name))["parameters"];
            for (const IdlField& field : out) {
                CAPTURE(field.name);
                CHECK(fits(parameters[field.name], field.type));
            }
        }
        for (const auto& [name, fields] : idl.structs) {
            if (name != "Segment") continue;
            Json full = Json::parse(to_json(full_segment())), bare = Json::parse(to_json(bare_segment()));
            for (const IdlField& field : fields) {
                CAPTURE(field.name);
                CHECK(fits(full[field.name], field.type));
                CHECK((bare[field.name].is_null() ? field.type.starts_with('?') : fits(bare[field.name], field.type)));
            }
        }
    }
}

TEST_CASE("every error of the IDL has a code, every code is in the IDL, and the parameters are the same") {
    std::vector<std::string> in_idl, in_code;
    for (const Idl& idl : all_idl()) {
        for (const auto& [name, fields] : idl.errors) {
            in_idl.push_back(idl.interface + "." + name);
            for (const Error& error : sample_errors()) {
                if (error_name(error.code) != in_idl.back()) continue;
                Json parameters = Json::parse(encode_error(error))["parameters"];
                CAPTURE(in_idl.back());
                CHECK(names(parameters) == names(fields));
                for (const IdlField& field : fields) {
                    const Json& value = parameters[field.name];
                    bool is_int = field.type.ends_with("int"), is_array = field.type.starts_with("[]");
                    CHECK((is_int ? value.is_number_integer() : is_array ? value.is_array() : value.is_string()));
                }
            }
        }
    }
    for (const Error& error : sample_errors()) in_code.emplace_back(error_name(error.code));
    std::sort(in_idl.begin(), in_idl.end());
    std::sort(in_code.begin(), in_code.end());
    CHECK(in_idl == in_code);
}

TEST_CASE("the IDL stays within what every Varlink parser reads") {
    for (const InterfaceText& text : interface_texts()) {
        CAPTURE(text.name);
        for (const char* trap : {"\r", "\t", "[string]()", "[][]", "[]?", ": any", ",)", ", )", "??"}) {
            CAPTURE(trap);
            CHECK(text.text.find(trap) == std::string_view::npos);
        }
        CHECK(text.text.ends_with("\n"));
        Idl idl = parse_idl(text.text);
        for (const auto& [name, values] : idl.enums) CHECK(values.size() > 1);
        for (const auto& [name, fields] : idl.structs) CHECK_FALSE(fields.empty());
        for (const auto& [name, fields] : idl.structs) {
            for (const IdlField& field : fields) CHECK((field.name[0] >= 'a' && field.name[0] <= 'z'));
        }
    }
}

TEST_CASE("in the IDL no comma and no comment stands before a closing parenthesis") {
    for (const InterfaceText& text : interface_texts()) {
        std::vector<std::string> lines{""};
        for (char c : text.text) {
            if (c == '\n') {
                lines.emplace_back();
            } else {
                lines.back() += c;
            }
        }
        for (std::size_t i = 1; i < lines.size(); i++) {
            std::size_t first = lines[i].find_first_not_of(' ');
            if (first == std::string::npos || lines[i][first] != ')') continue;
            CAPTURE(lines[i - 1]);
            CHECK_FALSE(lines[i - 1].ends_with(','));
            CHECK(lines[i - 1].find('#') == std::string::npos);
        }
    }
}
