// The thread for what takes long: reserving and freeing large memory. It runs at low priority and takes work in turns
// of bounded length, so that it delays neither the event loop nor other work for long.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/thread_pool.hpp>
#include <memory>

#include "memory.hpp"

namespace shmd {

class Workers {
  public:
    Workers();
    ~Workers();
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    /// One step of a reservation, on the thread. The reservation must live until this is done.
    asio::awaitable<Result<void>> step(Reservation& reservation);

    /// Frees memory. Returns at once.
    void release(std::shared_ptr<Memory> memory);

  private:
    asio::thread_pool pool_{1};
};

}  // namespace shmd
