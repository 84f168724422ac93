#include "quota.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace shmd {
namespace {

constexpr std::array<std::string_view, resource_count> names{"segments", "bytes", "attachments", "connections",
                                                             "stagedBytes", "watches", "messageBytes",
                                                             "unreadFileDescriptors", "watchBytes"};

constexpr std::size_t index_of(Resource resource) {
    return static_cast<std::size_t>(resource);
}

}  // namespace

std::string_view resource_name(Resource resource) {
    return names[index_of(resource)];
}

Charge::Charge(Charge&& other) noexcept
    : quota_(std::exchange(other.quota_, nullptr)),
      uid_(other.uid_),
      resource_(other.resource_),
      amount_(other.amount_) {}

Charge& Charge::operator=(Charge&& other) noexcept {
    if (this == &other) return *this;
    release();
    quota_ = std::exchange(other.quota_, nullptr);
    uid_ = other.uid_;
    resource_ = other.resource_;
    amount_ = other.amount_;
    return *this;
}

void Charge::release() {
    if (Quota* quota = std::exchange(quota_, nullptr)) quota->give_back(uid_, resource_, amount_);
}

Result<Charge> Quota::charge(std::uint32_t uid, Resource resource, std::int64_t amount) {
    std::size_t i = index_of(resource);
    // Compared without adding: no sum can overflow.
    if (amount > limits_.total[i] - total_[i]) {
        return Error::quota_exceeded(std::string(resource_name(resource)), limits_.total[i]);
    }
    if (!is_held_to_totals_alone(uid) && amount > limits_.per_uid[i] - held(uid, i)) {
        return Error::quota_exceeded(std::string(resource_name(resource)), limits_.per_uid[i]);
    }
    return take(uid, resource, amount);
}

// Of the account that was asked for last, which most often is the next one too, it is known where it is.
Amounts* Quota::find(std::uint32_t uid) const {
    if (last_ && last_->first == uid) return &last_->second;
    auto found = accounts_.find(uid);
    if (found == accounts_.end()) return nullptr;
    // Who changes it is not const.
    last_ = const_cast<Account*>(&*found);
    return &last_->second;
}

std::int64_t Quota::held(std::uint32_t uid, std::size_t resource) const {
    const Amounts* account = find(uid);
    return account ? (*account)[resource] : 0;
}

Quota::Lack Quota::lack(std::uint32_t uid, Resource resource, std::int64_t amount) const {
    std::size_t i = index_of(resource);
    Lack lack;
    lack.in_total = std::max<std::int64_t>(amount - (limits_.total[i] - total_[i]), 0);
    if (is_held_to_totals_alone(uid)) return lack;
    lack.of_user = std::max<std::int64_t>(amount - (limits_.per_uid[i] - held(uid, i)), 0);
    return lack;
}

Charge Quota::take(std::uint32_t uid, Resource resource, std::int64_t amount) {
    Amounts* account = find(uid);
    if (!account) account = &accounts_[uid];
    (*account)[index_of(resource)] += amount;
    total_[index_of(resource)] += amount;
    Charge charge;
    charge.quota_ = this;
    charge.uid_ = uid;
    charge.resource_ = resource;
    charge.amount_ = amount;
    return charge;
}

void Quota::give_back(std::uint32_t uid, Resource resource, std::int64_t amount) {
    Amounts& account = *find(uid);
    std::int64_t left = account[index_of(resource)] -= amount;
    total_[index_of(resource)] -= amount;
    if (left != 0 || account != Amounts{}) return;
    last_ = nullptr;
    accounts_.erase(uid);
}

std::vector<Usage> Quota::usage() const {
    std::vector<Usage> list;
    for (const auto& [uid, held] : accounts_) {
        const Amounts& limit = is_held_to_totals_alone(uid) ? limits_.total : limits_.per_uid;
        constexpr std::size_t segments = index_of(Resource::segments), bytes = index_of(Resource::bytes),
                              attachments = index_of(Resource::attachments), connections = index_of(Resource::connections);
        list.push_back({uid, held[segments], held[bytes], held[attachments], held[connections], limit[segments],
                        limit[bytes], limit[attachments], limit[connections]});
    }
    std::sort(list.begin(), list.end(), [](const Usage& a, const Usage& b) { return a.uid < b.uid; });
    return list;
}

}  // namespace shmd
