#include "lost_pages.hpp"

#include <setjmp.h>
#include <signal.h>

#include <atomic>
#include <mutex>

namespace shmd {
namespace {

thread_local sigjmp_buf* way_out = nullptr;

void on_bus_error(int, siginfo_t*, void*) {
    if (way_out) siglongjmp(*way_out, 1);
    // Not ours: as if there were no handler.
    ::signal(SIGBUS, SIG_DFL);
    ::raise(SIGBUS);
}

void catch_bus_errors() {
    struct sigaction action {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    ::sigaction(SIGBUS, &action, nullptr);
}

}  // namespace

bool survives_lost_pages(void (*access)(void* what), void* what) {
    static std::once_flag once;
    std::call_once(once, catch_bus_errors);
    sigjmp_buf here;
    // The mask is not touched: SA_NODEFER leaves it as it is.
    if (sigsetjmp(here, 0) != 0) {
        way_out = nullptr;
        return false;
    }
    way_out = &here;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    access(what);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    way_out = nullptr;
    return true;
}

}  // namespace shmd
