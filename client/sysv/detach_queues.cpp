#include "detach_queues.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <string_view>

#include "detach_queue.h"
#include "known_names.hpp"
#include "system_v_message.hpp"

namespace shmd::sysv {
namespace {

// Who attaches once or twice has no use for a queue.
constexpr std::uint32_t ends_before_queue = 4;

struct Queue {
    std::atomic<bool> busy{false};
    std::atomic<std::uint32_t> link{0};  // whose it is; 0: nobody's
    std::uint32_t asked_for = 0;         // by that connection, whatever came of it
    shmd_detach_queue* page = nullptr;   // never unmapped: the next one takes its place
    std::uint32_t put = 0;
};
constinit Queue queues[most_links];
constinit std::atomic<std::uint32_t> ends{0};

// Has it, or has not: nobody waits, as it may be a call that this one has interrupted.
class Turn {
  public:
    explicit Turn(Queue& queue) : queue_(queue), mine_(!queue.busy.exchange(true, std::memory_order_acquire)) {}
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
        if (mine_) queue_.busy.store(false, std::memory_order_release);
    }
    explicit operator bool() const { return mine_; }

  private:
    Queue& queue_;
    bool mine_;
};

std::int64_t now_usec() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

std::uint32_t left_in(const Queue& queue) {
    const std::uint32_t count = queue.put - __atomic_load_n(&queue.page->taken, __ATOMIC_ACQUIRE);
    return count <= SHMD_DETACH_QUEUE_PLACES ? count : 0;
}

// A page that nobody can make shorter.
bool is_page(int fd) {
    struct stat status {};
    int seals = ::fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & F_SEAL_SHRINK) != 0 && ::fstat(fd, &status) == 0 && status.st_size == SHMD_DETACH_QUEUE_BYTES;
}

void map_page(Queue& queue, int fd, std::uint32_t link) {
    void* mapped = ::mmap(queue.page, SHMD_DETACH_QUEUE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | (queue.page ? MAP_FIXED : 0), fd, 0);
    if (mapped == MAP_FAILED) return;
    // A child has no use for it, and would keep it on the account of who is done with it.
    (void)::madvise(mapped, SHMD_DETACH_QUEUE_BYTES, MADV_DONTFORK);
    queue.page = static_cast<shmd_detach_queue*>(mapped);
    queue.put = 0;
    if (queue.page->format == SHMD_DETACH_QUEUE_FORMAT) queue.link.store(link, std::memory_order_release);
}

}  // namespace

void want_detach_queue(Link& link) {
    if (ends.load(std::memory_order_relaxed) < ends_before_queue) return;
    Queue& queue = queues[link.place()];
    // Nothing is left there without a look at that page.
    if (queue.link.load(std::memory_order_relaxed) == link.number()) return want_change_page(link);
    Turn turn(queue);
    // What another connection has left there is taken up by the next one that is made.
    if (!turn || queue.link.load(std::memory_order_relaxed) != 0 || queue.asked_for == link.number()) return;
    queue.asked_for = link.number();
    std::string_view reply;
    if (link.call(system_v::Message(OpenDetachQueue{}), reply) != 0 || system_v::take(reply) != 0) return;
    int fd = link.take_descriptor();
    if (fd < 0) return;
    if (is_page(fd)) map_page(queue, fd, link.number());
    ::close(fd);
}

namespace {

// The queue of this connection, or null.
Queue* queue_of(std::uint32_t link) {
    auto* found = std::find_if(std::begin(queues), std::end(queues), [link](const Queue& queue) {
        return queue.link.load(std::memory_order_acquire) == link;
    });
    return link != 0 && found != std::end(queues) ? found : nullptr;
}

bool is_watched(const Queue& queue) {
    return __atomic_load_n(&queue.page->watched, __ATOMIC_SEQ_CST) != 0;
}

// False when it is full.
bool put(Queue& queue, std::uint32_t attachment) {
    if (queue.put - __atomic_load_n(&queue.page->taken, __ATOMIC_ACQUIRE) >= SHMD_DETACH_QUEUE_PLACES) return false;
    const std::uint32_t place = queue.put % SHMD_DETACH_QUEUE_PLACES;
    __atomic_store_n(&queue.page->attachments[place], attachment, __ATOMIC_RELAXED);
    __atomic_store_n(&queue.page->usec[place], now_usec(), __ATOMIC_RELAXED);
    // What is read after this stays after it: see the daemon's side.
    __atomic_store_n(&queue.page->put, ++queue.put, __ATOMIC_SEQ_CST);
    return true;
}

}  // namespace

bool end_soon(std::uint32_t link, std::uint32_t attachment) {
    Queue* queue = queue_of(link);
    if (!queue) {
        if (ends.load(std::memory_order_relaxed) < ends_before_queue) ends.fetch_add(1, std::memory_order_relaxed);
        return false;
    }
    Turn turn(*queue);
    if (!turn || queue->link.load(std::memory_order_relaxed) != link) return false;
    return put(*queue, attachment) && !is_watched(*queue);
}

Begun begin_soon(std::uint32_t link, std::uint32_t attachment) {
    Queue* queue = queue_of(link);
    if (!queue) return Begun::no;
    Turn turn(*queue);
    if (!turn || queue->link.load(std::memory_order_relaxed) != link || is_watched(*queue)) return Begun::no;
    if (!put(*queue, attachment)) return Begun::no;
    return is_watched(*queue) ? Begun::watched : Begun::yes;
}

std::size_t take_left(std::span<std::uint32_t> attachments) {
    for (Queue& queue : queues) {
        const std::uint32_t link = queue.link.load(std::memory_order_acquire);
        if (link == 0 || Link::is_there(link)) continue;
        Turn turn(queue);
        if (!turn || queue.link.load(std::memory_order_relaxed) != link) continue;
        std::uint32_t left = left_in(queue);
        std::size_t count = 0;
        for (; left > 0 && count < attachments.size(); left--) {
            attachments[count++] = queue.page->attachments[(queue.put - left) % SHMD_DETACH_QUEUE_PLACES];
        }
        queue.link.store(0, std::memory_order_release);
        if (count > 0) return count;
    }
    return 0;
}

void forget_detach_queues() {
    for (Queue& queue : queues) {
        queue.link.store(0, std::memory_order_relaxed);
        queue.asked_for = 0;
        queue.page = nullptr;
        queue.put = 0;
        queue.busy.store(false, std::memory_order_release);
    }
}

}  // namespace shmd::sysv
