#include "turns.hpp"

#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <new>

namespace shmd {

asio::awaitable<void> Turns::take(std::uint32_t group) {
    Group& mine = groups_[group];
    if (mine.taken < at_a_time_) {
        mine.taken++;
    } else {
        auto called = std::make_shared<asio::steady_timer>(executor_, asio::steady_timer::time_point::max());
        mine.waiting.push_back(called);
        asio::error_code ignored;
        co_await called->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    try {
        asio::post(executor_, [this, group] { give_back(group); });
    } catch (const std::bad_alloc&) {
        give_back(group);
        throw;
    }
}

// To the next who waits, or to nobody.
void Turns::give_back(std::uint32_t group) {
    auto place = groups_.find(group);
    Group& its = place->second;
    if (!its.waiting.empty()) {
        its.waiting.front()->cancel();
        its.waiting.pop_front();
    } else if (--its.taken == 0) {
        groups_.erase(place);
    }
}

}  // namespace shmd
