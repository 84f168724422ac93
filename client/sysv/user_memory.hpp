// Copies from and to memory that a caller names, as the kernel does: an address that is not there is EFAULT, not a crash.
#pragma once

#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace shmd::sysv {

/// False: EFAULT. The cheapest call that writes where it is told to finds out, at both ends: they are in one page or in two.
template <typename T>
[[nodiscard]] bool copy_out(void* to, const T& from) {
    constexpr std::size_t least_page = 4096;
    static_assert(sizeof(T) >= sizeof(timespec) && sizeof(T) <= least_page);
    auto is_there = [&](std::size_t offset) {
        return ::syscall(SYS_clock_gettime, CLOCK_REALTIME_COARSE, static_cast<char*>(to) + offset) == 0 || errno != EFAULT;
    };
    if (!is_there(0) || !is_there(sizeof(T) - sizeof(timespec))) return false;
    std::memcpy(to, &from, sizeof(T));
    return true;
}

/// The same. Where a sandbox forbids the system call, it is plain memory.
[[nodiscard]] inline bool copy_in(void* to, const void* from, std::size_t bytes) {
    iovec local{to, bytes};
    iovec remote{const_cast<void*>(from), bytes};
    if (::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0) == static_cast<ssize_t>(bytes)) return true;
    if (errno == EFAULT) return false;
    std::memcpy(to, from, bytes);
    return true;
}

}  // namespace shmd::sysv
