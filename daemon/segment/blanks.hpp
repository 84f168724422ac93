// Files of which small memory is made at once, made ahead by a thread: making one takes as long as all else that a Create
// asks of the kernel. They are descriptors that nobody has asked for, so they go before anybody is refused one.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "memory.hpp"

namespace shmd {

class Blanks {
  public:
    /// So many are kept when nobody takes any; each has two descriptors. 0: none, and no thread.
    explicit Blanks(std::size_t full = fitting());
    /// Closes all.
    ~Blanks();
    Blanks(const Blanks&) = delete;
    Blanks& operator=(const Blanks&) = delete;

    /// As many as suit this process's limit of open files: a thirty-second of it.
    [[nodiscard]] static std::size_t fitting();
    static constexpr std::size_t most = 64;
    /// After give_up() none is made until so many have been asked for.
    static constexpr std::size_t pause = 256;

    /// One, if there is one. Has more made when they get few.
    [[nodiscard]] std::optional<Blank> take();
    /// Closes all, also the one that is being made. True when that has freed descriptors, or the thread has meanwhile: whoever
    /// lacked some tries again.
    bool give_up();

    [[nodiscard]] std::size_t size() const;
    /// Waits until no more are to be made.
    void settle();

  private:
    void run();
    void rest();
    [[nodiscard]] bool wanted() const { return ordered_ && blanks_.size() < full_; }

    const std::size_t full_;
    const std::uint64_t scarce_from_;  // the number of the first descriptor that leaves too few for others
    mutable std::mutex mutex_;
    std::condition_variable wake_, made_;
    std::vector<Blank> blanks_;
    std::size_t resting_ = 0;  // takes until one is made again
    bool ordered_ = true;      // make as many as are missing
    bool making_ = false;
    bool closed_some_ = false;  // by itself, since give_up()
    bool closed_ = false;
    std::thread thread_;
};

}  // namespace shmd
