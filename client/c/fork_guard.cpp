#include "fork_guard.hpp"

#include <pthread.h>

#include <new>

#include "client.hpp"
#include "connection.hpp"
#include "process_mark.hpp"

namespace shmd::client {
namespace {

void before_fork() {
    ForkGuard::instance().mutex.lock();
}

void in_parent() {
    ForkGuard::instance().mutex.unlock();
}

// The only thread of the child. Others may have been in the middle of anything but the lists.
void in_child() {
    ForkGuard& guard = ForkGuard::instance();
    for (Connection* connection : guard.connections) connection->abandon(guard.abandoned);
    for (Client* client : guard.clients) client->abandon();
    guard.connections.clear();
    renew_process_mark();
    guard.mutex.unlock();
}

ForkGuard* make() {
    auto* guard = new ForkGuard;
    if (::pthread_atfork(before_fork, in_parent, in_child) == 0) return guard;
    delete guard;
    throw std::bad_alloc();
}

}  // namespace

ForkGuard& ForkGuard::instance() {
    // Never destroyed: threads may still be calling while the program exits.
    static ForkGuard* const guard = make();
    return *guard;
}

}  // namespace shmd::client
