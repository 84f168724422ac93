// One connection, from its first byte to its end: reads a message, has it handled, sends the answer, reads the next.
// The usual call is served by plain functions between two waits of run(); only what must wait goes through finish().
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
#include "turns.hpp"
#include "unread_grants.hpp"
#include "workers.hpp"

namespace shmd {

/// What all sessions share. Outlives them.
struct SessionContext {
    Handlers& handlers;
    Quota& quota;
    Workers& workers;
    LogLimit& log;
    ProcessWatches& processes;
    Turns& streams;           // of what one user's watchers are told
    Turns& calls;             // of the calls of one process that has many connections
    std::size_t leaving = 0;  // sessions of which some attachments have not ended yet
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

    /// Lets the peer see the end of the file; the session ends when it has served what was sent before.
    void hang_up();
    void on_death();

    [[nodiscard]] std::int32_t pid() const { return client_.peer.pid; }

    /// Closes a connection whose peer began a message before this moment and has not ended it.
    void close_if_stalled(std::chrono::steady_clock::time_point before);

  private:
    using Room = UnreadGrants::Room;

    /// How far one step of the work came.
    enum class Progress {
        done,
        waiting,  // finish() does the rest
        ended,    // the connection is over
    };

    asio::awaitable<void> run();
    asio::awaitable<bool> finish();
    asio::awaitable<Progress> serve_large(std::string_view message);
    template <typename Work>
    asio::awaitable<Outcome> go_on(std::unique_ptr<Work> work);
    asio::awaitable<Outcome> create(std::unique_ptr<Creation> creation);
    asio::awaitable<Outcome> resize(std::unique_ptr<Resizing> resizing);
    asio::awaitable<Result<void>> carry_out(MemoryWork& work);
    asio::awaitable<Outcome> finish_sync_area(NewSyncArea area);
    template <typename New>
    asio::awaitable<Result<void>> keep(New& creation);
    asio::awaitable<Outcome> wait_for_key(const Call& call, WaitForKey wait);
    asio::awaitable<bool> send_listing(Listing listing);
    asio::awaitable<bool> watch(Watching watching);
    asio::awaitable<bool> send_events(Watcher& watcher);
    asio::awaitable<bool> send_present(const std::string& prefix);
    asio::awaitable<bool> send_batch(std::string batch);
    asio::awaitable<bool> flush();
    asio::awaitable<Room> wait_for_room(int fds);
    asio::awaitable<void> yield();
    asio::awaitable<void> next_turn();
    asio::awaitable<void> serve_others();

    [[nodiscard]] bool shares_turns() const;
    Progress receive();
    Progress serve(std::string_view message);
    Progress serve(std::variant<Call, Violation>& decoded);
    Progress answer(Outcome& outcome);
    Progress send(Frame&& frame);
    Outcome handle(const Call& call);
    void await_child();
    void become_child();
    void note_message_start();
    bool charge_buffer();
    void leave(std::chrono::milliseconds look_after);
    void count_as_leaving(bool leaving);
    void look_for_reading(std::chrono::milliseconds after);
    asio::steady_timer& look_timer(std::chrono::milliseconds after);
    [[nodiscard]] bool hung_up() const;
    void complain(std::string_view what) noexcept;
    void note_refusal(const Error& error);

    Socket socket_;
    std::shared_ptr<ProcessWatch> process_;
    SessionContext& context_;
    Client client_;
    bool is_leaving_ = false;
    std::shared_ptr<void> death_watch_;
    Charge connection_charge_;
    Charge buffer_charge_;
    FrameReader reader_{0};
    FrameWriter writer_;
    /// What serve() could not do without waiting; rarely there, so that an idle connection is small.
    struct Unfinished {
        Call call;
        std::optional<Outcome> outcome;  // none: to be carried out when the peer has read earlier grants
    };
    std::unique_ptr<Unfinished> unfinished_;
    UnreadGrants unread_;
    std::unique_ptr<asio::steady_timer> look_timer_;
    bool peer_gone_ = false;
    std::optional<std::chrono::steady_clock::time_point> message_began_;
    std::function<void(Session&)> on_end_;
};

}  // namespace shmd
