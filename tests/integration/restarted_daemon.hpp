// What the tests of a restarted daemon share: calls and looks at what is there.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include "mapping.hpp"
#include "process.hpp"
#include "service_manager.hpp"
#include "varlink_client.hpp"

namespace shmd::test {

inline Create create(const std::string& key, std::int64_t size = 4096) {
    Create call;
    call.key = key;
    call.size_bytes = size;
    return call;
}

inline Target named(const std::string& key) {
    return {key, std::nullopt};
}

inline Target with_id(std::int64_t id) {
    return {std::nullopt, id};
}

inline void write_text(const Received<Grant>& grant, const std::string& text) {
    Mapping memory(grant.fds.at(0).get(), 4096, Access::write);
    std::memcpy(memory.data(), text.c_str(), text.size() + 1);
}

inline std::string read_text(RawClient& client, const Target& target) {
    auto grant = client.call(Open{target, Access::read});
    return Mapping(grant.fds.at(0).get(), static_cast<std::size_t>(grant.value().segment.size_bytes), Access::read).data();
}

inline Segment describe(RawClient& client, const Target& target) {
    return client.call(Describe{target}).value().segment.value();
}

inline bool exists(RawClient& client, const Target& target) {
    return !client.call(Describe{target}).is_error();
}

inline std::int64_t attachments_of(ServiceManager& manager, std::int64_t id) {
    RawClient control(manager.control_socket());
    return static_cast<std::int64_t>(control.call(GetSegment{with_id(id)}).value().segment->attachments.size());
}

// Waits, by the daemon's own word, until nobody is attached to it.
inline void await_no_attachments(ServiceManager& manager, std::int64_t id) {
    auto deadline = std::chrono::steady_clock::now() + patience;
    while (attachments_of(manager, id) > 0) {
        if (std::chrono::steady_clock::now() > deadline) fail("somebody stays attached");
    }
}

}  // namespace shmd::test
