#include "channel.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "instance.hpp"

namespace shmd::node {
namespace {

// As many as one message can carry (SCM_MAX_FD): more are never owed to us.
constexpr std::size_t max_descriptors = 253;
constexpr std::size_t chunk_bytes = 65536;
// So that one busy socket does not keep the loop from the others.
constexpr int reads_at_once = 4;

}  // namespace

Napi::Function Channel::define(Napi::Env env) {
    return DefineClass(
        env, "Channel",
        {InstanceMethod<&Channel::connect>("connect"), InstanceMethod<&Channel::send>("send"),
         InstanceMethod<&Channel::pause>("pause"), InstanceMethod<&Channel::resume>("resume"),
         InstanceMethod<&Channel::ref>("ref"), InstanceMethod<&Channel::unref>("unref"),
         InstanceMethod<&Channel::close>("close"), InstanceMethod<&Channel::take_descriptor>("takeDescriptor"),
         InstanceMethod<&Channel::drop_descriptors>("dropDescriptors"), InstanceAccessor<&Channel::written>("written"),
         InstanceAccessor<&Channel::lost_descriptors>("lostDescriptors")});
}

// (path): 0 or an errno value. EAGAIN: the daemon has no room for one more at this moment.
Napi::Value Channel::connect(const Napi::CallbackInfo& info) {
    std::string path = info[0].As<Napi::String>();
    auto result = [&](int error) { return Napi::Number::New(info.Env(), error); };
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.find('\0') != std::string::npos) return result(EINVAL);
    if (path.size() >= sizeof address.sun_path) return result(ENAMETOOLONG);
    std::memcpy(address.sun_path, path.data(), path.size());

    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return result(errno);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return result(errno);

    uv_loop_t* loop = nullptr;
    napi_get_uv_event_loop(info.Env(), &loop);
    auto poll = std::make_unique<Poll>();
    int status = uv_poll_init(loop, &poll->handle, socket.get());
    if (status != 0) return result(-status);
    poll_ = poll.release();
    poll_->channel = this;
    poll_->instance = &Instance::of(info.Env());
    poll_->handle.data = poll_;
    poll_->instance->polls.insert(poll_);
    socket_ = std::move(socket);
    if (!wanted_) uv_unref(reinterpret_cast<uv_handle_t*>(&poll_->handle));
    watch();
    return result(0);
}

void Channel::shut() noexcept {
    if (!poll_) return;
    Poll* poll = std::exchange(poll_, nullptr);
    poll->channel = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&poll->handle), [](uv_handle_t* handle) {
        auto* gone = static_cast<Poll*>(handle->data);
        Instance* instance = gone->instance;
        instance->polls.erase(gone);
        delete gone;
        instance->end_if_done();
    });
    socket_.reset();
    queue_.clear();
    descriptors_.clear();
}

void Channel::watch() {
    if (!poll_) return;
    int events = (paused_ ? 0 : UV_READABLE) | (queue_.empty() ? 0 : UV_WRITABLE);
    uv_poll_start(&poll_->handle, events, on_ready);
}

void Channel::on_ready(uv_poll_t* handle, int status, int events) {
    Channel* channel = static_cast<Poll*>(handle->data)->channel;
    if (!channel) return;
    Napi::HandleScope scope(channel->Env());
    // Nobody else may hold it: what is called could be all that is left of it.
    [[maybe_unused]] Napi::Object keep = channel->Value();
    try {
        // libuv stops at an error, such as a reset, and names it EBADF: the socket itself tells more, and what came before.
        if (status != 0) events = UV_READABLE;
        if (events & UV_WRITABLE) channel->flush();
        if (events & UV_READABLE) channel->read();
        if (status != 0) channel->watch();
    } catch (const Napi::Error& error) {
        // Thrown by what was called; or the thread is being ended, and then nothing can be told.
        napi_fatal_exception(error.Env(), error.Value());
    }
}

// (bytes): sends what the kernel takes now and keeps the rest for later, in order.
void Channel::send(const Napi::CallbackInfo& info) {
    auto bytes = info[0].As<Napi::Uint8Array>();
    if (!poll_ || deaf_) return;
    queue_.emplace_back(reinterpret_cast<const char*>(bytes.Data()), bytes.ByteLength());
    if (queue_.size() == 1) flush();
}

void Channel::flush() {
    while (!queue_.empty()) {
        const std::string& first = queue_.front();
        ssize_t sent = ::send(socket_.get(), first.data() + sent_, first.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
        if (sent < 0) {
            // What the peer said before it hung up can still be read, and then the end.
            deaf_ = true;
            paused_ = false;
            queue_.clear();
            break;
        }
        written_ += sent;
        sent_ += static_cast<std::size_t>(sent);
        if (sent_ < first.size()) continue;
        queue_.pop_front();
        sent_ = 0;
    }
    watch();
}

void Channel::read() {
    static thread_local std::array<char, chunk_bytes> bytes;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * max_descriptors)> control;
    for (int i = 0; i < reads_at_once && poll_ && !paused_; i++) {
        iovec part{bytes.data(), bytes.size()};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        ssize_t length = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
        if (length < 0) return end(errno == ECONNRESET ? 0 : errno);
        if (!take_from(message)) return end(EMSGSIZE);
        if (length == 0) return end(0);
        call("onData", Napi::Buffer<char>::Copy(Env(), bytes.data(), static_cast<std::size_t>(length)));
        if (static_cast<std::size_t>(length) < bytes.size()) return;
    }
}

// The descriptors that came. False when there are more than a peer can owe us.
bool Channel::take_from(const msghdr& message) {
    for (auto* each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(const_cast<msghdr*>(&message), each)) {
        if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
        std::size_t count = (each->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; i++) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(each) + i * sizeof fd, sizeof fd);
            descriptors_.emplace_back(fd);
        }
    }
    if (message.msg_flags & MSG_CTRUNC) lost_descriptors_ = true;
    return descriptors_.size() <= max_descriptors;
}

void Channel::end(int error) {
    // Those that came before can still be taken by the replies that name them.
    std::deque<UniqueFd> left = std::move(descriptors_);
    shut();
    descriptors_ = std::move(left);
    call("onEnd", Napi::Number::New(Env(), error));
}

void Channel::call(const char* name, napi_value argument) {
    Napi::Value function = Value().Get(name);
    if (function.IsFunction()) function.As<Napi::Function>().MakeCallback(Value(), {argument});
}

void Channel::pause(const Napi::CallbackInfo&) {
    if (deaf_) return;
    paused_ = true;
    watch();
}

void Channel::resume(const Napi::CallbackInfo&) {
    paused_ = false;
    watch();
}

void Channel::ref(const Napi::CallbackInfo&) {
    if (std::exchange(wanted_, true)) return;
    Ref();
    if (poll_) uv_ref(reinterpret_cast<uv_handle_t*>(&poll_->handle));
}

void Channel::unref(const Napi::CallbackInfo&) {
    if (!std::exchange(wanted_, false)) return;
    Unref();
    if (poll_) uv_unref(reinterpret_cast<uv_handle_t*>(&poll_->handle));
}

void Channel::close(const Napi::CallbackInfo&) {
    shut();
}

Napi::Value Channel::take_descriptor(const Napi::CallbackInfo& info) {
    if (descriptors_.empty()) return info.Env().Undefined();
    UniqueFd first = std::move(descriptors_.front());
    descriptors_.pop_front();
    return Descriptor::make(info.Env(), std::move(first));
}

// Bytes that the kernel has taken, of all that were sent.
Napi::Value Channel::written(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(written_));
}

// True once the kernel dropped descriptors on their way in, as it does when this process may open no more files.
Napi::Value Channel::lost_descriptors(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), lost_descriptors_);
}

}  // namespace shmd::node
