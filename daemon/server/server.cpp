#include "server.hpp"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <asio/co_spawn.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <system_error>

#include "peer_credentials.hpp"

namespace shmd {
namespace {

// Connections taken in before those that are there already get a turn.
constexpr int connections_a_turn = 16;
// Without descriptors nobody can be accepted; closing connections give some back.
constexpr auto no_descriptors_pause = std::chrono::milliseconds(100);

void rethrow(std::exception_ptr failure) {
    if (failure) std::rethrow_exception(failure);
}

}  // namespace

Server::Server(const ServerOptions& options)
    : options_(options),
      quota_(options.limits, ::geteuid()),
      registry_([this](std::shared_ptr<Memory> memory) { workers_.release(std::move(memory)); }),
      handlers_(registry_, quota_),
      context_{handlers_, quota_, workers_, log_},
      processes_(loop_.get_executor()),
      signals_(loop_, SIGTERM, SIGINT),
      stall_timer_(loop_) {}

void Server::run(std::vector<Listener> listeners) {
    signals_.async_wait([this](asio::error_code error, int signal) {
        if (!error) stop(signal);
    });
    for (Listener& listener : listeners) {
        acceptors_.push_back(
            std::make_unique<Acceptor>(loop_, asio::local::stream_protocol(), listener.take_socket().release()));
        asio::co_spawn(loop_, accept(*acceptors_.back(), listener.endpoint()), rethrow);
        spdlog::info("listening on {}", listener.path());
    }
    asio::co_spawn(loop_, watch_stalled(), rethrow);
    spdlog::info("ready");
    ::sd_notify(0, "READY=1");
    // What gets out of a handler is a bug: better to end here than to go on with a state that nobody knows.
    [this]() noexcept { loop_.run(); }();
}

void Server::stop(int signal) {
    spdlog::info("{} received, stopping with {} segments", ::strsignal(signal), registry_.size());
    ::sd_notify(0, "STOPPING=1");
    // Everything that waits is told to end; the loop returns when the last has.
    for (auto& acceptor : acceptors_) acceptor->close();
    stopping_ = true;
    stall_timer_.cancel();
    for (const auto& session : sessions_) session->close();
}

asio::awaitable<void> Server::accept(Acceptor& acceptor, Endpoint endpoint) {
    asio::steady_timer pause(loop_);
    for (;;) {
        asio::error_code error;
        co_await acceptor.async_wait(Acceptor::wait_read, asio::redirect_error(asio::use_awaitable, error));
        if (error) co_return;
        for (int i = 0; i < connections_a_turn; i++) {
            UniqueFd socket(::accept4(acceptor.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
            if (socket) {
                admit(std::move(socket), endpoint);
                continue;
            }
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
                warn("cannot accept a connection", std::strerror(errno));
                pause.expires_after(no_descriptors_pause);
                if (stopping_) co_return;
                co_await pause.async_wait(asio::use_awaitable);
            }
            break;
        }
    }
}

void Server::warn(const char* what, const char* why) noexcept try {
    log_.warn(std::string(what) + ": " + why);
} catch (const std::exception&) {
    // No memory for a warning.
}

void Server::admit(UniqueFd socket, Endpoint endpoint) try {
    Peer peer = read_peer(socket.get());
    // Nobody may keep the administrators out.
    auto charge = endpoint == Endpoint::control ? quota_.take(peer.uid, Resource::connections, 1)
                                                : quota_.charge(peer.uid, Resource::connections, 1);
    if (!charge) return refuse(socket.get(), charge.error());
    auto process = watch_process(socket.get(), peer);
    if (!process) return refuse(socket.get(), process.error());

    Session::Socket stream(loop_);
    stream.assign(asio::local::stream_protocol(), socket.get());
    (void)socket.release();
    auto session = std::make_shared<Session>(std::move(stream), *std::move(process), std::move(peer), endpoint,
                                             *std::move(charge), context_);
    sessions_.insert(session);
    session->start([this](Session& ended) { sessions_.erase(ended.shared_from_this()); });
} catch (const std::exception& error) {
    warn("cannot serve a connection", error.what());
}

Result<std::shared_ptr<ProcessWatch>> Server::watch_process(int socket, const Peer& peer) try {
    return processes_.watch(socket, peer);
} catch (const std::system_error& error) {
    if (error.code() != std::errc::too_many_files_open) throw;
    return Memory::no_descriptors();
}

// The client finds this as the reply to its first call.
void Server::refuse(int socket, const Error& error) {
    FrameWriter writer;
    writer.start(Frame{encode_error(error)});
    (void)writer.write_to(socket, MSG_DONTWAIT);
}

asio::awaitable<void> Server::watch_stalled() {
    while (!stopping_) {
        stall_timer_.expires_after(std::max(options_.message_timeout / 4, std::chrono::seconds(1)));
        asio::error_code ignored;
        co_await stall_timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        auto before = std::chrono::steady_clock::now() - options_.message_timeout;
        for (const auto& session : sessions_) session->close_if_stalled(before);
    }
}

}  // namespace shmd
