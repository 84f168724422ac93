#include "session.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <asio/co_spawn.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

#include "limits.hpp"
#include "system_v_errors.hpp"

namespace shmd {
namespace {

// How often it is looked whether a peer has read: soon at first, then ever more seldom.
constexpr auto first_look = std::chrono::milliseconds(10);
constexpr auto seldom_look = std::chrono::milliseconds(640);
constexpr auto patience_with_others = std::chrono::seconds(2);
// Buffers up to this size are the daemon's own affair; larger ones are charged to the peer.
constexpr std::size_t free_buffer_bytes = 8 << 10;
constexpr std::size_t listing_batch_bytes = 16 << 10;
constexpr int listing_budget = 256;
constexpr std::size_t detached_a_turn = 64;
constexpr int most_turns_of_leaving = 4096;
// Reading a message of this size takes as long as some opens.
constexpr std::size_t large_message_bytes = 32 << 10;

// How many descriptors the answer may bring.
int most_fds(const Call& call) {
    if (!call.body) return 0;
    if (auto* create = std::get_if<CreateMany>(&*call.body)) return static_cast<int>(create->segments.size());
    if (auto* open = std::get_if<OpenMany>(&*call.body)) return static_cast<int>(open->targets.size());
    bool one = std::holds_alternative<Create>(*call.body) || std::holds_alternative<Open>(*call.body) ||
               std::holds_alternative<OpenSyncArea>(*call.body) || std::holds_alternative<OpenDetachQueue>(*call.body) ||
               std::holds_alternative<system_v::Attach>(*call.body) ||
               std::holds_alternative<system_v::Changes>(*call.body);
    return one ? 1 : 0;
}

}  // namespace

Session::Session(Socket socket, std::shared_ptr<ProcessWatch> process, Peer peer, Endpoint endpoint, Charge charge,
                 SessionContext& context)
    : socket_(std::move(socket)),
      process_(std::move(process)),
      context_(context),
      client_(std::move(peer), endpoint, process_, context.handlers.number_connection()),
      connection_charge_(std::move(charge)),
      unread_(context.quota, client_.peer.uid) {
    // EOF does not tell of a peer's death while a child of its holds the socket too. What the peer sent before is still
    // read; then the shutdown looks like EOF.
    death_watch_ = process_->when_dead([this] { on_death(); });
    process_->count_connection(1);
    if (!process_->thought_alive()) ::shutdown(socket_.native_handle(), SHUT_RDWR);
}

Session::~Session() {
    count_as_leaving(false);
    process_->count_connection(-1);
    context_.handlers.end(client_);
}

void Session::start(std::function<void(Session&)> on_end) {
    on_end_ = std::move(on_end);
    auto ended = [self = shared_from_this()](std::exception_ptr failure) {
        try {
            if (failure) std::rethrow_exception(failure);
        } catch (const std::exception& error) {
            self->complain(error.what());
        }
        self->leave(first_look);
    };
    asio::co_spawn(socket_.get_executor(), run(), std::move(ended));
}

void Session::on_death() {
    context_.handlers.died(client_);
    hang_up();
}

void Session::hang_up() {
    ::shutdown(socket_.native_handle(), SHUT_RDWR);
}

void Session::close() {
    asio::error_code ignored;
    socket_.close(ignored);
    if (look_timer_) look_timer_->cancel();
}

void Session::count_as_leaving(bool leaving) {
    if (leaving == is_leaving_) return;
    is_leaving_ = leaving;
    context_.leaving += leaving ? 1 : -1;
}

// What the peer held ends a part at a time, while others are served. The session ends only when the peer has read what it
// was granted, or can no more.
void Session::leave(std::chrono::milliseconds look_after) {
    bool holds_more = context_.handlers.end(client_, detached_a_turn);
    count_as_leaving(holds_more);
    if (holds_more) {
        return asio::post(socket_.get_executor(), [self = shared_from_this()] { self->leave(first_look); });
    }
    unread_.sent(0);
    if (socket_.is_open() && unread_.count() > 0 && !unread_.all_read(socket_.native_handle())) {
        hang_up();
        look_timer(look_after).async_wait([self = shared_from_this(), look_after](asio::error_code) {
            self->leave(std::min(2 * look_after, seldom_look));
        });
        return;
    }
    close();
    on_end_(*this);
}

// A peer that is silent after a batch: what it has read must not stay on its account.
void Session::look_for_reading(std::chrono::milliseconds after) {
    look_timer(after).async_wait([weak = weak_from_this(), after](asio::error_code error) {
        auto self = weak.lock();
        if (error || !self || !self->socket_.is_open() || self->unread_.all_read(self->socket_.native_handle())) return;
        self->look_for_reading(std::min(2 * after, seldom_look));
    });
}

asio::steady_timer& Session::look_timer(std::chrono::milliseconds after) {
    if (!look_timer_) look_timer_ = std::make_unique<asio::steady_timer>(socket_.get_executor());
    look_timer_->expires_after(after);
    return *look_timer_;
}

void Session::close_if_stalled(std::chrono::steady_clock::time_point before) {
    if (!message_began_ || *message_began_ > before) return;
    complain("a message that was begun and not ended in time");
    hang_up();
}

void Session::complain(std::string_view what) noexcept try {
    context_.log.warn("connection closed: " + std::string(what),
                      {client_.peer.uid, client_.peer.pid, {}, message_id::client_cut_off});
} catch (const std::exception&) {
    // No memory for a warning.
}

asio::awaitable<void> Session::run() {
    for (;;) {
        Progress progress = Progress::done;
        if (auto message = reader_.next()) {
            if (shares_turns()) {
                co_await context_.calls.take(static_cast<std::uint32_t>(client_.peer.pid));
                if (!socket_.is_open()) co_return;
            }
            bool is_large = message->size() > large_message_bytes;
            progress = is_large ? co_await serve_large(*message) : serve(*message);
            if (progress == Progress::waiting) progress = co_await finish() ? Progress::done : Progress::ended;
            if (reader_.has_buffered()) co_await yield();
        } else {
            note_message_start();
            asio::error_code error;
            co_await socket_.async_wait(Socket::wait_read, asio::redirect_error(asio::use_awaitable, error));
            progress = error ? Progress::ended : receive();
        }
        if (progress == Progress::ended) co_return;
    }
}

// Gives every other connection that is ready a turn.
asio::awaitable<void> Session::yield() {
    co_await asio::post(socket_.get_executor(), asio::use_awaitable);
}

// The same, and whoever else of the same process was ahead has had one then.
asio::awaitable<void> Session::next_turn() {
    co_await yield();
    if (shares_turns()) co_await context_.calls.take(static_cast<std::uint32_t>(client_.peer.pid));
}

// Nobody knows which process has id 0.
bool Session::shares_turns() const {
    return process_->connections() > context_.calls.at_a_time() && client_.peer.pid != 0;
}

// What was ready when this began is done when it ends: the loop asks the kernel between two posts, and takes what it is told
// before the next one. More than 128 at a time need more.
asio::awaitable<void> Session::serve_others() {
    for (int i = 0; i < 3; i++) co_await yield();
    // They leave side by side; whoever begins to after that may be waited for too, but not for ever.
    for (int i = 0; i < most_turns_of_leaving && context_.leaving > 0; i++) co_await yield();
    client_.others_were_served = true;
}

void Session::note_message_start() {
    if (!reader_.has_buffered()) {
        message_began_.reset();
        buffer_charge_.release();
    } else if (!message_began_) {
        message_began_ = std::chrono::steady_clock::now();
    }
}

Session::Progress Session::receive() {
    switch (reader_.read_from(socket_.native_handle(), MSG_DONTWAIT)) {
        case IoStatus::done:
            return charge_buffer() ? Progress::done : Progress::ended;
        case IoStatus::would_block:
            return Progress::done;
        case IoStatus::closed:
            return Progress::ended;
        case IoStatus::too_large:
            complain("a message over the limit of " + std::to_string(limits::message_bytes) + " bytes");
            return Progress::ended;
        case IoStatus::failed:
            break;
    }
    throw std::system_error(errno, std::generic_category(), "recvmsg");
}

// Many half messages of one user must not fill the daemon.
bool Session::charge_buffer() {
    buffer_charge_.release();
    if (reader_.capacity() <= free_buffer_bytes) return true;
    auto charge =
        context_.quota.charge(client_.peer.uid, Resource::message_bytes, static_cast<std::int64_t>(reader_.capacity()));
    if (!charge) {
        complain("too many bytes of unfinished messages");
        return false;
    }
    buffer_charge_ = *std::move(charge);
    return true;
}

Outcome Session::handle(const Call& call) {
    Outcome outcome = [&]() -> Outcome {
        try {
            return context_.handlers.handle(client_, call);
        } catch (const std::bad_alloc&) {
            return Error::out_of_memory(0);
        }
    }();
    client_.others_were_served = false;
    put_in_terms_of(call, outcome);
    return outcome;
}

// The parent made this connection; its end is not the child's. Who sends the next message is told by the kernel.
void Session::await_child() {
    int on = 1;
    if (::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) return;
    death_watch_.reset();
    reader_.want_sender();
}

void Session::become_child() {
    auto pid = reader_.sender();
    if (!client_.for_child || !pid || *pid == client_.peer.pid) return;
    process_->count_connection(-1);
    process_ = context_.processes.watch(*pid);
    process_->count_connection(1);
    death_watch_ = process_->when_dead([this] { on_death(); });
    context_.handlers.become(client_, process_, *pid);
    if (!process_->thought_alive()) hang_up();
}

Session::Progress Session::serve(std::string_view message) {
    message_began_.reset();
    auto decoded = decode_call(message, client_.endpoint);
    return serve(decoded);
}

Session::Progress Session::serve(std::variant<Call, Violation>& decoded) {
    if (auto* violation = std::get_if<Violation>(&decoded)) {
        complain(violation->reason);
        return Progress::ended;
    }
    Call& call = std::get<Call>(decoded);
    // Before it is granted: grants that wait here would use up the daemon's descriptors.
    if (int fds = most_fds(call); fds > 0 && unread_.reserve(socket_.native_handle(), fds) != Room::made) {
        unfinished_ = std::make_unique<Unfinished>(std::move(call), std::nullopt);
        return Progress::waiting;
    }
    bool was_for_child = client_.for_child;
    if (call.body && std::holds_alternative<system_v::Claim>(*call.body)) become_child();
    Outcome outcome = handle(call);
    if (client_.for_child && !was_for_child) await_child();
    if (std::holds_alternative<Answer>(outcome) || std::holds_alternative<Error>(outcome)) {
        if (!call.flags.oneway) return answer(outcome);
        unread_.sent(0);
        return Progress::done;
    }
    unfinished_ = std::make_unique<Unfinished>(std::move(call), std::move(outcome));
    return Progress::waiting;
}

// Of the outcome nothing is left.
Session::Progress Session::answer(Outcome& outcome) {
    if (auto* good = std::get_if<Answer>(&outcome)) {
        return send(Frame{encode_reply(good->body), std::move(good->fds)});
    }
    const Error& error = std::get<Error>(outcome);
    if (logs(LogLevel::debug)) note_refusal(error);
    return send(Frame{encode_error(error)});
}

void Session::note_refusal(const Error& error) {
    std::string text = "refused: " + std::string(error_name(error.code));
    if (error.text) text += " (" + *error.text + ")";
    LogFields about{client_.peer.uid, client_.peer.pid};
    bool names_key = error.code == ErrorCode::no_such_segment || error.code == ErrorCode::segment_exists;
    if (names_key && error.text) about.key = *error.text;
    log(LogLevel::debug, text, about);
}

Session::Progress Session::send(Frame&& frame) {
    int fds = static_cast<int>(frame.fds.size());
    unread_.sent(fds);
    if (fds > 1) look_for_reading(first_look);
    writer_.start(std::move(frame));
    switch (writer_.write_to(socket_.native_handle(), MSG_DONTWAIT)) {
        case IoStatus::done:
            return Progress::done;
        case IoStatus::would_block:
            return Progress::waiting;
        case IoStatus::closed:
            return Progress::ended;
        default:
            // ETOOMANYREFS: too many descriptors of ours wait unread. EPERM: the peer takes none (SO_PASSRIGHTS).
            throw std::system_error(errno, std::generic_category(), "sendmsg");
    }
}

// The rest of a call that must wait: for its outcome, for the peer to read, or for room in the socket.
asio::awaitable<bool> Session::finish() {
    if (auto work = std::move(unfinished_)) {
        if (!work->outcome) {
            Room room = co_await wait_for_room(most_fds(work->call));
            if (room == Room::not_read) co_return false;
            work->outcome = room == Room::made ? handle(work->call) : unread_.user_is_full();
        }
        Outcome& outcome = *work->outcome;
        if (auto* wait = std::get_if<WaitForKey>(&outcome)) outcome = co_await wait_for_key(work->call, *wait);
        if (std::holds_alternative<ServeOthersFirst>(outcome)) {
            co_await serve_others();
            outcome = handle(work->call);
        }
        while (auto* opening = std::get_if<std::unique_ptr<Opening>>(&outcome)) {
            outcome = co_await go_on(std::move(*opening));
        }
        while (auto* creation = std::get_if<std::unique_ptr<Creation>>(&outcome)) {
            outcome = co_await create(std::move(*creation));
        }
        if (auto* area = std::get_if<NewSyncArea>(&outcome)) outcome = co_await finish_sync_area(std::move(*area));
        if (auto* resizing = std::get_if<std::unique_ptr<Resizing>>(&outcome)) {
            outcome = co_await resize(std::move(*resizing));
        }
        if (peer_gone_) co_return false;
        if (work->call.flags.oneway) {
            unread_.sent(0);
            co_return true;
        }
        if (auto* listing = std::get_if<Listing>(&outcome)) co_return co_await send_listing(std::move(*listing));
        if (auto* watching = std::get_if<Watching>(&outcome)) co_return co_await watch(std::move(*watching));
        put_in_terms_of(work->call, outcome);
        Progress progress = answer(outcome);
        if (progress != Progress::waiting) co_return progress == Progress::done;
    }
    co_return co_await flush();
}

// Sends what is left of the message that the writer has.
asio::awaitable<bool> Session::flush() {
    for (;;) {
        if (writer_.idle()) co_return true;
        asio::error_code error;
        co_await socket_.async_wait(Socket::wait_write, asio::redirect_error(asio::use_awaitable, error));
        if (error || writer_.write_to(socket_.native_handle(), MSG_DONTWAIT) >= IoStatus::closed) co_return false;
    }
}

asio::awaitable<Outcome> Session::wait_for_key(const Call& call, WaitForKey wait) {
    auto self = shared_from_this();
    asio::steady_timer wake(socket_.get_executor());
    // Far enough for anybody, and no overflow.
    auto limit = std::chrono::hours(24 * 365);
    auto asked = std::chrono::microseconds(wait.wait_usec);
    auto deadline = std::chrono::steady_clock::now() + std::min<std::chrono::microseconds>(asked, limit);

    auto waker = std::make_shared<asio::steady_timer*>(&wake);
    // Also when the session is being closed; but not when the wait is over and cancels this.
    auto hung_up = [self, weak = std::weak_ptr(waker)](asio::error_code) {
        auto timer = weak.lock();
        if (!timer) return;
        self->peer_gone_ = true;
        (*timer)->cancel();
    };
    socket_.async_wait(Socket::wait_error, hung_up);

    Outcome outcome = Error::no_such_segment(wait.key, std::nullopt);
    while (!peer_gone_ && std::chrono::steady_clock::now() < deadline) {
        Registry::Ticket ticket(context_.handlers.registry(), wait.key, [&wake] { wake.cancel(); });
        wake.expires_at(deadline);
        asio::error_code ignored;
        co_await wake.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        outcome = handle(call);
        if (!std::holds_alternative<WaitForKey>(outcome)) break;
        outcome = Error::no_such_segment(wait.key, std::nullopt);
    }
    asio::error_code ignored;
    socket_.cancel(ignored);
    co_return outcome;
}

asio::awaitable<bool> Session::send_listing(Listing listing) {
    std::string batch;
    std::optional<ReplyBody> current;
    bool any = false;
    for (;;) {
        int budget = listing_budget;
        auto next = context_.handlers.list_next(client_, listing, budget);
        bool at_end = !next && budget > 0;
        if (next || at_end) {
            if (current) {
                if (!batch.empty()) batch.push_back('\0');
                batch += encode_reply(*current, !at_end);
                any = true;
            }
            current = std::move(next);
        }
        if (at_end && !any) batch = encode_reply(SegmentReply{});
        if (at_end || batch.size() > listing_batch_bytes) {
            Frame frame{std::exchange(batch, {})};
            if (send(std::move(frame)) == Progress::ended) co_return false;
            bool sent = co_await flush();
            if (!sent || at_end) co_return sent;
            co_await next_turn();
        } else if (budget == 0) {
            co_await next_turn();
        }
    }
}

// True when the peer can read nothing any more, and when this session is being closed. A peer that only ended its own
// sending still reads.
bool Session::hung_up() const {
    if (!socket_.is_open()) return true;
    // Asio's handle is not const.
    pollfd state{const_cast<Socket&>(socket_).native_handle(), 0, 0};
    return ::poll(&state, 1, 0) > 0;
}

// Waits for as long as this peer does not read, but not so long for others of its user. not_read: it has gone.
asio::awaitable<Session::Room> Session::wait_for_room(int fds) {
    asio::steady_timer timer(socket_.get_executor());
    auto others_until = std::chrono::steady_clock::now() + patience_with_others;
    for (auto after = first_look;; after = std::min(2 * after, seldom_look)) {
        Room room = unread_.reserve(socket_.native_handle(), fds);
        bool waited = room == Room::user_full && std::chrono::steady_clock::now() > others_until;
        if (room == Room::made || waited) co_return room;
        timer.expires_after(after);
        asio::error_code error;
        co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
        if (error || hung_up()) co_return Room::not_read;
    }
}

}  // namespace shmd
