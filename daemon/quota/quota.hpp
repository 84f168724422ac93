// What each user holds and may hold. A Charge is one amount of one resource on one user's account; it is given back
// when the object that owns it goes, so that no path can forget it. Knows uids; knows nothing of segments or sockets.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "messages.hpp"
#include "result.hpp"

namespace shmd {

enum class Resource {
    segments,
    bytes,  // reserved memory, whole pages
    attachments,
    connections,
    staged_bytes,   // the part of bytes that is in segments not yet published
    watches,
    message_bytes,  // held for messages that have not arrived whole
    unread_fds,     // descriptors that peers have been sent and have not read
    watch_bytes,    // held for events that watchers have not read
};
inline constexpr std::size_t resource_count = 9;

[[nodiscard]] std::string_view resource_name(Resource resource);

using Amounts = std::array<std::int64_t, resource_count>;

struct Limits {
    Amounts total{};
    Amounts per_uid{};
};

class Quota;

/// An amount taken from an account. Move-only; gives the amount back when destroyed.
class [[nodiscard]] Charge {
  public:
    Charge() = default;
    Charge(Charge&& other) noexcept;
    Charge& operator=(Charge&& other) noexcept;
    Charge(const Charge&) = delete;
    Charge& operator=(const Charge&) = delete;
    ~Charge() { release(); }

    void release();

    [[nodiscard]] std::uint32_t uid() const { return uid_; }
    [[nodiscard]] std::int64_t amount() const { return amount_; }

  private:
    friend class Quota;
    Quota* quota_ = nullptr;
    std::uint32_t uid_ = 0;
    Resource resource_{};
    std::int64_t amount_ = 0;
};

/// The accounts. Outlives every Charge it gives. Root and the daemon's own user are held to the totals alone.
class Quota {
  public:
    Quota(Limits limits, std::uint32_t own_uid) : limits_(limits), own_uid_(own_uid) {}
    Quota(const Quota&) = delete;
    Quota& operator=(const Quota&) = delete;

    /// Refuses with QuotaExceeded, naming the limit that was met.
    Result<Charge> charge(std::uint32_t uid, Resource resource, std::int64_t amount);

    /// The same without a limit.
    Charge take(std::uint32_t uid, Resource resource, std::int64_t amount);

    /// How much of this everybody, or this user alone, would have to give back before the charge could be made.
    struct Lack {
        std::int64_t in_total = 0;
        std::int64_t of_user = 0;
    };
    [[nodiscard]] Lack lack(std::uint32_t uid, Resource resource, std::int64_t amount) const;

    [[nodiscard]] const Limits& limits() const { return limits_; }
    /// What is held beyond new limits stays held.
    void set_limits(const Limits& limits) { limits_ = limits; }
    [[nodiscard]] std::int64_t total(Resource resource) const { return total_[static_cast<std::size_t>(resource)]; }
    /// Every user that holds something, in the order of uids.
    [[nodiscard]] std::vector<Usage> usage() const;

  private:
    friend class Charge;
    [[nodiscard]] bool is_held_to_totals_alone(std::uint32_t uid) const { return uid == 0 || uid == own_uid_; }
    void give_back(std::uint32_t uid, Resource resource, std::int64_t amount);
    [[nodiscard]] Amounts* find(std::uint32_t uid) const;
    [[nodiscard]] std::int64_t held(std::uint32_t uid, std::size_t resource) const;

    Limits limits_;
    std::uint32_t own_uid_;
    Amounts total_{};
    using Account = std::pair<const std::uint32_t, Amounts>;
    std::unordered_map<std::uint32_t, Amounts> accounts_;
    mutable Account* last_ = nullptr;  // that was asked for
};

}  // namespace shmd
