// Owners for the handles of shmd.h, for tests. What they ask for must succeed.
#pragma once

#include <doctest/doctest.h>
#include <shmd/shmd.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "daemon_fixture.hpp"

namespace {

class Segment {
  public:
    explicit Segment(shmd_segment* segment) : segment_(segment) {}
    Segment(Segment&& other) noexcept : segment_(std::exchange(other.segment_, nullptr)) {}
    Segment& operator=(Segment&&) = delete;
    ~Segment() { close(); }

    [[nodiscard]] shmd_segment* get() const { return segment_; }
    [[nodiscard]] char* data() const { return static_cast<char*>(shmd_data(segment_)); }
    void close() { shmd_close(std::exchange(segment_, nullptr)); }

  private:
    shmd_segment* segment_;
};

class Client {
  public:
    explicit Client(const shmd::test::Daemon& daemon) : Client(daemon.socket()) {}
    explicit Client(const std::string& socket) {
        if (shmd_connect(socket.c_str(), &client_) != 0) refused();
    }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client() { disconnect(); }

    [[nodiscard]] shmd_client* get() const { return client_; }
    void disconnect() { shmd_disconnect(std::exchange(client_, nullptr)); }

    Segment create(const char* key, std::uint64_t size, const shmd_create_options* options = nullptr) {
        shmd_segment* segment = nullptr;
        if (shmd_create(client_, key, size, options, &segment) != 0) refused();
        return Segment(segment);
    }
    Segment open(const char* key, shmd_access access) {
        shmd_segment* segment = nullptr;
        if (shmd_open(client_, key, access, &segment) != 0) refused();
        return Segment(segment);
    }
    std::uint64_t attachments(const char* key) {
        shmd_info* info = nullptr;
        if (shmd_describe(client_, key, &info) != 0) refused();
        std::uint64_t count = info->attachments;
        shmd_info_free(info);
        return count;
    }
    std::vector<std::string> keys(const char* prefix) {
        shmd_info* first = nullptr;
        if (shmd_list(client_, prefix, &first) != 0) refused();
        std::vector<std::string> all;
        for (const shmd_info* info = first; info; info = info->next) all.emplace_back(info->key);
        shmd_info_free(first);
        return all;
    }

  private:
    [[noreturn]] static void refused() { shmd::test::fail(shmd_last_error()->message); }

    shmd_client* client_ = nullptr;
};

}  // namespace
