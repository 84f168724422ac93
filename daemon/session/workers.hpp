// The threads for what takes long: reserving and freeing memory, the large apart from the rest, and reading large
// messages. They run at low priority and reserve in turns of bounded length, so that they delay neither the event loop
// nor other work for long.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/thread_pool.hpp>
#include <memory>
#include <optional>
#include <string_view>
#include <variant>

#include "memory.hpp"
#include "messages.hpp"

namespace shmd {

class Workers {
  public:
    Workers();
    ~Workers();
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    /// One step of this work, on a thread. It must live until this is done.
    asio::awaitable<Result<void>> step(MemoryWork& work);

    /// decode_call() on a thread; never nothing. The message must stay as it is until this is done.
    asio::awaitable<std::optional<std::variant<Call, Violation>>> decode(std::string_view message, Endpoint endpoint);

    /// The same for what nobody waits for, at the lowest priority and behind nothing else.
    asio::awaitable<Result<void>> step_ahead(MemoryWork& work);

    /// Lets go of memory; if that frees it, not here. Returns at once.
    void release(std::shared_ptr<Memory> memory);
    /// The same for memory that nobody has any more, also not by a descriptor that only names it (O_PATH).
    void discard(std::shared_ptr<Memory> memory);

  private:
    asio::thread_pool large_{1};
    asio::thread_pool small_{1};
    asio::thread_pool ahead_{1};
};

}  // namespace shmd
