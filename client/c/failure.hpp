// What goes wrong in a call, from where it arises to shmd_last_error(). Knows the errno value of every Varlink error
// and the words for it; knows nothing of sockets.
#pragma once

#include <cassert>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "messages.hpp"
#include "shmd/shmd.h"

namespace shmd::client {

/// Whether the connection ended under a call, and how far the call had come.
enum class Lost {
    no,
    unsent,      // the daemon has not seen the whole request: it did nothing
    unanswered,  // the request may have been carried out
};

struct Failure {
    int code;             // a positive errno value
    std::string message;  // why; in_context() puts what was tried before it
    std::string name{};   // the Varlink error, empty when it arose here
    std::string parameters = "{}";
    Lost lost = Lost::no;
};

/// "cannot TRIED: why".
[[nodiscard]] Failure in_context(Failure failure, std::string_view tried);

/// An error reply in our words.
[[nodiscard]] Failure from_remote(const RemoteError& error);

/// An answer that makes no sense.
[[nodiscard]] Failure nonsense(std::string why);

/// A value, or the Failure in its place.
template <typename T>
class [[nodiscard]] Outcome {
  public:
    Outcome(T&& value) : state_(std::in_place_index<0>, std::move(value)) {}
    Outcome(const T& value) : state_(std::in_place_index<0>, value) {}
    Outcome(Failure failure) : state_(std::in_place_index<1>, std::move(failure)) {}

    explicit operator bool() const { return state_.index() == 0; }
    T& operator*() { return assert(*this), *std::get_if<0>(&state_); }
    T* operator->() { return &**this; }
    Failure& failure() { return assert(!*this), *std::get_if<1>(&state_); }

  private:
    std::variant<T, Failure> state_;
};

/// Makes it the last error of this thread. Returns the negative code that the C function returns.
int report(const Failure& failure) noexcept;
/// The same without need of memory. The text is static.
int report(int code, const char* message) noexcept;

/// The last error of this thread.
const shmd_error& last_error() noexcept;

}  // namespace shmd::client
