#include "workers.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <asio/co_spawn.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>

namespace shmd {
namespace {

constexpr int low_priority = 10;
constexpr std::int64_t quick_to_free = 4 << 20;

asio::awaitable<Result<void>> take_step(Reservation& reservation) {
    co_return reservation.step();
}

}  // namespace

Workers::Workers() {
    // Linux: the priority of a thread, by its thread id.
    asio::post(pool_, [] { ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), low_priority); });
}

Workers::~Workers() {
    pool_.stop();
    pool_.join();
}

asio::awaitable<Result<void>> Workers::step(Reservation& reservation) {
    return asio::co_spawn(pool_, take_step(reservation), asio::use_awaitable);
}

void Workers::release(std::shared_ptr<Memory> memory) {
    if (!memory || memory->size() <= quick_to_free) return;
    asio::post(pool_, [owned = std::move(memory)]() mutable { owned.reset(); });
}

}  // namespace shmd
