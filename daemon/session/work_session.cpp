// What a session does for calls that take long: reading a large message, opening and making many segments in turns with
// other connections, reserving memory, resizing, and waiting for the service manager to keep something.
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <new>
#include <utility>

#include "session.hpp"

namespace shmd {

// All steps of it, on a thread, unless the peer goes. Not done then.
asio::awaitable<Result<void>> Session::carry_out(MemoryWork& work) {
    Result<void> stepped;
    while (stepped && !work.done() && !hung_up()) stepped = co_await context_.workers.step(work);
    co_return stepped;
}

// Until the service manager has all of its memory. Ends early only when this daemon does.
template <typename New>
asio::awaitable<Result<void>> Session::keep(New& creation) {
    struct Wait {
        explicit Wait(const asio::any_io_executor& executor) : timer(executor, asio::steady_timer::time_point::max()) {}
        asio::steady_timer timer;
        bool over = false;
    };
    auto wait = std::make_shared<Wait>(socket_.get_executor());
    std::function<void()> done = [wait] {
        wait->over = true;
        wait->timer.cancel();
    };
    auto begun = context_.handlers.keep(creation, done);
    if (!begun) co_return begun;
    while (!wait->over) {
        asio::error_code ignored;
        co_await wait->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    co_return begun;
}

// The reader keeps the message: nothing is received meanwhile.
asio::awaitable<Session::Progress> Session::serve_large(std::string_view message) {
    message_began_.reset();
    auto decoded = co_await context_.workers.decode(message, client_.endpoint);
    co_return socket_.is_open() ? serve(*decoded) : Progress::ended;
}

// The next part of it, after everybody else's turn.
template <typename Work>
asio::awaitable<Outcome> Session::go_on(std::unique_ptr<Work> work) {
    co_await next_turn();
    peer_gone_ = !socket_.is_open();
    if (peer_gone_) co_return Error::out_of_memory(0);  // for nobody to see
    try {
        co_return context_.handlers.go_on(client_, std::move(work));
    } catch (const std::bad_alloc&) {
        co_return Error::out_of_memory(0);
    }
}
template asio::awaitable<Outcome> Session::go_on(std::unique_ptr<Opening> work);

asio::awaitable<Outcome> Session::create(std::unique_ptr<Creation> creation) {
    if (!creation->is_prepared()) {
        Outcome next = co_await go_on(std::move(creation));
        co_return next;
    }
    // Whether it becomes a segment or not, what is large is not freed here.
    std::vector<std::shared_ptr<Memory>> memories;
    Outcome outcome = Error::out_of_memory(0);  // for nobody to see: the peer has gone
    bool reserved = true;
    for (NewSegment& segment : creation->segments) {
        if (!segment.memory) continue;
        memories.push_back(segment.memory);
        auto done = co_await carry_out(*segment.reservation);
        if (!done) outcome = std::move(done).error();
        reserved = reserved && segment.reservation->done();
        if (!reserved) break;
    }
    if (reserved && context_.handlers.must_keep(*creation)) {
        auto kept = co_await keep(*creation);
        if (!kept) outcome = std::move(kept).error();
        reserved = kept.has_value();
    }
    peer_gone_ = hung_up();
    if (reserved && !peer_gone_) outcome = context_.handlers.finish(client_, std::move(creation));
    creation.reset();
    for (std::shared_ptr<Memory>& memory : memories) context_.workers.release(std::move(memory));
    co_return outcome;
}

asio::awaitable<Outcome> Session::finish_sync_area(NewSyncArea area) {
    auto kept = co_await keep(area);
    peer_gone_ = hung_up();
    if (!kept) co_return std::move(kept).error();
    if (peer_gone_) co_return Error::out_of_memory(0);  // for nobody to see
    co_return context_.handlers.finish(client_, std::move(area));
}

// To its end, also when the peer has gone meanwhile.
asio::awaitable<Outcome> Session::resize(std::unique_ptr<Resizing> resizing) {
    Result<void> done;
    while (done && !resizing->work->done()) done = co_await context_.workers.step(*resizing->work);
    if (done) co_return context_.handlers.finish(std::move(resizing));
    // What was reserved of it goes back.
    Trim surplus(*resizing->memory, resizing->old_size_bytes, resizing->size_bytes);
    if (resizing->size_bytes > resizing->old_size_bytes) {
        Result<void> trimmed;
        while (trimmed && !surplus.done()) trimmed = co_await context_.workers.step(surplus);
    }
    co_return std::move(done).error();
}

}  // namespace shmd
