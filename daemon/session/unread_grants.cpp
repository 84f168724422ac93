#include "unread_grants.hpp"

#include <sys/ioctl.h>

#include <utility>

// linux/sockios.h would define it but clashes with libc headers on some systems.
#ifndef SIOCOUTQ
#define SIOCOUTQ TIOCOUTQ
#endif

namespace shmd {
namespace {

// A peer that asks for many things before it reads gets so many; what brings more at once needs an empty socket, so that
// none of them ever waits in the daemon.
constexpr int most_at_a_time = 16;
// Whether they have been read is not asked for each: that is a system call.
constexpr int most_unasked = 4;

}  // namespace

UnreadGrants::Room UnreadGrants::reserve(int socket, int count) {
    bool may_be_unread = count_ > 0 || count > 1;
    bool asks = may_be_unread && (count_ + count > most_unasked || !is_far_from_full());
    if (asks && !all_read(socket) && count_ + count > most_at_a_time) return Room::not_read;
    auto charge = quota_.charge(uid_, Resource::unread_fds, count);
    if (!charge) return Room::user_full;
    reserved_ = *std::move(charge);
    return Room::made;
}

// What has been read and is not known to have been is in nobody's way.
bool UnreadGrants::is_far_from_full() const {
    constexpr auto place = static_cast<std::size_t>(Resource::unread_fds);
    const Limits& limits = quota_.limits();
    Quota::Lack of_user = quota_.lack(uid_, Resource::unread_fds, limits.per_uid[place] / 2);
    Quota::Lack in_total = quota_.lack(uid_, Resource::unread_fds, limits.total[place] / 2);
    return of_user.of_user <= 0 && in_total.in_total <= 0;
}

Error UnreadGrants::user_is_full() const {
    return Error::quota_exceeded("fileDescriptors",
                                 quota_.limits().per_uid[static_cast<std::size_t>(Resource::unread_fds)]);
}

void UnreadGrants::sent(int count) {
    reserved_.release();
    if (count == 0) return;
    count_ += count;
    charge_.release();
    charge_ = quota_.take(uid_, Resource::unread_fds, count_);
}

bool UnreadGrants::all_read(int socket) {
    int unread = 0;
    if (::ioctl(socket, SIOCOUTQ, &unread) != 0 || unread > 0) return false;
    count_ = 0;
    charge_.release();
    return true;
}

}  // namespace shmd
