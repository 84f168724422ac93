// A client: the calls of io.shmd.Segments, each on the connection that fits, and when to connect anew. What a granted
// segment is in this process is open_segment's.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "connection.hpp"
#include "failure.hpp"
#include "messages.hpp"
#include "open_segment.hpp"
#include "watch.hpp"

namespace shmd::client {

/// Thread-safe.
class Client {
  public:
    /// Connects at once. No path: looks for the socket.
    static Outcome<std::unique_ptr<Client>> connect(const char* path, Endpoint endpoint);

    explicit Client(std::string path);
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client();

    [[nodiscard]] const std::string& path() const { return path_; }

    Outcome<std::unique_ptr<OpenSegment>> create(const Create& create);
    /// sealed: only what is immutable.
    Outcome<std::unique_ptr<OpenSegment>> open(const Target& target, Access access, bool sealed = false);
    /// One outcome for each, in the same order.
    Outcome<std::vector<Outcome<std::unique_ptr<OpenSegment>>>> open_many(const std::vector<std::string>& keys,
                                                                          Access access);
    /// All, or none.
    Outcome<std::vector<std::unique_ptr<OpenSegment>>> create_many(const CreateMany& create);
    /// No timeout: waits without an end.
    Outcome<std::unique_ptr<OpenSegment>> open_wait(const std::string& key, Access access,
                                                    std::optional<std::int64_t> timeout_usec);
    Outcome<Segment> describe(const Target& target);
    Outcome<InfoChain> list(const std::optional<std::string>& prefix);
    Outcome<Empty> remove(const Target& target);
    Outcome<Segment> set_attributes(const SetAttributes& change);
    Outcome<Segment> renew(const Target& target);
    Outcome<Segment> seal(const Target& target);
    Outcome<Segment> resize(const Target& target, std::int64_t size);
    Outcome<std::unique_ptr<Watch>> watch(const std::optional<std::string>& prefix);
    /// The reply's parameters as JSON text.
    Outcome<std::string> call_raw(std::string_view method, std::string_view parameters);

    /// Those of all replies, as a JSON array.
    Outcome<std::string> call_raw_for_many(std::string_view method, std::string_view parameters);

    /// For a child after fork(2): forgets the connection, as it is. Another thread of the parent may have been using
    /// it.
    void abandon() noexcept;

  private:
    /// What a call does when it is carried out twice.
    enum class Repeated { the_same, something_else };

    /// The connection for a call by the caller as it is now.
    Outcome<std::shared_ptr<Connection>> connection();

    /// Runs attempt(connection, message), and once more on a new connection when the first one ended under it and
    /// nothing is done twice by that. A failure gets the words of tried().
    template <typename Tried, typename Attempt>
    auto carry_out(const std::string& message, Repeated repeated, const Tried& tried, const Attempt& attempt)
        -> decltype(attempt({}, message));

    /// A call that answers with the segment.
    template <typename Tried>
    Outcome<Segment> segment_from(const std::string& message, const Tried& tried);

    /// Waits on a connection of its own, which holds the grant until the caller drops it.
    Outcome<std::shared_ptr<Connection>> wait_for(const Target& target, Access access, std::int64_t usec);

    std::string path_;
    std::mutex mutex_;
    std::shared_ptr<Connection> current_;
};

}  // namespace shmd::client
