// One file descriptor that JavaScript holds: closed when it is told to, when it is collected, and with its environment.
#pragma once

#include <napi.h>

#include <utility>

namespace shmd::node {

class UniqueFd {
  public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) noexcept : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        reset(std::exchange(other.fd_, -1));
        return *this;
    }
    ~UniqueFd() { reset(); }

    [[nodiscard]] int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    void reset(int fd = -1) noexcept;

  private:
    int fd_ = -1;
};

class Descriptor : public Napi::ObjectWrap<Descriptor> {
  public:
    static Napi::Function define(Napi::Env env);
    /// Takes the descriptor over.
    static Napi::Object make(Napi::Env env, UniqueFd fd);
    explicit Descriptor(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

  private:
    void close(const Napi::CallbackInfo&) { fd_.reset(); }
    Napi::Value inspect(const Napi::CallbackInfo& info);

    UniqueFd fd_;
};

}  // namespace shmd::node
