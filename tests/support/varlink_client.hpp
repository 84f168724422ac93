// A client that does exactly what it is told, right or wrong, and waits for every answer. It FAILs rather than hangs.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "frame.hpp"
#include "messages.hpp"
#include "process.hpp"

namespace shmd::test {

// The type of the reply to each call.
template <typename C>
struct ReplyTo;
template <>
struct ReplyTo<GetInfo> : std::type_identity<ServiceInfo> {};
template <>
struct ReplyTo<GetInterfaceDescription> : std::type_identity<InterfaceDescription> {};
template <>
struct ReplyTo<OpenSyncArea> : std::type_identity<PageReply> {};
template <>
struct ReplyTo<OpenDetachQueue> : std::type_identity<PageReply> {};
template <>
struct ReplyTo<RecoverLocks> : std::type_identity<Empty> {};
template <>
struct ReplyTo<Create> : std::type_identity<Grant> {};
template <>
struct ReplyTo<Open> : std::type_identity<Grant> {};
template <>
struct ReplyTo<Detach> : std::type_identity<Empty> {};
template <>
struct ReplyTo<Resume> : std::type_identity<Resumed> {};
template <>
struct ReplyTo<Publish> : std::type_identity<SegmentReply> {};
template <>
struct ReplyTo<Describe> : std::type_identity<SegmentReply> {};
template <>
struct ReplyTo<List> : std::type_identity<SegmentReply> {};
template <>
struct ReplyTo<Delete> : std::type_identity<Empty> {};
template <>
struct ReplyTo<SetAttributes> : std::type_identity<SegmentReply> {};
template <>
struct ReplyTo<Renew> : std::type_identity<SegmentReply> {};
template <>
struct ReplyTo<Seal> : std::type_identity<SegmentReply> {};
template <>
struct ReplyTo<CreateMany> : std::type_identity<Grants> {};
template <>
struct ReplyTo<OpenMany> : std::type_identity<OpenResults> {};
template <>
struct ReplyTo<Resize> : std::type_identity<SegmentReply> {};
template <>
struct ReplyTo<Watch> : std::type_identity<WatchReply> {};
template <>
struct ReplyTo<ListSegments> : std::type_identity<SegmentStatusReply> {};
template <>
struct ReplyTo<GetSegment> : std::type_identity<SegmentStatusReply> {};
template <>
struct ReplyTo<ForceDelete> : std::type_identity<Empty> {};
template <>
struct ReplyTo<Disconnect> : std::type_identity<Disconnected> {};
template <>
struct ReplyTo<Evict> : std::type_identity<Evicted> {};
template <>
struct ReplyTo<Reload> : std::type_identity<Empty> {};
template <>
struct ReplyTo<SetLogLevel> : std::type_identity<Empty> {};
template <>
struct ReplyTo<Drain> : std::type_identity<Empty> {};
template <>
struct ReplyTo<GetStatus> : std::type_identity<Status> {};
template <>
struct ReplyTo<GetUsage> : std::type_identity<UsageReply> {};
template <>
struct ReplyTo<system_v::Get> : std::type_identity<system_v::GetReply> {};
template <>
struct ReplyTo<system_v::Attach> : std::type_identity<system_v::AttachReply> {};
template <>
struct ReplyTo<system_v::Detach> : std::type_identity<Empty> {};
template <>
struct ReplyTo<system_v::Stat> : std::type_identity<system_v::StatusReply> {};
template <>
struct ReplyTo<system_v::Set> : std::type_identity<Empty> {};
template <>
struct ReplyTo<system_v::Remove> : std::type_identity<Empty> {};
template <>
struct ReplyTo<system_v::Lock> : std::type_identity<Empty> {};
template <>
struct ReplyTo<system_v::Info> : std::type_identity<system_v::InfoReply> {};
template <>
struct ReplyTo<system_v::List> : std::type_identity<system_v::StatusReply> {};
template <>
struct ReplyTo<system_v::Changes> : std::type_identity<system_v::ChangesReply> {};
template <>
struct ReplyTo<system_v::Inherit> : std::type_identity<system_v::Inherited> {};
template <>
struct ReplyTo<system_v::Claim> : std::type_identity<Empty> {};

/// A received message with the descriptors that it declares.
struct Message {
    std::string text;
    std::vector<UniqueFd> fds;
};

/// A decoded reply with its descriptors.
template <typename T>
struct Received {
    Reply<T> reply;
    std::vector<UniqueFd> fds;

    [[nodiscard]] bool is_error() const { return std::holds_alternative<RemoteError>(reply.body); }
    /// FAILs when the reply is an error.
    [[nodiscard]] const T& value() const {
        if (is_error()) fail("refused: " + error().name + " " + error().parameters);
        return std::get<T>(reply.body);
    }
    /// FAILs when the reply is not an error.
    [[nodiscard]] const RemoteError& error() const {
        if (!is_error()) fail("succeeded where an error was expected");
        return std::get<RemoteError>(reply.body);
    }
    /// The error as one of ours. FAILs when it is none.
    [[nodiscard]] const Error& known_error() const {
        if (!error().known) fail("not an error of this protocol: " + error().name + " " + error().parameters);
        return *error().known;
    }
};

class RawClient {
  public:
    /// Connects to the socket at this path. FAILs when nobody listens.
    explicit RawClient(const std::string& path);
    /// Speaks on a connected socket.
    explicit RawClient(UniqueFd socket);

    [[nodiscard]] int socket() const { return socket_.get(); }

    /// Sends bytes as they are, with borrowed descriptors on the first one. False when the peer has closed.
    [[nodiscard]] bool try_send_bytes(std::string_view bytes, std::span<const int> fds = {});
    /// The same, but FAILs when the peer has closed.
    void send_bytes(std::string_view bytes, std::span<const int> fds = {});
    /// Sends one message and the NUL that ends it.
    void send_text(std::string_view message) { send_bytes(std::string(message) + '\0'); }
    void send(const CallBody& body, CallFlags flags = {}) { send_text(encode_call(body, flags)); }

    /// The next message. It takes the descriptors that it declares from the front of those received.
    [[nodiscard]] Message receive();
    /// The same, or nothing when the peer has closed.
    [[nodiscard]] std::optional<Message> receive_unless_closed();
    /// FAILs unless the peer closes now, without another message.
    void expect_eof();
    /// Descriptors received that no message has declared.
    [[nodiscard]] std::size_t undeclared_fds() const { return reader_.fd_count(); }

    /// The next reply, to a call of type C.
    template <typename C>
    [[nodiscard]] Received<typename ReplyTo<C>::type> receive_reply() {
        Message message = receive();
        auto reply = decode_reply<typename ReplyTo<C>::type>(message.text);
        if (!reply) fail("not a reply to " + std::string(C::method) + ": " + message.text);
        return {std::move(*reply), std::move(message.fds)};
    }
    template <typename C>
    [[nodiscard]] Received<typename ReplyTo<C>::type> call(const C& body) {
        send(body);
        return receive_reply<C>();
    }
    /// Every segment that List gives for this prefix.
    [[nodiscard]] std::vector<Segment> list(std::optional<std::string> prefix = std::nullopt);

    /// shutdown(2) with SHUT_WR, SHUT_RD or SHUT_RDWR.
    void shutdown(int how);
    void close() { socket_.reset(); }

  private:
    IoStatus read_more();

    UniqueFd socket_;
    FrameReader reader_{1024};
};

}  // namespace shmd::test
