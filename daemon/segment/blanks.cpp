#include "blanks.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

namespace shmd {
namespace {

// So many are made at a time: the thread is not woken for each, and where it has no processor to itself nobody waits for more.
constexpr std::size_t portion = 8;

rlim_t descriptor_limit() {
    rlimit limit{};
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

}  // namespace

std::size_t Blanks::fitting() {
    return static_cast<std::size_t>(std::min<rlim_t>(most, descriptor_limit() / 64));
}

Blanks::Blanks(std::size_t full) : full_(full), scarce_from_(descriptor_limit() / 4 * 3) {
    // Here, so that the thread allocates nothing: it would get an arena of its own.
    blanks_.reserve(full_);
    if (full_ > 0) thread_ = std::thread([this] { run(); });
}

Blanks::~Blanks() {
    if (!thread_.joinable()) return;
    {
        std::lock_guard lock(mutex_);
        closed_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

std::optional<Blank> Blanks::take() {
    std::optional<Blank> taken;
    bool wakes = false;
    {
        std::lock_guard lock(mutex_);
        if (!blanks_.empty()) {
            taken = std::move(blanks_.back());
            blanks_.pop_back();
        }
        if (resting_ > 0) resting_--;
        wakes = !ordered_ && resting_ == 0 && blanks_.size() + std::min(portion, (full_ + 1) / 2) <= full_;
        ordered_ = ordered_ || wakes;
    }
    if (wakes) wake_.notify_one();
    return taken;
}

bool Blanks::give_up() {
    std::unique_lock lock(mutex_);
    bool any = making_ || !blanks_.empty() || closed_some_;
    rest();
    closed_some_ = false;
    made_.wait(lock, [this] { return !making_; });
    return any;
}

std::size_t Blanks::size() const {
    std::lock_guard lock(mutex_);
    return blanks_.size();
}

void Blanks::settle() {
    std::unique_lock lock(mutex_);
    made_.wait(lock, [this] { return full_ == 0 || !(wanted() || making_); });
}

void Blanks::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        wake_.wait(lock, [this] { return closed_ || wanted(); });
        if (closed_) return;
        making_ = true;
        lock.unlock();
        auto made = Memory::blank();
        // The kernel gives the lowest number that is free.
        bool scarce = !made || static_cast<std::uint64_t>(made->writer.get()) >= scarce_from_;
        lock.lock();
        if (scarce) {
            rest();
            closed_some_ = true;
        } else if (wanted()) {
            blanks_.push_back(*std::move(made));
            ordered_ = blanks_.size() < full_;
        }
        if (made) *made = {};  // what was not wanted any more, before anybody hears that none is being made
        making_ = false;
        made_.notify_all();
    }
}

// Closes all, and makes none for some time.
void Blanks::rest() {
    resting_ = pause;
    ordered_ = false;
    blanks_.clear();
}

}  // namespace shmd
