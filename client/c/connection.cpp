#include "connection.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <system_error>
#include <type_traits>

#include "fork_guard.hpp"
#include "limits.hpp"
#include "process_mark.hpp"

namespace shmd::client {
namespace {

// As many as a message can carry.
constexpr std::size_t max_descriptors = limits::message_fds;

// Who opens a segment or two has no use for a queue.
constexpr int ends_before_queue = 4;

std::string words_of(int error) {
    return std::generic_category().message(error);
}

Failure no_daemon(const std::string& path, int error) {
    return {ECONNREFUSED, "no daemon answers at " + path + " (" + words_of(error) +
                              "): start shmd, or name its socket in $SHMD_SOCKET"};
}

Failure no_reply() {
    return nonsense("it is not a reply to this call");
}

// Ends a connection that is left in the middle of an exchange, by whatever way.
struct Exchange {
    Connection& connection;
    bool done = false;
    ~Exchange() {
        if (!done) connection.give_up();
    }
};

}  // namespace

Identity Identity::now() noexcept {
    return {process_mark(), ::geteuid(), ::getegid()};
}

Outcome<std::shared_ptr<Connection>> Connection::open(const std::string& path) {
    auto connection = std::make_shared<Connection>();
    if (auto failure = connection->connect(path)) return std::move(*failure);
    return connection;
}

Connection::Connection() : reader_(max_descriptors) {
    mark_process();
    identity_ = Identity::now();
}

Connection::~Connection() {
    ForkGuard& guard = ForkGuard::instance();
    std::lock_guard lock(guard.mutex);
    std::erase(guard.connections, this);
    socket_.reset();
}

std::optional<Failure> Connection::connect(const std::string& path) {
    path_ = path;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty()) return Failure{EINVAL, "the path of the daemon's socket is empty"};
    if (path.size() >= sizeof address.sun_path) {
        return Failure{ENAMETOOLONG, "cannot connect to " + path + ": a socket's path has at most " +
                                         std::to_string(sizeof address.sun_path - 1) + " bytes"};
    }
    std::memcpy(address.sun_path, path.data(), path.size());

    ForkGuard& guard = ForkGuard::instance();
    int error = 0;
    {
        std::lock_guard lock(guard.mutex);
        guard.connections.push_back(this);
        socket_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        error = errno;
    }
    if (!socket_) return Failure{error, "cannot make a socket: " + words_of(error)};
    int connected = 0;
    do {
        connected = ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
        error = errno;
    } while (connected < 0 && error == EINTR);
    if (connected == 0) return std::nullopt;
    if (error == ECONNREFUSED || error == ENOENT) return no_daemon(path, error);
    return Failure{error, "cannot connect to the daemon at " + path + ": " + words_of(error)};
}

bool Connection::ours() const noexcept {
    return !abandoned_ && identity_.process == process_mark();
}

bool Connection::usable() const noexcept {
    return !ended_ && ours() && identity_ == Identity::now();
}

void Connection::give_up() noexcept {
    ended_ = true;
    ::shutdown(socket_.get(), SHUT_RDWR);
}

void Connection::abandon(Connection*& list) noexcept {
    abandoned_ = true;
    socket_.reset();
    self_ = weak_from_this().lock();
    next_abandoned_ = list;
    list = this;
}

void Connection::hold_all(const Grant& grant) {
    hold(grant.attachment);
}

void Connection::hold_all(const Grants& grants) {
    for (const Grant& grant : grants.grants) hold(grant.attachment);
}

void Connection::hold_all(const OpenResults& results) {
    for (const OpenResult& result : results.results) {
        if (result.grant) hold(result.grant->attachment);
    }
}

template <typename T>
Outcome<Answer<T>> Connection::call(std::string call) {
    std::lock_guard lock(call_mutex_);
    Exchange exchange{*this};
    if (auto failure = send(std::move(call))) return std::move(*failure);
    auto message = receive();
    if (!message) return std::move(message.failure());
    auto reply = decode_reply<T>(*message);
    if (!reply) return no_reply();
    if (reply->continues || reader_.has_buffered()) return nonsense("there is more than one reply");
    exchange.done = proven_ = true;

    if (auto* error = std::get_if<RemoteError>(&reply->body)) {
        drop_descriptors();
        return from_remote(*error);
    }
    Outcome<Answer<T>> outcome(Answer<T>{std::move(std::get<T>(reply->body))});
    Answer<T>& answer = *outcome;
    // Before another thread can find the connection ended and make a successor of what it holds.
    hold_all(answer.body);
    if constexpr (std::is_same_v<T, Grant> || std::is_same_v<T, PageReply>) {
        answer.descriptor = take_descriptor(answer.body.file_descriptor);
        answer.descriptor_lost = reader_.lost_descriptors();
    }
    if constexpr (std::is_same_v<T, Grants> || std::is_same_v<T, OpenResults>) {
        while (reader_.fd_count() > 0) answer.descriptors.push_back(reader_.take_fd());
        answer.descriptor_lost = reader_.lost_descriptors();
    }
    drop_descriptors();
    return outcome;
}

template <typename T>
Outcome<Empty> Connection::call_for_many(std::string message, const std::function<void(T&&)>& take) {
    std::lock_guard lock(call_mutex_);
    Exchange exchange{*this};
    if (auto failure = send(std::move(message))) return std::move(*failure);
    for (bool more = true; more;) {
        auto received = receive();
        if (!received) return std::move(received.failure());
        auto reply = decode_reply<T>(*received);
        if (!reply) return no_reply();
        drop_descriptors();
        more = reply->continues;
        if (!more && reader_.has_buffered()) return nonsense("there are replies after the last one");
        if (auto* error = std::get_if<RemoteError>(&reply->body)) {
            exchange.done = proven_ = !more;
            return from_remote(*error);
        }
        take(std::move(std::get<T>(reply->body)));
    }
    exchange.done = proven_ = true;
    return Empty{};
}

// The next message, without blocking in recvmsg(2), which knows no such timeout.
Outcome<std::string_view> Connection::receive_within(std::optional<std::int64_t> timeout_usec) {
    using namespace std::chrono;
    const auto begin = steady_clock::now();
    for (;;) {
        if (auto message = reader_.next()) return *message;
        IoStatus status = reader_.read_from(socket_.get(), MSG_DONTWAIT);
        if (status == IoStatus::done) continue;
        if (status == IoStatus::too_large) return nonsense("it is too large");
        if (status != IoStatus::would_block) return Failure{ECONNRESET, "the daemon has gone away"};

        auto passed = duration_cast<microseconds>(steady_clock::now() - begin).count();
        std::int64_t left = timeout_usec ? *timeout_usec - passed : 0;
        if (timeout_usec && left <= 0) return Failure{ETIMEDOUT, "nothing has happened in this time"};
        timespec at_most{left / 1'000'000, left % 1'000'000 * 1000};
        pollfd waiting{socket_.get(), POLLIN, 0};
        ::ppoll(&waiting, 1, timeout_usec ? &at_most : nullptr, nullptr);  // whatever it says, the socket tells more
    }
}

template <typename T>
Outcome<T> Connection::next_of_stream(std::optional<std::int64_t> timeout_usec) {
    std::lock_guard lock(call_mutex_);
    if (ended_) return Failure{ECONNRESET, "the daemon has gone away"};
    auto message = receive_within(timeout_usec);
    if (!message && message.failure().code == ETIMEDOUT) return std::move(message.failure());
    Exchange exchange{*this};
    if (!message) return std::move(message.failure());
    auto reply = decode_reply<T>(*message);
    drop_descriptors();
    if (!reply) return no_reply();
    if (auto* error = std::get_if<RemoteError>(&reply->body)) return from_remote(*error);
    exchange.done = proven_ = true;
    return std::move(std::get<T>(reply->body));
}

template <typename T>
Outcome<T> Connection::start_stream(std::string message) {
    if (auto failure = send(std::move(message))) return std::move(*failure);
    return next_of_stream<T>(std::nullopt);
}

bool Connection::notify(std::string message) noexcept {
    try {
        std::lock_guard lock(send_mutex_);
        if (ended_) return false;
        writer_.start(Frame{std::move(message)});
        if (writer_.write_to(socket_.get(), 0) == IoStatus::done) return true;
        give_up();
        return false;
    } catch (const std::exception&) {
        return true;  // no memory: the daemon hears of it when the connection ends
    }
}

bool Connection::end_soon(std::uint32_t attachment) noexcept {
    std::lock_guard lock(send_mutex_);
    if (ended_) return false;
    if (queue_) return queue_->put(attachment);
    if (ends_without_queue_ < ends_before_queue) ends_without_queue_++;
    return false;
}

// A daemon that has none to give is not asked again.
void Connection::open_queue_if_wanted() {
    int ends = ends_before_queue;
    if (ends_without_queue_.load(std::memory_order_relaxed) != ends) return;
    // By one caller alone.
    if (!ends_without_queue_.compare_exchange_strong(ends, ends + 1)) return;
    auto answer = call<PageReply>(encode_call(OpenDetachQueue{}));
    if (!answer || !answer->descriptor) return;
    auto queue = DetachQueue::map(answer->descriptor);
    std::lock_guard lock(send_mutex_);
    queue_ = std::move(queue);
}

void Connection::hold(std::uint32_t attachment) {
    std::lock_guard lock(grants_mutex_);
    grants_.insert(attachment);
}

void Connection::let_go(std::uint32_t attachment) noexcept {
    std::lock_guard lock(grants_mutex_);
    grants_.erase(attachment);
}

bool Connection::holds(std::uint32_t attachment) noexcept {
    std::lock_guard lock(grants_mutex_);
    return grants_.contains(attachment);
}

Outcome<std::shared_ptr<Connection>> Connection::successor() {
    std::lock_guard lock(succession_mutex_);
    if (successor_) return successor_;
    auto made = open(path_);
    if (!made) return made;
    std::vector<std::uint32_t> left;
    {
        // With the calls that were under way at the end.
        std::lock_guard calls_lock(call_mutex_);
        std::lock_guard grants_lock(grants_mutex_);
        left.assign(grants_.begin(), grants_.end());
        // What this daemon may not have ended before its own end is given back below, as it is not among the grants.
        std::lock_guard send_lock(send_mutex_);
        if (queue_) {
            auto queued = queue_->left();
            left.insert(left.end(), queued.begin(), queued.end());
        }
    }
    while (!left.empty()) {
        std::size_t count = std::min(left.size(), limits::resumed);
        Resume call{{left.end() - static_cast<std::ptrdiff_t>(count), left.end()}};
        left.resize(left.size() - count);
        if (!left.empty()) call.partial = true;
        auto answer = (*made)->call<Resumed>(encode_call(call));
        // A daemon that refuses, as an older one does, has kept nothing.
        if (!answer && answer.failure().lost != Lost::no) return std::move(answer.failure());
        if (!answer) break;
        (*made)->grants_.insert(answer->body.attachments.begin(), answer->body.attachments.end());
    }
    successor_ = *made;
    // Those that were let go meanwhile.
    std::vector<std::uint32_t> unwanted;
    {
        std::scoped_lock grants_lock(grants_mutex_, successor_->grants_mutex_);
        for (std::uint32_t attachment : successor_->grants_) {
            if (!grants_.contains(attachment)) unwanted.push_back(attachment);
        }
    }
    for (std::uint32_t attachment : unwanted) {
        successor_->let_go(attachment);
        successor_->notify(encode_call(Detach{attachment}, {.oneway = true}));
    }
    return successor_;
}

std::shared_ptr<Connection> Connection::present_successor() noexcept {
    std::lock_guard lock(succession_mutex_);
    return successor_;
}

// Taken up by a connection that ends at once, it ends with that.
void Connection::give_back(std::uint32_t attachment) noexcept {
    try {
        auto brief = open(path_);
        if (brief) (*brief)->notify(encode_call(Resume{{attachment}, true}, {.oneway = true}));
    } catch (const std::exception&) {
        // No memory: the grant ends with this process.
    }
}

std::optional<Failure> Connection::send(std::string&& message) {
    IoStatus status = IoStatus::closed;
    int error = EPIPE;
    {
        std::lock_guard lock(send_mutex_);
        if (!ended_) {
            writer_.start(Frame{std::move(message)});
            status = writer_.write_to(socket_.get(), 0);
            error = errno;
        }
    }
    if (status == IoStatus::done) return std::nullopt;
    if (status != IoStatus::closed) return Failure{error, "cannot send to the daemon: " + words_of(error)};
    if (auto failure = refusal()) return failure;
    return Failure{.code = ECONNRESET, .message = "the daemon has gone away", .lost = Lost::unsent};
}

// A daemon that takes no more connections says why, unasked, and hangs up.
std::optional<Failure> Connection::refusal() {
    while (!proven_) {
        if (auto message = reader_.next()) {
            auto reply = decode_reply<Empty>(*message);
            auto* error = reply ? std::get_if<RemoteError>(&reply->body) : nullptr;
            return error ? std::optional(from_remote(*error)) : std::nullopt;
        }
        if (reader_.read_from(socket_.get(), MSG_DONTWAIT) != IoStatus::done) break;
    }
    return std::nullopt;
}

Outcome<std::string_view> Connection::receive() {
    for (;;) {
        if (auto message = reader_.next()) return *message;
        IoStatus status = reader_.read_from(socket_.get(), 0);
        int error = errno;
        if (status == IoStatus::done) continue;
        if (status == IoStatus::too_large) return nonsense("it is too large");
        if (status == IoStatus::closed) {
            return Failure{.code = ECONNRESET,
                           .message = "the daemon went away before it answered: this may or may not have been done",
                           .lost = Lost::unanswered};
        }
        return Failure{error, "cannot receive from the daemon: " + words_of(error)};
    }
}

// The kernel may credit a descriptor to another message than its own, so only their order counts.
UniqueFd Connection::take_descriptor(int index) {
    for (; index > 0 && reader_.fd_count() > 0; index--) reader_.take_fd();
    return reader_.take_fd();
}

template Outcome<Answer<Empty>> Connection::call(std::string);
template Outcome<Answer<Grant>> Connection::call(std::string);
template Outcome<Answer<Grants>> Connection::call(std::string);
template Outcome<Answer<OpenResults>> Connection::call(std::string);
template Outcome<Answer<Resumed>> Connection::call(std::string);
template Outcome<Answer<SegmentReply>> Connection::call(std::string);
template Outcome<Answer<PageReply>> Connection::call(std::string);
template Outcome<Answer<RawReply>> Connection::call(std::string);
template Outcome<Empty> Connection::call_for_many(std::string, const std::function<void(SegmentReply&&)>&);
template Outcome<Empty> Connection::call_for_many(std::string, const std::function<void(RawReply&&)>&);
template Outcome<WatchReply> Connection::start_stream(std::string);
template Outcome<WatchReply> Connection::next_of_stream(std::optional<std::int64_t>);

}  // namespace shmd::client
