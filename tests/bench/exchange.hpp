// Ways to bring an object from one process to another: written by one, and every byte of it looked at by the other. Who
// puts calls connect_writer(), put() and remove(); another process, a fork made before that, connect_reader() and
// get().
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace shmd::bench {

/// The sum of the 64-bit words.
[[nodiscard]] inline std::uint64_t sum_of(std::span<const std::byte> data) {
    std::uint64_t total = 0;
    for (std::size_t i = 0; i + sizeof total <= data.size(); i += sizeof total) {
        std::uint64_t word;
        std::memcpy(&word, data.data() + i, sizeof word);
        total += word;
    }
    return total;
}

class Exchange {
  public:
    Exchange() = default;
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;
    virtual ~Exchange() = default;

    virtual void connect_writer() {}
    virtual void connect_reader() {}
    virtual void put(std::span<const std::byte> data) = 0;
    /// Gives sum_of() what was put last.
    virtual std::uint64_t get() = 0;
    /// What is to be done before the next put(), so that nothing is left of this one.
    virtual void remove() {}
    /// Threads that do work for it in other processes.
    [[nodiscard]] virtual std::vector<pid_t> servers() const { return {}; }
};

/// A segment that is created, and deleted again. The daemon at `socket` is the caller's.
[[nodiscard]] std::unique_ptr<Exchange> exchange_by_new_segment(const std::string& socket);
/// A segment that is there, mapped on both sides: a write section, and a read that begins again when one has come
/// between.
[[nodiscard]] std::unique_ptr<Exchange> exchange_by_kept_segment(const std::string& socket, std::size_t bytes);

// The kernel's own. Each object is new, as big as it is, opened by who reads it, and removed.
[[nodiscard]] std::unique_ptr<Exchange> exchange_by_posix();
[[nodiscard]] std::unique_ptr<Exchange> exchange_by_system_v();
/// Passed from process to process over a Unix socket.
[[nodiscard]] std::unique_ptr<Exchange> exchange_by_memfd();

/// A server, or why there is none.
struct ServedExchange {
    std::unique_ptr<Exchange> exchange;
    std::string missing;
};
// Servers of their own on a Unix socket in a temporary directory, ended with the exchange. The same key each time.
[[nodiscard]] ServedExchange exchange_by_redis();
[[nodiscard]] ServedExchange exchange_by_memcached();

}  // namespace shmd::bench
