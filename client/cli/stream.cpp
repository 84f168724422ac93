#include "stream.hpp"

#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace shmd::cli {
namespace {

constexpr std::size_t chunk_bytes = std::size_t{1} << 20;
constexpr std::size_t window_bytes = std::size_t{16} << 20;

// Drops the mapping's pages behind a position from this process. The mapping is shared, so the bytes stay.
class Window {
  public:
    explicit Window(const std::byte* begin) : kept_(page_of(begin)) {}

    void move_to(const std::byte* position) {
        const std::byte* page = page_of(position);
        auto behind = static_cast<std::size_t>(page - kept_);
        if (behind < window_bytes) return;
        ::madvise(const_cast<std::byte*>(kept_), behind, MADV_DONTNEED);  // refused, they stay for a while
        kept_ = page;
    }

  private:
    static const std::byte* page_of(const std::byte* position) {
        static const auto page_bytes = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
        return position - reinterpret_cast<std::uintptr_t>(position) % page_bytes;
    }

    const std::byte* kept_;
};

// read(2) or write(2) until it does something: whoever passed us the descriptor may have made it non-blocking.
template <typename Call>
ssize_t persist(int fd, short event, const Call& call) {
    for (;;) {
        ssize_t count = call();
        if (count >= 0 || (errno != EINTR && errno != EAGAIN)) return count;
        pollfd ready{fd, event, 0};
        if (errno == EAGAIN) ::poll(&ready, 1, -1);
    }
}

struct Moved {
    std::size_t bytes = 0;
    int error = 0;
};

// Moves the memory, a chunk at a time, by a call that tells how many bytes it took; 0 ends it.
template <typename Bytes, typename Call>
Moved move_chunks(Bytes memory, Progress& progress, const Call& call) {
    Moved moved;
    Window window(memory.data());
    while (moved.bytes < memory.size()) {
        auto rest = memory.subspan(moved.bytes);
        ssize_t count = call(rest.first(std::min(rest.size(), chunk_bytes)));
        moved.error = count < 0 ? errno : 0;
        if (count <= 0) break;
        moved.bytes += static_cast<std::size_t>(count);
        progress.advance(static_cast<std::size_t>(count));
        window.move_to(memory.data() + moved.bytes);
    }
    return moved;
}

}  // namespace

Transfer copy_to(int fd, std::span<const std::byte> memory, Progress& progress) {
    Moved moved = move_chunks(memory, progress, [fd](std::span<const std::byte> chunk) {
        return persist(fd, POLLOUT, [&] { return ::write(fd, chunk.data(), chunk.size()); });
    });
    return {moved.error};
}

Transfer fill_from(int fd, std::span<std::byte> memory, Progress& progress) {
    auto read_into = [fd](std::span<std::byte> chunk) {
        return persist(fd, POLLIN, [&] { return ::read(fd, chunk.data(), chunk.size()); });
    };
    Moved moved = move_chunks(memory, progress, read_into);
    if (moved.error != 0 || moved.bytes < memory.size()) return {moved.error};
    std::byte probe{};
    ssize_t more = read_into({&probe, 1});
    return more < 0 ? Transfer{errno} : Transfer{0, more > 0};
}

}  // namespace shmd::cli
