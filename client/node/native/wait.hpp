// Waiting in a sync area, each wait in a thread of its own: those of Node's pool are few, and others need them.
#pragma once

#include <napi.h>
#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "sleeper.hpp"
#include "sync_area.hpp"

namespace shmd::node {

class Wait;
class Waits;
struct Instance;

/// What a wait is, for its thread and for the loop. It may live longer than the Wait.
struct Waiting {
    enum class What { lock, version, snapshot };

    Waiting(std::shared_ptr<Area> area, Waits& waits);
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    /// In the thread. Whoever cancelled it gets no lock.
    void run();
    /// Gives back what was locked for nobody.
    void give_back();

    std::shared_ptr<Area> area;
    What what = What::lock;
    Lock lock = Lock::mutex;
    std::uint64_t after = 0;
    Mapping::Range source;
    std::byte* target = nullptr;
    std::size_t length = 0;

    Sleeper sleeper;
    std::thread thread;
    int result = 0;             // the thread's until it is done
    std::uint64_t version = 0;  // the thread's until it is done
    Wait* wait = nullptr;       // the loop's
    bool done = false;          // with the mutex of Waits
    bool slept_long = false;        // with the mutex of Waits
};

/// All waits of one environment.
class Waits {
  public:
    explicit Waits(Instance& instance) : instance_(instance) {}

    /// An errno value when there can be no thread.
    int begin(Napi::Env env, const std::shared_ptr<Waiting>& waiting);
    void cancel(Waiting& waiting);
    /// Ends all of them. Nothing is called any more.
    void end();
    /// libuv has handed the handle back.
    [[nodiscard]] bool ended() const { return !open_; }
    /// A wait has slept for long. In its thread.
    void tell_long(Waiting& waiting);

  private:
    static void on_told(uv_async_t* handle);
    void run(const std::shared_ptr<Waiting>& waiting);
    void tell();
    void finish(const std::shared_ptr<Waiting>& waiting);

    Instance& instance_;
    uv_async_t told_{};
    bool open_ = false;
    std::set<std::shared_ptr<Waiting>> running_;  // their threads are not joined yet
    std::mutex mutex_;
};

/// JavaScript sets two properties on it: onLong(), when it has slept for a second, for two more, and so on; and
/// onEnd(result, version), which comes once unless it is cancelled. One that has begun keeps itself and the process alive.
class Wait : public Napi::ObjectWrap<Wait> {
  public:
    static Napi::Function define(Napi::Env env);
    explicit Wait(const Napi::CallbackInfo& info) : ObjectWrap(info) {}
    ~Wait() override;

    void on_long();
    void on_end();

  private:
    Napi::Value lock(const Napi::CallbackInfo& info);
    Napi::Value version(const Napi::CallbackInfo& info);
    Napi::Value snapshot(const Napi::CallbackInfo& info);
    void cancel(const Napi::CallbackInfo& info);
    std::shared_ptr<Waiting> make(const Napi::CallbackInfo& info, Waiting::What what);
    Napi::Value begin(Napi::Env env, std::shared_ptr<Waiting> waiting);
    void call(const char* name, const std::vector<napi_value>& arguments);

    std::shared_ptr<Waiting> waiting_;
};

}  // namespace shmd::node
