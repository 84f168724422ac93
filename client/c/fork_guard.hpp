// What a child made by fork(2) must not share with its parent: the connections. Lists them and the clients, and has
// them given up in the child. A fork waits for this list's lock alone, never for a call that another thread is in.
#pragma once

#include <mutex>
#include <vector>

namespace shmd::client {

class Client;
class Connection;

/// Of the whole process. Borrowed pointers: each object enters and leaves by itself, holding the lock. A connection's
/// descriptor is opened and closed under the same lock, so a child knows all that it has inherited.
struct ForkGuard {
    std::mutex mutex;
    std::vector<Connection*> connections;
    std::vector<Client*> clients;
    /// In a child: what it gave up, one behind the other. Kept reachable, so that no leak checker takes it for a leak.
    Connection* abandoned = nullptr;

    /// The one there is. The first call installs the handlers: std::bad_alloc when there is no memory for them.
    static ForkGuard& instance();
};

}  // namespace shmd::client
