// What each method does. One function a method: it asks policy and quota, acts on the registry, and answers with a
// typed reply or an error. No JSON, no sockets, no waiting: what takes long is handed back to the session as work.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "messages.hpp"
#include "policy.hpp"
#include "quota.hpp"
#include "registry.hpp"

namespace shmd {

/// One connection as the handlers see it: who it is and what it holds.
struct Client {
    Peer peer;
    Endpoint endpoint = Endpoint::segments;
    Holder holder{};
};

/// An answer with the descriptors that go with it.
struct Answer {
    ReplyBody body;
    std::vector<UniqueFd> fds{};
};

/// A Create whose memory is large: run the reservation, away from the event loop, then call finish_create(). Nothing of
/// it is visible before; dropping it gives everything back.
struct PendingCreate {
    Create call;
    std::shared_ptr<Memory> memory;
    Reservation reservation;
    Charge segment_charge;
    Charge bytes_charge;

    PendingCreate(Create c, std::shared_ptr<Memory> m, Charge segment, Charge bytes)
        : call(std::move(c)),
          memory(std::move(m)),
          reservation(*memory, call.reserve.value_or(Reserve::allocate)),
          segment_charge(std::move(segment)),
          bytes_charge(std::move(bytes)) {}
};

/// An Open whose key is not there yet: call handle() again when it appears, until the time is over.
struct WaitForKey {
    std::string key;
    std::int64_t wait_usec;
};

/// A List to be stepped through with list_next().
struct Listing {
    std::string prefix;
    std::int64_t last_id = 0;
};

using Outcome = std::variant<Answer, Error, std::unique_ptr<PendingCreate>, WaitForKey, Listing>;

class Handlers {
  public:
    Handlers(Registry& registry, Quota& quota);

    /// Answers a call that decode_call() let through.
    Outcome handle(Client& client, const Call& call);

    /// The rest of a Create whose memory is reserved.
    Outcome finish_create(Client& client, std::unique_ptr<PendingCreate> pending);

    /// Looks at up to `budget` segments; the budget left tells whether there is more to look at. Nothing and budget
    /// left is the end of the list.
    std::optional<Segment> list_next(const Client& client, Listing& listing, int& budget);

    /// The connection is over: everything that it held ends.
    void end(Client& client);

    Registry& registry() { return registry_; }

  private:
    Outcome act(Client& client, const GetInfo& call);
    Outcome act(Client& client, const GetInterfaceDescription& call);
    Outcome act(Client& client, const Create& call);
    Outcome act(Client& client, const Open& call);
    Outcome act(Client& client, const Detach& call);
    Outcome act(Client& client, const Publish& call);
    Outcome act(Client& client, const Describe& call);
    Outcome act(Client& client, const List& call);
    Outcome act(Client& client, const Delete& call);
    Outcome act(Client& client, const GetStatus& call);
    Outcome act(Client& client, const GetUsage& call);

    Outcome open_existing(Client& client, const Create& call, Entry& entry);
    Outcome grant(Client& client, Entry& entry, Access access, std::optional<bool> created);
    Result<Entry*> find(const Client& client, const Target& target);

    Registry& registry_;
    Quota& quota_;
    std::int64_t started_usec_;
    std::int64_t machine_bytes_;
};

}  // namespace shmd
