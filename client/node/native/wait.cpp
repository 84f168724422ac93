#include "wait.hpp"

#include <pthread.h>
#include <signal.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "instance.hpp"

namespace shmd::node {
namespace {

// A thread of ours takes none of the program's signals.
class SignalsBlocked {
  public:
    SignalsBlocked() noexcept {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;
    ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  private:
    sigset_t before_{};
};

}  // namespace

Waiting::Waiting(std::shared_ptr<Area> mapped, Waits& waits)
    : area(std::move(mapped)), sleeper([this, &waits] { waits.tell_long(*this); }) {}

void Waiting::run() {
    shmd_sync& sync = area->sync();
    switch (what) {
        case What::lock:
            if (lock == Lock::read) result = read_lock(sync, sleeper);
            else if (lock == Lock::write) result = write_lock(sync, sleeper);
            else result = lock_word(&sync.area->mutex, sync.attachment, sleeper);
            break;
        case What::version: result = wait_for_version(sync, after, &version, sleeper); break;
        case What::snapshot: result = node::snapshot(sync, target, source.data, length, sleeper); break;
    }
    if (sleeper.cancelled()) give_back();
}

void Waiting::give_back() {
    if (what == What::lock && result >= 0) (void)area->unlock(lock);
    result = -ECANCELED;
}

// ---- All waits ----

int Waits::begin(Napi::Env env, const std::shared_ptr<Waiting>& waiting) {
    if (!open_) {
        uv_loop_t* loop = nullptr;
        napi_get_uv_event_loop(env, &loop);
        if (int status = uv_async_init(loop, &told_, on_told); status != 0) return -status;
        told_.data = this;
        open_ = true;
    }
    try {
        SignalsBlocked blocked;
        waiting->thread = std::thread([this, waiting] { run(waiting); });
    } catch (const std::system_error& error) {
        if (running_.empty()) uv_unref(reinterpret_cast<uv_handle_t*>(&told_));
        return error.code().value();
    }
    running_.insert(waiting);
    uv_ref(reinterpret_cast<uv_handle_t*>(&told_));
    return 0;
}

void Waits::run(const std::shared_ptr<Waiting>& waiting) {
    waiting->run();
    std::lock_guard lock(mutex_);
    waiting->done = true;
    uv_async_send(&told_);
}

void Waits::tell_long(Waiting& waiting) {
    std::lock_guard lock(mutex_);
    waiting.slept_long = true;
    uv_async_send(&told_);
}

void Waits::cancel(Waiting& waiting) {
    waiting.sleeper.cancel();
    std::lock_guard lock(mutex_);
    // Before anything else happens, as the end of the attachment.
    if (waiting.done) waiting.give_back();
}

void Waits::on_told(uv_async_t* handle) {
    static_cast<Waits*>(handle->data)->tell();
}

void Waits::tell() {
    std::vector<std::shared_ptr<Waiting>> done, late;
    {
        std::lock_guard lock(mutex_);
        for (const auto& each : running_) {
            if (each->done) done.push_back(each);
            else if (std::exchange(each->slept_long, false)) late.push_back(each);
        }
    }
    // What is called may cancel the others, and begin new ones.
    for (const auto& each : done) {
        finish(each);
        if (each->wait) each->wait->on_end();
    }
    for (const auto& each : late) {
        if (each->wait) each->wait->on_long();
    }
}

void Waits::finish(const std::shared_ptr<Waiting>& waiting) {
    waiting->thread.join();
    if (waiting->sleeper.cancelled()) waiting->give_back();
    running_.erase(waiting);
    if (running_.empty() && open_) uv_unref(reinterpret_cast<uv_handle_t*>(&told_));
}

void Waits::end() {
    for (const auto& each : running_) each->sleeper.cancel();
    while (!running_.empty()) {
        auto each = *running_.begin();
        each->wait = nullptr;
        finish(each);
    }
    if (!open_) return;
    uv_close(reinterpret_cast<uv_handle_t*>(&told_), [](uv_handle_t* handle) {
        auto* waits = static_cast<Waits*>(handle->data);
        waits->open_ = false;
        waits->instance_.end_if_done();
    });
}

// ---- One wait ----

Napi::Function Wait::define(Napi::Env env) {
    return DefineClass(env, "Wait",
                       {InstanceMethod<&Wait::lock>("lock"), InstanceMethod<&Wait::version>("version"),
                        InstanceMethod<&Wait::snapshot>("snapshot"), InstanceMethod<&Wait::cancel>("cancel")});
}

Wait::~Wait() {
    if (waiting_) waiting_->wait = nullptr;
}

// (syncArea, lock): for a lock. 0 or an errno value, as for the others: no thread can be had.
Napi::Value Wait::lock(const Napi::CallbackInfo& info) {
    auto waiting = make(info, Waiting::What::lock);
    waiting->lock = static_cast<Lock>(info[1].As<Napi::Number>().Int32Value());
    return begin(info.Env(), std::move(waiting));
}

// (syncArea, after): for a version above this one.
Napi::Value Wait::version(const Napi::CallbackInfo& info) {
    auto waiting = make(info, Waiting::What::version);
    waiting->after = static_cast<std::uint64_t>(info[1].As<Napi::Number>().Int64Value());
    return begin(info.Env(), std::move(waiting));
}

// (syncArea, mapping, offset, target): for a snapshot. The target is to be kept until the end, also when it is cancelled.
Napi::Value Wait::snapshot(const Napi::CallbackInfo& info) {
    auto waiting = make(info, Waiting::What::snapshot);
    auto target = info[3].As<Napi::Uint8Array>();
    waiting->source = Mapping::Unwrap(info[1].As<Napi::Object>())->range(info[2], target.ByteLength());
    waiting->target = reinterpret_cast<std::byte*>(target.Data());
    waiting->length = target.ByteLength();
    return begin(info.Env(), std::move(waiting));
}

// Nothing is called any more, and what it locks is unlocked.
void Wait::cancel(const Napi::CallbackInfo& info) {
    if (waiting_) Instance::of(info.Env()).waits.cancel(*waiting_);
}

std::shared_ptr<Waiting> Wait::make(const Napi::CallbackInfo& info, Waiting::What what) {
    if (waiting_) throw Napi::Error::New(info.Env(), "it has begun already");
    auto* area = SyncArea::Unwrap(info[0].As<Napi::Object>());
    auto waiting = std::make_shared<Waiting>(area->area(), Instance::of(info.Env()).waits);
    waiting->what = what;
    return waiting;
}

Napi::Value Wait::begin(Napi::Env env, std::shared_ptr<Waiting> waiting) {
    waiting->wait = this;
    int error = Instance::of(env).waits.begin(env, waiting);
    if (error == 0) {
        waiting_ = std::move(waiting);
        Ref();
    }
    return Napi::Number::New(env, error);
}

void Wait::on_long() {
    if (!waiting_->sleeper.cancelled()) call("onLong", {});
}

void Wait::on_end() {
    Napi::HandleScope scope(Env());
    // Nobody else may hold it.
    [[maybe_unused]] Napi::Object keep = Value();
    auto waiting = std::exchange(waiting_, nullptr);
    Unref();
    if (waiting->sleeper.cancelled()) return;
    call("onEnd", {Napi::Number::New(Env(), waiting->result),
                   Napi::Number::New(Env(), static_cast<double>(waiting->version))});
}

void Wait::call(const char* name, const std::vector<napi_value>& arguments) {
    Napi::HandleScope scope(Env());
    try {
        Napi::Value function = Value().Get(name);
        if (function.IsFunction()) function.As<Napi::Function>().MakeCallback(Value(), arguments);
    } catch (const Napi::Error& error) {
        // Thrown by what was called; or the thread is being ended, and then nothing can be told.
        napi_fatal_exception(error.Env(), error.Value());
    }
}

}  // namespace shmd::node
