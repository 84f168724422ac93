#include "workers.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <asio/co_spawn.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>

namespace shmd {
namespace {

constexpr int low_priority = 10;
// Not SCHED_IDLE: a thread that hardly ever runs may stop while it holds what the event loop needs (the kernel's mmap_lock).
constexpr int lowest_priority = 15;
constexpr std::int64_t large_bytes = 32 << 20;

asio::awaitable<Result<void>> take_step(MemoryWork& work) {
    co_return work.step();
}

asio::awaitable<std::optional<std::variant<Call, Violation>>> take_in(std::string_view message, Endpoint endpoint) {
    co_return decode_call(message, endpoint);
}

}  // namespace

Workers::Workers() {
    // Linux: the priority of a thread, by its thread id.
    auto step_back = [](int priority) {
        return [priority] { ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), priority); };
    };
    asio::post(large_, step_back(low_priority));
    asio::post(small_, step_back(low_priority));
    asio::post(ahead_, step_back(lowest_priority));
}

Workers::~Workers() {
    for (asio::thread_pool* pool : {&large_, &small_, &ahead_}) pool->stop();
    for (asio::thread_pool* pool : {&large_, &small_, &ahead_}) pool->join();
}

asio::awaitable<Result<void>> Workers::step(MemoryWork& work) {
    asio::thread_pool& pool = work.goal() > large_bytes ? large_ : small_;
    return asio::co_spawn(pool, take_step(work), asio::use_awaitable);
}

asio::awaitable<std::optional<std::variant<Call, Violation>>> Workers::decode(std::string_view message,
                                                                              Endpoint endpoint) {
    return asio::co_spawn(small_, take_in(message, endpoint), asio::use_awaitable);
}

asio::awaitable<Result<void>> Workers::step_ahead(MemoryWork& work) {
    return asio::co_spawn(ahead_, take_step(work), asio::use_awaitable);
}

void Workers::release(std::shared_ptr<Memory> memory) {
    if (!memory || memory->size() <= MemoryWork::quick_bytes) return;
    asio::post(large_, [owned = std::move(memory)]() mutable { owned.reset(); });
}

void Workers::discard(std::shared_ptr<Memory> memory) {
    if (!memory) return;
    if (memory->size() <= MemoryWork::quick_bytes) return memory->drop_pages();
    asio::post(large_, [owned = std::move(memory)]() mutable {
        owned->drop_pages();
        owned.reset();
    });
}

}  // namespace shmd
