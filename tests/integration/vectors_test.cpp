// Every conversation of protocol/vectors, against the real daemon and against the codecs. The format is described in
// protocol/vectors/README.md; this is a runner for it, and the model for one in another language.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "accounting.hpp"
#include "daemon_fixture.hpp"
#include "messages.hpp"
#include "detach_queue.h"
#include "sync_area.h"
#include "varlink_client.hpp"

using namespace shmd;
using namespace shmd::test;
using Json = nlohmann::json;

namespace {

struct Vector {
    std::string name;
    Json json;

    [[nodiscard]] Endpoint endpoint() const {
        std::string text = json.at("endpoint");
        REQUIRE((text == "segments" || text == "control"));
        return text == "segments" ? Endpoint::segments : Endpoint::control;
    }
};

std::vector<Vector> load(const std::string& directory) {
    std::vector<Vector> vectors;
    for (const auto& file : std::filesystem::directory_iterator(directory)) {
        if (file.path().extension() != ".json") continue;
        std::ifstream text(file.path());
        vectors.push_back({file.path().stem(), Json::parse(text)});
    }
    std::sort(vectors.begin(), vectors.end(), [](const Vector& a, const Vector& b) { return a.name < b.name; });
    REQUIRE_FALSE(vectors.empty());
    return vectors;
}

std::vector<Vector> conversations() {
    return load(SHMD_VECTORS_DIR);
}

std::string base64_decoded(const std::string& text) {
    const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bytes;
    unsigned bits = 0;
    int count = 0;
    for (char digit : text) {
        std::size_t value = digits.find(digit);
        if (value == std::string::npos) break;
        bits = bits << 6 | static_cast<unsigned>(value);
        if ((count += 6) >= 8) bytes += static_cast<char>(bits >> (count -= 8) & 0xff);
    }
    return bytes;
}

// ---- Patterns ----

using Saved = std::map<std::string, Json>;

// Puts saved values in the place of every {"$use": name}.
Json substituted(const Json& json, const Saved& saved) {
    if (!json.is_structured()) return json;
    if (json.is_object() && json.contains("$use")) return saved.at(json["$use"]);
    Json out = json;
    for (Json& item : out) item = substituted(item, saved);
    return out;
}

bool has_type(const Json& value, const std::string& type) {
    if (type == "int") return value.is_number_integer();
    if (type == "string") return value.is_string();
    if (type == "bool") return value.is_boolean();
    if (type == "array") return value.is_array();
    fail("a $type that the format does not have: " + type);
}

// Whether a value is what the pattern asks for. An object may have fields that the pattern does not name, and need not
// have those that are null there.
bool matches(const Json& pattern, const Json& value, Saved& saved) {
    if (pattern.is_object() && pattern.contains("$type")) {
        if (!has_type(value, pattern["$type"])) return false;
        if (pattern.contains("$save")) saved[pattern["$save"]] = value;
        return true;
    }
    if (pattern.is_object()) {
        if (!value.is_object()) return false;
        return std::all_of(pattern.items().begin(), pattern.items().end(), [&](const auto& field) {
            return matches(field.value(), value.value(field.key(), Json()), saved);
        });
    }
    if (pattern.is_array()) {
        if (!value.is_array() || pattern.size() != value.size()) return false;
        for (std::size_t i = 0; i < pattern.size(); i++) {
            if (!matches(pattern[i], value[i], saved)) return false;
        }
        return true;
    }
    return pattern == value;
}

// The envelope is compared exactly.
bool reply_matches(const Json& pattern, const Json& reply, Saved& saved) {
    for (const auto& field : reply.items()) {
        if (!pattern.contains(field.key())) return false;
    }
    return reply.contains("parameters") && matches(pattern, reply, saved);
}

std::vector<Json> expected_replies(const Json& step) {
    if (step.contains("replies")) return step["replies"];
    if (step.contains("reply")) return {step["reply"]};
    return {};
}

// ---- The codecs on what really came ----

template <typename T>
void check_reply(const std::string& text) {
    auto reply = decode_reply<T>(text);
    if (!reply) fail("not a reply of its type: " + text);
    if (const auto* error = std::get_if<RemoteError>(&reply->body)) {
        if (!error->known) fail("not an error of this protocol: " + text);
        CHECK((Json::parse(encode_error(*error->known)) == Json::parse(text)));
    } else {
        CHECK((Json::parse(encode_reply(std::get<T>(reply->body), reply->continues)) == Json::parse(text)));
    }
}

template <typename C>
void check_reply_to(const std::string& method, const std::string& text, bool& found) {
    if (C::method != method) return;
    found = true;
    check_reply<typename ReplyTo<C>::type>(text);
}

// Decodes with the type of the method and encodes again: nothing is lost, nothing unknown is there.
template <typename... C>
void check_reply_of(const std::string& method, const std::string& text, std::variant<C...>* /*calls*/) {
    bool found = false;
    (check_reply_to<C>(method, text, found), ...);
    if (!found) check_reply<Empty>(text);  // of no method that we have: an error
}

void check_granted_fd(const Json& call, const Json& reply, int fd) {
    const Json& parameters = reply["parameters"];
    struct stat status {};
    REQUIRE(::fstat(fd, &status) == 0);
    if (call["method"] == system_v::Changes::method) return;
    if (call["method"] == OpenDetachQueue::method) {
        CHECK(status.st_size == SHMD_DETACH_QUEUE_BYTES);
        return;
    }
    if (call["method"] == OpenSyncArea::method) {
        CHECK(status.st_size == SHMD_SYNC_BYTES);
        return;
    }
    if (call["method"] == system_v::Attach::method) {
        CHECK(status.st_size == parameters["sizeBytes"].get<std::int64_t>());
        return;
    }
    CHECK(status.st_size == parameters["segment"]["capacityBytes"].get<std::int64_t>());
    bool creates = call["method"] == Create::method;
    Json access = call["parameters"].value("access", Json());
    bool writes = access == "write" || (creates && access.is_null());
    CHECK((::fcntl(fd, F_GETFL) & O_ACCMODE) == (writes ? O_RDWR : O_RDONLY));
}

// ---- The runner ----

class Conversation {
  public:
    Conversation(const Daemon& daemon, const Vector& vector)
        : client_(vector.endpoint() == Endpoint::segments ? daemon.socket() : daemon.control_socket()) {}

    void take(const Json& step) {
        Json call = substituted(step.value("call", Json()), saved_);
        bool sent = client_.try_send_bytes(bytes_of(step, call) + '\0');
        if (step.value("close", false)) {
            client_.expect_eof();
            closed_ = true;
            return;
        }
        REQUIRE(sent);
        for (const Json& pattern : expected_replies(step)) receive(call, pattern, step.value("fds", 0));
    }

    // Nothing more has come: the next reply is that to the next call.
    void finish() {
        if (closed_) return;
        CHECK(client_.call(GetInfo{}).value().product == "shmd");
        CHECK(client_.undeclared_fds() == 0);
    }

  private:
    static std::string bytes_of(const Json& step, const Json& call) {
        std::string bytes;
        if (step.contains("rawBase64")) {
            bytes = base64_decoded(step["rawBase64"]);
        } else {
            bytes = step.contains("raw") ? step["raw"].get<std::string>() : call.dump();
        }
        bytes.resize(std::max(bytes.size(), step.value("pad", std::size_t{0})), ' ');
        return bytes;
    }

    void receive(const Json& call, const Json& pattern, std::size_t fds) {
        Message message = client_.receive();
        CAPTURE(message.text);
        Json reply = Json::parse(message.text);
        Json wanted = substituted(pattern, saved_);
        CAPTURE(wanted);
        CHECK(reply_matches(wanted, reply, saved_));
        REQUIRE(message.fds.size() == fds);
        CHECK(client_.undeclared_fds() == 0);
        if (call.is_object()) {
            check_reply_of(call["method"], message.text, static_cast<CallBody*>(nullptr));
        }
        if (fds == 1) check_granted_fd(call, reply, message.fds.front().get());
    }

    RawClient client_;
    Saved saved_;
    bool closed_ = false;
};

void replay(const Daemon& daemon, const Vector& vector) {
    CAPTURE(vector.name);
    Conversation conversation(daemon, vector);
    int number = 0;
    for (const Json& step : vector.json.at("steps")) {
        number++;
        CAPTURE(number);
        conversation.take(step);
    }
    conversation.finish();
}

// ---- The codecs on what the files say ----

using Types = std::map<std::string, std::string>;

Json value_of_type(const std::string& type) {
    if (type == "int") return 1;
    if (type == "string") return "text";
    return type == "bool" ? Json(true) : Json::array();
}

// Every placeholder replaced by a value of its type.
Json instantiated(const Json& json, Types& saved) {
    if (!json.is_structured()) return json;
    if (json.is_object() && json.contains("$use")) return value_of_type(saved.at(json["$use"]));
    if (json.is_object() && json.contains("$type")) {
        if (json.contains("$save")) saved[json["$save"]] = json["$type"];
        return value_of_type(json["$type"]);
    }
    Json out = json;
    for (Json& item : out) item = instantiated(item, saved);
    return out;
}

// Null and left out, false and left out, empty and left out: the same call.
Json shortest(Json call) {
    for (const char* flag : {"oneway", "more", "upgrade"}) {
        if (call.value(flag, false) == false) call.erase(flag);
    }
    Json parameters = Json::object();
    const Json given = call.value("parameters", Json());
    for (const auto& field : given.items()) {
        if (!field.value().is_null()) parameters[field.key()] = field.value();
    }
    call["parameters"] = parameters;
    return call;
}

enum class Verdict { accepted, refused, violation };

// What decode_call() says to a call, checked against the reply that the file expects.
Verdict check_call(const Json& step, Endpoint endpoint) {
    const Json& call = step["call"];
    auto decoded = decode_call(call.dump(), endpoint);
    if (std::holds_alternative<Violation>(decoded)) {
        CHECK(step.value("close", false));
        return Verdict::violation;
    }
    CHECK_FALSE(step.value("close", false));
    const Call& typed = std::get<Call>(decoded);
    std::vector<Json> replies = expected_replies(step);
    CHECK(replies.empty() == typed.flags.oneway);
    if (!typed.body) {
        if (!typed.flags.oneway) CHECK((Json::parse(encode_error(typed.body.error())) == replies.front()));
        return Verdict::refused;
    }
    CHECK((shortest(Json::parse(encode_call(*typed.body, typed.flags))) == shortest(call)));
    return Verdict::accepted;
}

}  // namespace

TEST_CASE("the daemon answers every vector as written, in any order, and keeps nothing of it") {
    Daemon daemon;
    Snapshot before = settled(daemon);
    std::vector<Vector> vectors = conversations();
    for (const Vector& vector : vectors) {
        replay(daemon, vector);
        CAPTURE(vector.name);
        REQUIRE(RawClient(daemon.socket()).list().empty());
    }
    std::reverse(vectors.begin(), vectors.end());
    for (const Vector& vector : vectors) replay(daemon, vector);
    expect_return_to(daemon, before);
}

TEST_CASE("every call in the vectors decodes, and encodes to the same call, or is refused as the vector says") {
    std::map<Verdict, int> verdicts;
    for (const Vector& vector : conversations()) {
        CAPTURE(vector.name);
        Types saved;
        for (const Json& pattern : vector.json["steps"]) {
            Json step = instantiated(pattern, saved);
            if (!step.contains("call")) continue;
            CAPTURE(step);
            verdicts[check_call(step, vector.endpoint())]++;
        }
    }
    CHECK(verdicts[Verdict::accepted] > 50);
    CHECK(verdicts[Verdict::refused] > 50);
    CHECK(verdicts[Verdict::violation] > 5);
}

TEST_CASE("the vectors use every method and every error that one client alone can cause") {
    std::string text;
    for (const Vector& vector : conversations()) text += vector.json.dump();
    for (const InterfaceText& interface : interface_texts()) {
        for (std::size_t at = 0; (at = interface.text.find("\nmethod ", at)) != std::string_view::npos; at++) {
            std::string_view name = interface.text.substr(at + 8, interface.text.find('(', at) - at - 8);
            std::string method = "\"" + std::string(interface.name) + "." + std::string(name) + "\"";
            CAPTURE(method);
            CHECK(text.find(method) != std::string::npos);
        }
    }
    for (int code = 0; code <= static_cast<int>(ErrorCode::expected_more); code++) {
        // These need another user, another connection, a limit or a configuration file.
        constexpr ErrorCode others[] = {ErrorCode::permission_denied, ErrorCode::quota_exceeded, ErrorCode::draining,
                                        ErrorCode::segment_busy, ErrorCode::placement_unavailable,
                                        ErrorCode::invalid_configuration};
        if (std::find(std::begin(others), std::end(others), ErrorCode(code)) != std::end(others)) continue;
        std::string error = "\"" + std::string(error_name(ErrorCode(code))) + "\"";
        CAPTURE(error);
        CHECK(text.find(error) != std::string::npos);
    }
}

TEST_CASE("the vectors make segments under their own keys alone") {
    for (const Vector& vector : conversations()) {
        CAPTURE(vector.name);
        for (const Json& step : vector.json["steps"]) {
            Json method = step.value("/call/method"_json_pointer, Json());
            if (method != Create::method && method != Publish::method) continue;
            bool refused = step.value("/reply/error"_json_pointer, Json()).is_string();
            Json key = step["call"].value("/parameters/key"_json_pointer, Json());
            if (refused || key.is_null()) continue;
            CHECK(key.get<std::string>().starts_with("vectors/" + vector.name + "/"));
        }
    }
}

// ---- Replies for clients ----

namespace {

Json changed(Json reply, const Json& test_case) {
    const Json set = test_case.value("set", Json::object());
    for (const auto& field : set.items()) {
        reply[Json::json_pointer(field.key())] = field.value();
    }
    for (const auto& path : test_case.value("remove", Json::array())) {
        Json::json_pointer pointer(path.get<std::string>());
        REQUIRE(reply.at(pointer.parent_pointer()).erase(pointer.back()) == 1);
    }
    return reply;
}

template <typename T>
std::string outcome_of(const std::string& text, std::size_t fds, std::string& error) {
    auto reply = decode_reply<T>(text);
    if (!reply) return "broken";
    if (const auto* remote = std::get_if<RemoteError>(&reply->body)) {
        error = remote->name;
        return "error";
    }
    if constexpr (std::is_same_v<T, Grant>) {
        if (static_cast<std::size_t>(std::get<T>(reply->body).file_descriptor) >= fds) return "broken";
    }
    return "value";
}

std::string outcome_of_method(const std::string& method, const std::string& text, std::size_t fds, std::string& error) {
    if (method == Create::method) return outcome_of<Grant>(text, fds, error);
    if (method == Describe::method) return outcome_of<SegmentReply>(text, fds, error);
    if (method == Delete::method) return outcome_of<Empty>(text, fds, error);
    fail("this test does not know the replies of " + method);
}

}  // namespace

TEST_CASE("our own decoder makes of every reply for clients what it must") {
    for (const Vector& vector : load(SHMD_VECTORS_DIR "/client")) {
        CAPTURE(vector.name);
        for (const Json& test_case : vector.json["cases"]) {
            CAPTURE(test_case);
            Json reply = changed(vector.json["reply"], test_case);
            std::string text = test_case.value("raw", reply.dump());
            std::size_t fds = test_case.value("fds", vector.json.value("fds", std::size_t{0}));
            std::string error;
            CHECK(outcome_of_method(vector.json["call"]["method"], text, fds, error) == test_case["outcome"]);
            CHECK(error == test_case.value("error", ""));
        }
    }
}
