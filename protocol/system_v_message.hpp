// Messages of io.shmd.SystemV without the heap and without exceptions, for clients whose calls may come from signal handlers,
// as the system calls may.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "messages.hpp"

namespace shmd::system_v {

/// How many attachments fit into one message here. Their replies fit too.
inline constexpr std::size_t message_attachments = 128;

/// A call as text with its NUL, in a buffer of its own.
class Message {
  public:
    explicit Message(const Get& call);
    explicit Message(const Attach& call);
    /// oneway: without a reply.
    Message(const Detach& call, bool oneway);
    explicit Message(const Stat& call);
    explicit Message(const Set& call);
    explicit Message(const Remove& call);
    explicit Message(const Lock& call);
    explicit Message(const Info& call);
    explicit Message(const Changes& call);
    explicit Message(const OpenDetachQueue& call);
    /// At most message_attachments of them, for Inherit.
    static Message inherit(std::span<const std::uint32_t> attachments);
    /// The same for io.shmd.Segments.Resume.
    static Message resume(std::span<const std::uint32_t> attachments, bool partial);
    /// Oneway.
    explicit Message(const Claim& call);

    [[nodiscard]] std::string_view bytes() const { return {bytes_, size_}; }

  private:
    explicit Message(std::string_view method);
    Message& put(std::string_view text);
    Message& put(const char* text) { return put(std::string_view(text)); }
    Message& put(std::int64_t number);
    Message& put(bool value);
    Message& put_list(std::span<const std::uint32_t> attachments);
    void end();

    char bytes_[2048];
    std::size_t size_ = 0;
};

/// What a reply to Inherit or Resume holds.
struct Attachments {
    std::uint32_t ids[message_attachments];
    std::size_t count = 0;
};

/// Reads a reply (without its NUL) into `out`. 0, or the errno that it stands for: ENOSYS when the daemon has no such method,
/// EIO when it makes no sense.
[[nodiscard]] int take(std::string_view reply);
[[nodiscard]] int take(std::string_view reply, GetReply& out);
[[nodiscard]] int take(std::string_view reply, AttachReply& out);
[[nodiscard]] int take(std::string_view reply, StatusReply& out);
[[nodiscard]] int take(std::string_view reply, InfoReply& out);
[[nodiscard]] int take(std::string_view reply, Attachments& out);

}  // namespace shmd::system_v
