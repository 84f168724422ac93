// What shmd.h's types are, and how its functions keep exceptions and cancellation inside.
#pragma once

#include <pthread.h>

#include <cerrno>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <string>

#include "client.hpp"
#include "failure.hpp"
#include "open_segment.hpp"
#include "shmd/shmd.h"

struct shmd_client {
    std::unique_ptr<shmd::client::Client> client;
};

struct shmd_segment {
    std::unique_ptr<shmd::client::OpenSegment> segment;
};

struct shmd_watch {
    std::unique_ptr<shmd::client::Watch> watch;
};

namespace shmd::client {

inline int null_pointer() noexcept {
    return report(EINVAL, "an argument is a null pointer where none may be");
}

inline constexpr const char* no_timeout = "a timeout is -1 for no end, 0, or a number of microseconds";

/// Keeps pthread_cancel(3) out of a call: it would unwind through what must not be left half done.
class NotCancelled {
  public:
    NotCancelled() { ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
    NotCancelled(const NotCancelled&) = delete;
    NotCancelled& operator=(const NotCancelled&) = delete;
    ~NotCancelled() { ::pthread_setcancelstate(before_, nullptr); }

  private:
    int before_ = PTHREAD_CANCEL_ENABLE;
};

/// Runs what may throw.
template <typename Function>
int guarded(const Function& function) noexcept {
    NotCancelled guard;
    try {
        return function();
    } catch (const std::bad_alloc&) {
        return report(ENOMEM, "there is no memory left in this process");
    } catch (const std::exception& error) {
        return report(Failure{EPROTO, std::string("something unforeseen happened: ") + error.what()});
    }
}

}  // namespace shmd::client
