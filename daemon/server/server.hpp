// The event loop, the listening sockets, and the sessions. Accepts connections, identifies who is there, and refuses
// those over the limit.
#pragma once

#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "blanks.hpp"
#include "handlers.hpp"
#include "lease_timer.hpp"
#include "lingering.hpp"
#include "listener.hpp"
#include "log_limit.hpp"
#include "process_watch.hpp"
#include "quota.hpp"
#include "registry.hpp"
#include "restoration.hpp"
#include "service_manager.hpp"
#include "session.hpp"
#include "spare_memory.hpp"
#include "workers.hpp"

namespace shmd {

/// What can be changed while the server runs.
struct Settings {
    Limits limits;
    KeyPolicy policy{};
    /// How long a message may take from its first byte to its last.
    std::chrono::seconds message_timeout{30};
    std::string log_level = "info";
    PageSize page_size = PageSize::any;
    std::int64_t ready_bytes = 0;
};

struct ServerOptions {
    Settings settings;
    /// Reads the settings anew. Throws std::runtime_error with a text for people.
    std::function<Settings()> reload{};
};

class Server {
  public:
    /// From here on SIGTERM and SIGINT are caught.
    explicit Server(const ServerOptions& options);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// Keeps segments beyond this process from now on: up to so many in the service manager's store, the journal in this
    /// directory. Takes up what an earlier daemon left. To be called before run(). Throws std::runtime_error.
    void keep_segments(const std::string& directory, std::size_t capacity, StoredFds stored);

    /// Serves on these until SIGTERM or SIGINT. Tells systemd when it is ready and when it stops.
    void run(std::vector<Listener> listeners);

  private:
    using Acceptor = asio::local::stream_protocol::acceptor;

    asio::awaitable<void> accept(Acceptor& acceptor, Endpoint endpoint);
    asio::awaitable<void> watch_stalled();
    void admit(UniqueFd socket, Endpoint endpoint);
    Result<std::shared_ptr<ProcessWatch>> watch_process(int socket, const Peer& peer);
    void warn(const char* what, const char* why) noexcept;
    void refuse(int socket, const Error& error);
    void apply(const Settings& settings);
    std::optional<std::string> reload();
    int disconnect(std::int32_t pid);
    void await_hangup();
    void take(Remains remains);
    asio::awaitable<void> look_after_memory();
    asio::awaitable<void> make_ready_memory();
    bool give_up_descriptors();
    std::int64_t give_back(std::vector<std::shared_ptr<Memory>> memories);
    void stop(int signal);

    ServerOptions options_;
    asio::io_context loop_{1};
    LogLimit log_;
    Quota quota_;
    Workers workers_;
    Blanks blanks_;
    struct Keeping {
        Keeping(std::size_t capacity, asio::io_context& loop, Registry& registry, Blanks& source);
        FdStore store;
        BlankPool blanks;
        Recorder recorder;
    };
    std::optional<Keeping> keeping_;  // outlives all that is kept
    Lingering lingering_;
    Registry registry_;
    Handlers handlers_;
    Turns streams_, calls_;
    SessionContext context_;
    ProcessWatches processes_;
    std::vector<std::unique_ptr<Acceptor>> acceptors_;
    std::unordered_set<std::shared_ptr<Session>> sessions_;
    asio::signal_set signals_;
    asio::signal_set hangup_;
    asio::steady_timer stall_timer_;
    asio::steady_timer memory_timer_;
    asio::steady_timer ready_timer_;
    SpareMemory spare_;
    LeaseTimer leases_;
    ServiceManager service_manager_;
    bool stopping_ = false;
};

}  // namespace shmd
