#include "fd_store.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

namespace shmd {
namespace {

constexpr std::string_view letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr std::size_t most_letters = 3;
constexpr auto failure_pause = std::chrono::milliseconds(100);
constexpr auto rest = std::chrono::milliseconds(1);

}  // namespace

std::size_t FdStore::offered() {
    const char* text = std::getenv("FDSTORE");
    if (!text || !ManagerSocket::is_there()) return 0;
    std::size_t count = 0;
    std::from_chars(text, text + std::strlen(text), count);
    return std::min(count, most);
}

std::string FdStore::name_of(Slot slot) {
    std::string name;
    do {
        name += letters[slot % letters.size()];
        slot /= static_cast<Slot>(letters.size());
    } while (slot > 0);
    return name;
}

std::optional<Slot> FdStore::slot_named(std::string_view name) {
    if (name.empty() || name.size() > most_letters) return std::nullopt;
    Slot slot = 0;
    for (auto letter = name.rbegin(); letter != name.rend(); ++letter) {
        std::size_t digit = letters.find(*letter);
        if (digit == std::string_view::npos) return std::nullopt;
        slot = static_cast<Slot>(slot * letters.size() + digit);
    }
    return name_of(slot) == name ? std::optional(slot) : std::nullopt;
}

FdStore::FdStore(std::size_t capacity, std::function<void(std::function<void()>)> post)
    : capacity_(capacity), post_(std::move(post)), taken_(most), emptied_(most), thread_([this] { run(); }) {}

FdStore::~FdStore() {
    close();
    thread_.join();
}

void FdStore::close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    manager_.stop();
    wake_.notify_one();
}

std::optional<Slot> FdStore::take_slot() {
    if (used_ >= capacity_) return std::nullopt;
    // One that was emptied need not be emptied again.
    while (!freed_.empty()) {
        Slot slot = freed_.back();
        freed_.pop_back();
        if (taken_[slot]) continue;
        adopt_slot(slot);
        return slot;
    }
    while (taken_[next_]) next_ = (next_ + 1) % static_cast<Slot>(most);
    adopt_slot(next_);
    return std::exchange(next_, (next_ + 1) % static_cast<Slot>(most));
}

void FdStore::adopt_slot(Slot slot) {
    taken_.resize(std::max<std::size_t>(taken_.size(), slot + 1));
    emptied_.resize(taken_.size());
    if (!taken_[slot]) used_++;
    taken_[slot] = true;
}

void FdStore::order(Job job, Haste haste) {
    std::unique_lock lock(mutex_);
    if (closed_) {
        // The thread may have ended, and whoever waits must not wait for ever.
        lock.unlock();
        if (job.done) post_(std::move(job.done));
        return;
    }
    jobs_.push_back(std::move(job));
    if (haste == Haste::now) hurry_ = true;
    if (hurry_ || !resting_) wake_.notify_one();
}

void FdStore::add(Slot slot, UniqueFd fd, Haste haste, std::function<void()> done) {
    order({slot, std::move(fd), std::move(done), emptied_[slot]}, haste);
}

void FdStore::remove(Slot slot) {
    {
        std::lock_guard lock(mutex_);
        if (closed_) return;
    }
    if (taken_[slot]) {
        used_--;
        freed_.push_back(slot);
    }
    taken_[slot] = false;
    emptied_[slot] = true;
    order({slot, {}, {}}, Haste::soon);
}

void FdStore::run() {
    for (;;) {
        std::vector<Job> jobs;
        {
            std::unique_lock lock(mutex_);
            resting_ = true;
            wake_.wait_for(lock, rest, [this] { return closed_ || hurry_; });
            resting_ = false;
            wake_.wait(lock, [this] { return closed_ || !jobs_.empty(); });
            jobs.swap(jobs_);
            hurry_ = false;
            if (closed_) {
                lock.unlock();
                return tell(std::move(jobs));
            }
        }
        carry_out(std::move(jobs));
    }
}

// The manager takes its datagrams in order: a slot that is freed and taken again is emptied first.
void FdStore::carry_out(std::vector<Job> jobs) {
    bool added = false;
    for (Job& job : jobs) {
        // Also before one is added for the first time: what an earlier process sent in its last moment may have come since
        // this one was told what there is, and of two under one name nobody knows which is which.
        if (!job.emptied && !send("FDSTOREREMOVE=1\nFDNAME=" + name_of(job.slot), -1)) break;
        if (!job.fd) continue;
        if (!send("FDSTORE=1\nFDPOLL=0\nFDNAME=" + name_of(job.slot), job.fd.get())) break;
        added = true;
    }
    if (added) (void)repeat([this] { return manager_.barrier(); });
    tell(std::move(jobs));
}

bool FdStore::send(const std::string& state, int fd) {
    return repeat([&] { return manager_.send(state, fd); });
}

// Until it is done: what the manager never heard of must not pass for kept. False when the store is closed.
bool FdStore::repeat(const std::function<ManagerSocket::Outcome()>& attempt) {
    for (;;) {
        auto outcome = attempt();
        if (outcome != ManagerSocket::Outcome::failed) return outcome == ManagerSocket::Outcome::done;
        std::unique_lock lock(mutex_);
        if (wake_.wait_for(lock, failure_pause, [this] { return closed_; })) return false;
    }
}

void FdStore::tell(std::vector<Job> jobs) {
    // A std::function has to be copied.
    auto shared = std::make_shared<std::vector<Job>>(std::move(jobs));
    post_([shared] {
        for (Job& job : *shared) {
            if (job.done) job.done();
        }
    });
}

}  // namespace shmd
