#include "stream_turns.hpp"

#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>

namespace shmd {

asio::awaitable<StreamTurns::Turn> StreamTurns::take(const asio::any_io_executor& executor, std::uint32_t uid) {
    User& user = users_[uid];
    if (user.taken < at_a_time) {
        user.taken++;
        co_return Turn(*this, uid);
    }
    auto called = std::make_shared<asio::steady_timer>(executor, asio::steady_timer::time_point::max());
    user.waiting.push_back(called);
    asio::error_code ignored;
    co_await called->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    // Whoever called has left its turn to this one.
    co_return Turn(*this, uid);
}

void StreamTurns::Turn::end() {
    StreamTurns* turns = std::exchange(turns_, nullptr);
    if (!turns) return;
    auto place = turns->users_.find(uid_);
    User& user = place->second;
    if (!user.waiting.empty()) {
        auto next = std::move(user.waiting.front());
        user.waiting.pop_front();
        next->cancel();
    } else if (--user.taken == 0) {
        turns->users_.erase(place);
    }
}

}  // namespace shmd
