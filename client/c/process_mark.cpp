#include "process_mark.hpp"

#include <sys/mman.h>

#include <mutex>
#include <new>

namespace shmd::client {
namespace {

std::uint32_t no_mark = 0;
std::uint32_t last = 0;  // inherited: a child goes on from here

void make_page() {
    constexpr std::size_t bytes = 4096;
    void* page = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) throw std::bad_alloc();
    // Where the kernel does not know this (before 4.14), fork_guard's handler does it for children of fork(2).
    (void)::madvise(page, bytes, MADV_WIPEONFORK);
    process_mark_page = static_cast<std::uint32_t*>(page);
}

}  // namespace

std::uint32_t* process_mark_page = &no_mark;

void mark_process() {
    static std::once_flag once;
    std::call_once(once, make_page);
    // In a child there is one thread, or threads that were made after a mark was given.
    std::uint32_t none = 0;
    if (process_mark() == 0) {
        std::uint32_t mark = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
        __atomic_compare_exchange_n(process_mark_page, &none, mark, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    }
}

void renew_process_mark() noexcept {
    __atomic_store_n(process_mark_page, __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
}

}  // namespace shmd::client
