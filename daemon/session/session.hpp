// One connection, from its first byte to its end: reads a message, has it handled, sends the answer, reads the next.
// Knows sockets, time and the event loop; what a call means is the handlers' matter.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "frame.hpp"
#include "handlers.hpp"
#include "log_limit.hpp"
#include "process_watch.hpp"
#include "quota.hpp"
#include "workers.hpp"

namespace shmd {

/// What all sessions share. Outlives them.
struct SessionContext {
    Handlers& handlers;
    Quota& quota;
    Workers& workers;
    LogLimit& log;
};

class Session : public std::enable_shared_from_this<Session> {
  public:
    using Socket = asio::local::stream_protocol::socket;

    /// process: the peer's. charge: the connection on the peer's account.
    Session(Socket socket, std::shared_ptr<ProcessWatch> process, Peer peer, Endpoint endpoint, Charge charge,
            SessionContext& context);
    ~Session();

    /// Begins to serve. on_end is called once, from the event loop, when all that the peer held has ended.
    void start(std::function<void(Session&)> on_end);

    /// Ends the session soon.
    void close();

    /// Closes a connection whose peer began a message before this moment and has not ended it.
    void close_if_stalled(std::chrono::steady_clock::time_point before);

  private:
    asio::awaitable<void> run();
    asio::awaitable<bool> receive();
    asio::awaitable<bool> serve(std::string_view message);
    asio::awaitable<Outcome> create(std::unique_ptr<PendingCreate> pending);
    asio::awaitable<Outcome> wait_for_key(const Call& call, WaitForKey wait);
    asio::awaitable<bool> send_listing(Listing listing);
    asio::awaitable<bool> send(Frame frame);
    asio::awaitable<bool> wait_until_read();
    asio::awaitable<void> yield();

    Outcome handle(const Call& call);
    bool charge_buffer();
    bool too_many_unread_fds();
    void complain(std::string_view what);

    Socket socket_;
    std::shared_ptr<ProcessWatch> process_;
    ProcessWatch::Place death_callback_;
    SessionContext& context_;
    Client client_;
    Charge connection_charge_;
    Charge buffer_charge_;
    FrameReader reader_{0};
    FrameWriter writer_;
    int unread_fds_ = 0;  // sent since the peer was last known to have read everything
    bool peer_gone_ = false;
    std::optional<std::chrono::steady_clock::time_point> message_began_;
    std::function<void(Session&)> on_end_;
};

}  // namespace shmd
