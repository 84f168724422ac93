// The C interface as the cases use it: what fails ends the run with the library's own words.
#pragma once

#include <shmd/shmd.h>

#include <cstdint>
#include <memory>
#include <string>

#include "process.hpp"

namespace shmd::bench {

inline void check(int status) {
    if (status < 0) test::fail(shmd_last_error()->message);
}

struct Disconnect {
    void operator()(shmd_client* client) const { shmd_disconnect(client); }
};
using LibClient = std::unique_ptr<shmd_client, Disconnect>;

struct CloseSegment {
    void operator()(shmd_segment* segment) const { shmd_close(segment); }
};
using LibSegment = std::unique_ptr<shmd_segment, CloseSegment>;

[[nodiscard]] inline LibClient connect_to(const std::string& socket) {
    shmd_client* client = nullptr;
    check(shmd_connect(socket.c_str(), &client));
    return LibClient(client);
}

inline LibSegment create_segment(shmd_client* client, const char* key, std::uint64_t size,
                                 shmd_reserve reserve = SHMD_RESERVE_ALLOCATE,
                                 shmd_lifetime lifetime = SHMD_LIFETIME_PERSISTENT) {
    shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
    options.reserve = reserve;
    options.lifetime = lifetime;
    shmd_segment* segment = nullptr;
    check(shmd_create(client, key, size, &options, &segment));
    return LibSegment(segment);
}

/// Opens for reading, reads the first byte, closes.
inline void open_and_touch(shmd_client* client, const char* key) {
    shmd_segment* segment = nullptr;
    check(shmd_open(client, key, SHMD_READ, &segment));
    (void)*static_cast<volatile char*>(shmd_data(segment));
    shmd_close(segment);
}

}  // namespace shmd::bench
