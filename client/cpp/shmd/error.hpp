// What every call of <shmd/shmd.hpp> throws, and how the C functions are called. Included by it.
#pragma once

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>
#include <system_error>

#include <shmd/shmd.h>

namespace shmd {
inline namespace v0 {

/// A call that failed. code() is the errno value, in std::generic_category().
class Error : public std::system_error {
  public:
    explicit Error(const shmd_error& error)
        : std::system_error(-error.code, std::generic_category(), error.message),
          details_(std::make_shared<const Details>(Details{error.name, error.parameters})) {}

    /// The Varlink error, such as "io.shmd.Segments.NoSuchSegment"; empty when it arose in this process.
    [[nodiscard]] const std::string& name() const noexcept { return details_->name; }
    /// Its parameters, a JSON object.
    [[nodiscard]] const std::string& parameters() const noexcept { return details_->parameters; }

  private:
    struct Details {
        std::string name, parameters;
    };
    std::shared_ptr<const Details> details_;
};

namespace detail {

inline void check(int result) {
    if (result < 0) throw Error(*shmd_last_error());
}

[[noreturn]] inline void refuse(const char* message) {
    throw Error(shmd_error{-EINVAL, "", "{}", message});
}

struct Free {
    void operator()(shmd_client* client) const noexcept { shmd_disconnect(client); }
    void operator()(shmd_segment* segment) const noexcept { shmd_close(segment); }
    void operator()(shmd_watch* watch) const noexcept { shmd_watch_close(watch); }
    void operator()(shmd_info* info) const noexcept { shmd_info_free(info); }
    void operator()(char* text) const noexcept { std::free(text); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

// Calls a C function whose last argument is where its result goes.
template <typename T, typename Function, typename... Arguments>
Owned<T> made_by(Function function, Arguments... arguments) {
    T* made = nullptr;
    check(function(arguments..., &made));
    return Owned<T>(made);
}

}  // namespace detail

}  // namespace v0
}  // namespace shmd
