// Which process this is, without a system call: a number that every child has anew, however it was made.
#pragma once

#include <cstdint>

namespace shmd::client {

/// Where the number is. The kernel gives every child zeros there (madvise(2), MADV_WIPEONFORK).
extern std::uint32_t* process_mark_page;

/// Gives a process that has none yet its number. Called before anything is kept beside one. Throws std::bad_alloc.
void mark_process();

/// For a child: it has another number from here on, also where the kernel did not see to that.
void renew_process_mark() noexcept;

/// Not 0, and not what a process before a fork(2) had. In a child that has not called mark_process() yet: 0.
inline std::uint32_t process_mark() noexcept {
    return __atomic_load_n(process_mark_page, __ATOMIC_RELAXED);
}

}  // namespace shmd::client
