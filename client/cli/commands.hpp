// One function a command. Each talks to the daemon, prints what it found, and throws Failure when it cannot.
#pragma once

#include <chrono>
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
    CreateOptions options{.mode = SHMD_MODE_DEFAULT};
};
void create(const Common& common, const CreateRequest& request);

void stat(const Common& common, const std::string& key);

void list(const Common& common, const std::string& prefix);

/// The System V segments of all users, as ipcs(1) shows them.
void list_system_v(const Common& common);

/// Goes on after a key that fails, having complained, and says at the end how it went.
[[nodiscard]] Exit remove(const Common& common, const std::vector<std::string>& keys);

/// Prints a line an event until the daemon goes.
void watch(const Common& common, const std::string& prefix);

/// Returns when the key is there. No timeout: waits without an end.
void wait(const Common& common, const std::string& key, std::optional<std::chrono::microseconds> timeout);

/// A document with its line break, safe for terminals.
void print_json(const std::string& document);

// In changes.cpp. Those with several keys go on after one that fails, as remove() does.

struct ChangeRequest {
    std::vector<std::string> keys;
    Attributes attributes{};
};
[[nodiscard]] Exit change(const Common& common, const ChangeRequest& request);
[[nodiscard]] Exit seal(const Common& common, const std::vector<std::string>& keys);
[[nodiscard]] Exit renew(const Common& common, const std::vector<std::string>& keys);
void resize(const Common& common, const std::string& key, std::uint64_t size);

struct AclRequest {
    std::string key;
    std::vector<AclEntry> add{};
    std::vector<AclEntry> remove{};  // whatever their access
    bool clear = false;
};
/// Shows the entries when there is nothing to change.
void acl(const Common& common, const AclRequest& request);

// In exec.cpp:

struct ExecRequest {
    std::vector<std::string> program{};  // and its arguments
    bool fallback = false;               // to the kernel, when no daemon answers
};
/// Becomes the program. Throws Failure, with the status of env(1) when it cannot be run.
void exec(const Common& common, const ExecRequest& request);

// In synchronize.cpp:

struct LockRequest {
    enum class Kind { mutex, read, write };
    std::string key;
    Kind kind = Kind::mutex;
    std::optional<std::chrono::microseconds> timeout{};
    bool repair = false;                 // the command repairs what a dead holder may have left
    std::vector<std::string> command{};  // and its arguments
};
/// Runs the command under the lock. Its exit status.
[[nodiscard]] Exit lock(const Common& common, const LockRequest& request);

/// Prints the new version.
void notify(const Common& common, const std::string& key);

struct VersionWait {
    std::string key;
    std::optional<std::uint64_t> after{};  // none: the version that is there
    std::optional<std::chrono::microseconds> timeout{};
};
/// Prints the version that has come.
void wait_for_version(const Common& common, const VersionWait& request);

// In administration.cpp:

void status(const Common& common);
void usage(const Common& common);
void list_all(const Common& common, const std::string& prefix);
void who(const Common& common, const std::string& key);
[[nodiscard]] Exit remove_by_force(const Common& common, const std::vector<std::string>& keys);
void evict(const Common& common, std::optional<std::uint64_t> bytes);
void disconnect(const Common& common, std::int64_t pid);
void reload(const Common& common);
void set_log_level(const Common& common, const std::string& level);
void drain(const Common& common, bool enable);

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

struct PublishRequest {
    std::string key;
    std::string file = "-";
    CreateOptions options{.mode = SHMD_MODE_DEFAULT};
    bool replace = true;
    bool seal = false;
};
void publish(const Common& common, const PublishRequest& request);

}  // namespace shmd::cli
