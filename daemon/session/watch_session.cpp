// Watch: what a session does from the call on until its connection ends.
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <utility>

#include "session.hpp"

namespace shmd {
namespace {

constexpr std::size_t batch_bytes = 16 << 10;
constexpr int segments_a_turn = 256;

void append(std::string& batch, std::string_view text) {
    if (!batch.empty()) batch.push_back('\0');
    batch += text;
}

void append(std::string& batch, const WatchReply& reply) {
    append(batch, encode_reply(reply, true));
}

}  // namespace

asio::awaitable<bool> Session::watch(Watching watching) {
    // Shared with what outlives this: the wait for the peer's end may be called when all else is gone.
    auto wake = std::make_shared<asio::steady_timer>(socket_.get_executor());
    Watcher watcher(context_.handlers.registry().watchers(), context_.quota, watching.prefix, client_.peer,
                    [wake] { wake->cancel(); });
    auto self = shared_from_this();
    auto gone = [self, wake](asio::error_code) {
        self->peer_gone_ = true;
        wake->cancel();
    };
    socket_.async_wait(Socket::wait_error, gone);

    bool sent = co_await send_present(watching.prefix);
    while (sent && !peer_gone_) {
        if (watcher.idle()) {
            wake->expires_at(asio::steady_timer::time_point::max());
            asio::error_code ignored;
            co_await wake->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        } else if (watcher.take_lost()) {
            co_await context_.streams.take(client_.peer.uid);
            std::string lost;
            append(lost, WatchReply{Event::lost, std::nullopt});
            sent = co_await send_batch(std::move(lost));
            if (sent) sent = co_await send_present(watching.prefix);
        } else {
            sent = co_await send_events(watcher);
        }
    }
    co_return false;
}

// Everything that is there. What happens meanwhile waits in the watcher: an event may tell of what was told already.
asio::awaitable<bool> Session::send_present(const std::string& prefix) {
    Listing listing{prefix};
    for (bool more = true; more;) {
        co_await context_.streams.take(client_.peer.uid);
        std::string batch;
        int budget = segments_a_turn;
        while (budget > 0 && batch.size() < batch_bytes) {
            auto next = context_.handlers.list_next(client_, listing, budget);
            if (!next) break;
            append(batch, WatchReply{Event::present, std::move(std::get<SegmentReply>(*next).segment)});
            budget--;
        }
        more = budget == 0 || batch.size() >= batch_bytes;
        if (!more) append(batch, WatchReply{Event::ready, std::nullopt});
        if (!batch.empty()) {
            bool sent = co_await send_batch(std::move(batch));
            if (!sent) co_return false;
        }
        if (more) co_await yield();
    }
    co_return true;
}

asio::awaitable<bool> Session::send_events(Watcher& watcher) {
    co_await context_.streams.take(client_.peer.uid);
    std::string batch;
    while (batch.size() < batch_bytes) {
        auto event = watcher.take();
        if (!event) break;
        if (event->text.empty()) event->text = encode_reply(*event, true);
        append(batch, event->text);
    }
    bool sent = co_await send_batch(std::move(batch));
    if (sent) co_await yield();
    co_return sent;
}

asio::awaitable<bool> Session::send_batch(std::string batch) {
    if (!socket_.is_open()) co_return false;
    Frame frame{std::move(batch)};
    if (send(std::move(frame)) == Progress::ended) co_return false;
    bool flushed = co_await flush();
    co_return flushed;
}

}  // namespace shmd
