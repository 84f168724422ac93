// Copies from and to memory that a caller names, as the kernel does: an address that is not there is EFAULT, not a crash.
#pragma once

#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace shmd::sysv {

/// False: EFAULT. Where a sandbox forbids the system call, it is plain memory.
[[nodiscard]] inline bool copy_out(void* to, const void* from, std::size_t bytes) {
    iovec local{const_cast<void*>(from), bytes};
    iovec remote{to, bytes};
    if (::process_vm_writev(::getpid(), &local, 1, &remote, 1, 0) == static_cast<ssize_t>(bytes)) return true;
    if (errno == EFAULT) return false;
    std::memcpy(to, from, bytes);
    return true;
}

[[nodiscard]] inline bool copy_in(void* to, const void* from, std::size_t bytes) {
    iovec local{to, bytes};
    iovec remote{const_cast<void*>(from), bytes};
    if (::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0) == static_cast<ssize_t>(bytes)) return true;
    if (errno == EFAULT) return false;
    std::memcpy(to, from, bytes);
    return true;
}

}  // namespace shmd::sysv
