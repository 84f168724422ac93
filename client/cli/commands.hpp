// One function a command. Each talks to the daemon, prints what it found, and throws Failure when it cannot.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <shmd/shmd.hpp>

#include "errors.hpp"

namespace shmd::cli {

/// The options of every command.
struct Common {
    std::string socket;          // empty: look for it
    std::string control_socket;  // empty: the one that belongs to the socket
    bool json = false;
};

/// A client of the Segments socket. Throws Failure.
[[nodiscard]] Client connect(const Common& common);

/// The failure of a call on this segment, with what the daemon says of it where that helps.
[[nodiscard]] Failure explained(Client& client, const Error& error, const std::string& typed_key, Action action);

struct CreateRequest {
    std::string key;  // keys here are as they were typed
    std::uint64_t size = 0;
    CreateOptions options{};
};
void create(const Common& common, const CreateRequest& request);

void stat(const Common& common, const std::string& key);

void list(const Common& common, const std::string& prefix);

/// Goes on after a key that fails, having complained, and says at the end how it went.
[[nodiscard]] Exit remove(const Common& common, const std::vector<std::string>& keys);

void status(const Common& common);
void usage(const Common& common);

// In transfer.cpp:

struct WriteRequest {
    std::string key;
    std::uint64_t offset = 0;
    std::string file = "-";  // "-": standard input
};
void write(const Common& common, const WriteRequest& request);

struct ReadRequest {
    std::string key;
    std::uint64_t offset = 0;
    std::optional<std::uint64_t> length{};  // none: up to the end
};
void read(const Common& common, const ReadRequest& request);

}  // namespace shmd::cli
