#include "server.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <asio/co_spawn.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <system_error>

#include "log.hpp"
#include "peer_credentials.hpp"
#include "size_text.hpp"
#include "spare_memory.hpp"

namespace shmd {
namespace {

// Connections taken in before those that are there already get a turn.
constexpr int connections_a_turn = 16;
// What one user's watchers are told, and what the connections of one process that has more of them ask, in one round of the
// event loop: so many have turns.
constexpr int streams_a_round = 4;
constexpr int calls_a_round = 16;
// Without descriptors nobody can be accepted; closing connections give some back.
constexpr auto no_descriptors_pause = std::chrono::milliseconds(100);

void rethrow(std::exception_ptr failure) {
    if (failure) std::rethrow_exception(failure);
}

}  // namespace

Server::Server(const ServerOptions& options)
    : options_(options),
      quota_(options.settings.limits, ::geteuid()),
      lingering_(workers_),
      registry_([this](Remains remains) { take(std::move(remains)); }),
      handlers_(registry_, quota_, blanks_, options.settings.policy),
      streams_(loop_.get_executor(), streams_a_round),
      calls_(loop_.get_executor(), calls_a_round),
      context_{handlers_, quota_, workers_, log_, processes_, streams_, calls_},
      processes_(loop_.get_executor()),
      signals_(loop_, SIGTERM, SIGINT),
      hangup_(loop_, SIGHUP),
      stall_timer_(loop_),
      memory_timer_(loop_),
      ready_timer_(loop_),
      leases_(loop_, registry_),
      service_manager_(loop_, quota_) {
    apply(options.settings);
    // Now, so that it takes nothing away from clients later. Without it they ask more often.
    (void)registry_.change_page();
    handlers_.set_operations({[this](std::int32_t pid) { return disconnect(pid); }, [this] { return reload(); },
                              set_log_level,
                              [this] { return lingering_.look(); },
                              [this] { return give_back(handlers_.ready_memory().give_back()); },
                              [this] { return give_up_descriptors(); }});
}

Server::Keeping::Keeping(std::size_t capacity, asio::io_context& loop, Registry& registry, Blanks& source)
    : store(capacity, [&loop](std::function<void()> run) { asio::post(loop, std::move(run)); }),
      blanks(store, source),
      recorder(registry, store, blanks) {}

// What is kept stays, whatever is destroyed here.
Server::~Server() {
    if (keeping_) keeping_->recorder.close();
}

void Server::keep_segments(const std::string& directory, std::size_t capacity, StoredFds stored) {
    JournalImage image = JournalImage::read(directory);
    if (!image.found.existed && !stored.empty()) {
        log(LogLevel::error, std::to_string(stored.size()) + " descriptors were passed back, but there is no journal in " + directory,
            {.message_id = message_id::segment_lost});
    }
    if (image.found.damaged_bytes > 0) {
        log(LogLevel::error, std::to_string(image.found.damaged_bytes) + " bytes of the journal in " + directory +
                                 " are damaged and were passed over",
            {.message_id = message_id::segment_lost});
    }
    const Journal::Found old = image.found;
    keeping_.emplace(capacity, loop_, registry_, blanks_);
    Keeping& keeping = *keeping_;
    Restoration restoration({keeping.store, keeping.blanks, keeping.recorder, registry_, quota_, handlers_, processes_});
    restoration.restore(std::move(image), std::move(stored));
    keeping.recorder.start(directory, old);
    registry_.record_to(&keeping.recorder);
    handlers_.keep_with(&keeping.recorder);
    restoration.settle();
    keeping.blanks.fill();
    apply(options_.settings);
    log(LogLevel::info, "segments survive a restart: " + std::to_string(restoration.segments) + " taken up, with " +
                            std::to_string(restoration.attachments) + " attachments; " + std::to_string(restoration.lost) +
                            " lost");
}

void Server::apply(const Settings& settings) {
    options_.settings = settings;
    Limits limits = settings.limits;
    if (keeping_) {
        auto& segments = limits.total[static_cast<std::size_t>(Resource::segments)];
        segments = std::min(segments, static_cast<std::int64_t>(keeping_->store.capacity() - BlankPool::full));
    }
    quota_.set_limits(limits);
    handlers_.set_policy(settings.policy);
    handlers_.set_page_size(settings.page_size);
    handlers_.ready_memory().set_limit(settings.ready_bytes);
    set_log_level(settings.log_level);
}

std::optional<std::string> Server::reload() {
    if (!options_.reload) return "there is nothing to reload";
    std::optional<std::string> wrong;
    service_manager_.reloading();
    try {
        apply(options_.reload());
        log(LogLevel::info, "configuration reloaded");
    } catch (const std::runtime_error& error) {
        wrong = error.what();
        log(LogLevel::error, "configuration not reloaded, all stays as it was: " + *wrong,
            {.message_id = message_id::configuration_refused});
    }
    service_manager_.reloaded();
    return wrong;
}

void Server::await_hangup() {
    hangup_.async_wait([this](asio::error_code error, int) {
        if (error) return;
        (void)reload();
        await_hangup();
    });
}

int Server::disconnect(std::int32_t pid) {
    int connections = 0;
    for (const auto& session : sessions_) {
        if (session->pid() != pid) continue;
        connections++;
        // Later: one of them may be waiting for this answer.
        asio::post(loop_, [session] { session->hang_up(); });
    }
    return connections;
}

void Server::take(Remains remains) {
    bool was_empty = lingering_.empty();
    lingering_.take(std::move(remains));
    // Looked at from now on at short intervals.
    if (was_empty && !lingering_.empty()) memory_timer_.cancel();
}

// Gives back what deleted segments held once nobody has it mapped any more, and drops the evictable before the machine
// runs out of memory.
asio::awaitable<void> Server::look_after_memory() {
    while (!stopping_) {
        memory_timer_.expires_after(lingering_.empty() ? std::chrono::milliseconds(1000) : Lingering::interval);
        asio::error_code ignored;
        co_await memory_timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        for (HeldAttachments* next = registry_.catch_up_some(nullptr); next && !stopping_; next = registry_.catch_up_some(next)) {
            co_await asio::post(loop_, asio::use_awaitable);
        }
        registry_.look_who_is_watched();
        lingering_.look();
        // Memory is freed elsewhere and a little later: no more is given up at a time than what is lacking now.
        std::int64_t evicted = 0;
        std::int64_t lack = registry_.evictable_bytes() > 0 ? low_memory_bytes() - available_memory() : 0;
        while (evicted < lack) {
            std::int64_t bytes = registry_.evict();
            if (bytes == 0) break;
            evicted += bytes;
            co_await asio::post(loop_, asio::use_awaitable);
        }
        if (evicted > 0) {
            log(LogLevel::warning, "memory runs short: evicted " + format_size(evicted),
                {.message_id = message_id::memory_short});
        }
    }
}

std::int64_t Server::give_back(std::vector<std::shared_ptr<Memory>> memories) {
    std::int64_t bytes = 0;
    for (auto& memory : memories) {
        bytes += memory->size();
        workers_.discard(std::move(memory));
    }
    return bytes;
}

bool Server::give_up_descriptors() {
    bool any = blanks_.give_up();
    return (keeping_ && keeping_->blanks.give_up()) || any;
}

// Some time after it was asked for: who has just got some is to have the processors first.
asio::awaitable<void> Server::make_ready_memory() {
    constexpr auto pause = std::chrono::seconds(1);
    ReadyMemory& ready = handlers_.ready_memory();
    while (!stopping_) {
        ready_timer_.expires_after(pause);
        asio::error_code ignored;
        co_await ready_timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        give_back(ready.surplus(boot_usec()));
        if (ready.bytes() > 0 && spare_.bytes(boot_usec()) == 0) give_back(ready.give_back());
        std::unique_ptr<ReadyMemory::Making> making;
        while (!stopping_ && (making = ready.begin(boot_usec()))) {
            Result<void> stepped;
            while (stepped && !stopping_ && !making->reservation->done() && ready.wants(*making, boot_usec())) {
                if (spare_.bytes(boot_usec()) < making->ready.bytes) stepped = Error::out_of_memory(0);
                if (stepped) stepped = co_await workers_.step_ahead(*making->reservation);
            }
            if (making->reservation->done()) {
                ready.add(std::move(making));
                continue;
            }
            workers_.discard(std::move(making->ready.memory));
            making.reset();
            // Until somebody asks again.
            if (!stepped) give_back(ready.give_back());
        }
    }
}

void Server::run(std::vector<Listener> listeners) {
    signals_.async_wait([this](asio::error_code error, int signal) {
        if (!error) stop(signal);
    });
    for (Listener& listener : listeners) {
        acceptors_.push_back(
            std::make_unique<Acceptor>(loop_, asio::local::stream_protocol(), listener.take_socket().release()));
        asio::co_spawn(loop_, accept(*acceptors_.back(), listener.endpoint()), rethrow);
        log(LogLevel::info, "listening on " + listener.path());
    }
    asio::co_spawn(loop_, watch_stalled(), rethrow);
    asio::co_spawn(loop_, look_after_memory(), rethrow);
    asio::co_spawn(loop_, make_ready_memory(), rethrow);
    await_hangup();
    leases_.start();
    if (!keeping_) log(LogLevel::info, "segments end with this process: no service manager keeps them");
    log(LogLevel::info, "ready");
    service_manager_.ready();
    // What gets out of a handler is a bug: better to end here than to go on with a state that nobody knows.
    [this]() noexcept { loop_.run(); }();
}

void Server::stop(int signal) {
    log(LogLevel::info, std::string(::strsignal(signal)) + " received, stopping with " +
                            std::to_string(registry_.size()) + " segments");
    service_manager_.stopping();
    // The service manager would go on holding it.
    for (const auto& memory : handlers_.ready_memory().give_back()) memory->drop_pages();
    // Who is done with something from here on calls, and finds the daemon gone; what was put in a queue before has ended.
    registry_.expect_watcher();
    for (HeldAttachments* next = registry_.catch_up_some(nullptr); next;) next = registry_.catch_up_some(next);
    if (keeping_) keeping_->recorder.close();
    // Everything that waits is told to end; the loop returns when the last has.
    for (auto& acceptor : acceptors_) acceptor->close();
    stopping_ = true;
    stall_timer_.cancel();
    memory_timer_.cancel();
    ready_timer_.cancel();
    asio::error_code ignored;
    hangup_.cancel(ignored);
    leases_.stop();
    processes_.stop();
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
            int failure = errno;
            if ((failure == EMFILE || failure == ENFILE) && give_up_descriptors()) continue;
            if (failure == EMFILE || failure == ENFILE || failure == ENOMEM || failure == ENOBUFS) {
                warn("cannot accept a connection", std::strerror(failure));
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
    if (!charge) {
        log(LogLevel::debug, "connection refused: too many", {peer.uid, peer.pid});
        return refuse(socket.get(), charge.error());
    }
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
    if (give_up_descriptors()) return watch_process(socket, peer);
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
        stall_timer_.expires_after(std::max(options_.settings.message_timeout / 4, std::chrono::seconds(1)));
        asio::error_code ignored;
        co_await stall_timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        auto before = std::chrono::steady_clock::now() - options_.settings.message_timeout;
        for (const auto& session : sessions_) session->close_if_stalled(before);
    }
}

}  // namespace shmd
