// One Unix socket on the event loop of its environment: bytes out, bytes and descriptors in, nothing that blocks. Knows
// nothing of messages.
#pragma once

#include <napi.h>
#include <uv.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "descriptor.hpp"

namespace shmd::node {

class Channel;
struct Instance;

/// What libuv needs for as long as it has the handle, which is longer than a Channel may live.
struct Poll {
    uv_poll_t handle{};
    Channel* channel = nullptr;
    Instance* instance = nullptr;
};

/// JavaScript sets two properties on it: onData(bytes) and onEnd(errno), 0 being an end of file. After onEnd nothing more
/// comes. An idle one keeps neither itself nor the process alive; one that ref() was called on does.
class Channel : public Napi::ObjectWrap<Channel> {
  public:
    static Napi::Function define(Napi::Env env);
    explicit Channel(const Napi::CallbackInfo& info) : ObjectWrap(info) {}
    ~Channel() override { shut(); }

    /// Closes the socket and lets go of the handle. May be repeated.
    void shut() noexcept;

  private:
    Napi::Value connect(const Napi::CallbackInfo& info);
    void send(const Napi::CallbackInfo& info);
    void pause(const Napi::CallbackInfo&);
    void resume(const Napi::CallbackInfo&);
    void ref(const Napi::CallbackInfo&);
    void unref(const Napi::CallbackInfo&);
    void close(const Napi::CallbackInfo&);
    Napi::Value take_descriptor(const Napi::CallbackInfo& info);
    void drop_descriptors(const Napi::CallbackInfo&) { descriptors_.clear(); }
    Napi::Value written(const Napi::CallbackInfo& info);
    Napi::Value lost_descriptors(const Napi::CallbackInfo& info);

    static void on_ready(uv_poll_t* handle, int status, int events);
    void watch();
    void flush();
    void read();
    bool take_from(const struct msghdr& message);
    void end(int error);
    void call(const char* name, napi_value argument);

    Poll* poll_ = nullptr;  // null: not connected, or shut
    UniqueFd socket_;
    std::deque<std::string> queue_;  // what the kernel has not taken; of the first one, sent_ bytes are gone
    std::size_t sent_ = 0;
    std::int64_t written_ = 0;
    bool deaf_ = false;  // the peer takes nothing any more
    bool paused_ = false;
    bool wanted_ = false;
    std::deque<UniqueFd> descriptors_;
    bool lost_descriptors_ = false;
};

}  // namespace shmd::node
