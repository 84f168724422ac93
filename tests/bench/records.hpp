// What shmd_iceoryx_bench sends, and how it waits for it: the same for both ways.
#pragma once

#include <sched.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "process.hpp"
#include "samples.hpp"

namespace shmd::bench {

enum class Content { whole, ends };  // what is written and read of a record

struct Shape {
    std::size_t bytes;
    Content content;
    const char* name;
    std::uint64_t burst;   // records one way in a block
    std::uint64_t window;  // so many are not yet read at most; an iceoryx queue has 256 places
    std::uint64_t trips;   // there and back, in a block
};

/// Waits without sleeping. The machine may have something else to do: then it steps back.
class Spin {
  public:
    void once() {
        __builtin_ia32_pause();
        if (++turns_ % 1000 != 0) return;
        ::sched_yield();
        if (turns_ % 1'000'000 == 0 && now_ns() - begin_ > 60'000'000'000) test::fail("the other side is silent");
    }

  private:
    std::uint64_t turns_ = 0;
    std::int64_t begin_ = now_ns();
};

/// What is written into a record and looked at in it, the same for both.
class Load {
  public:
    explicit Load(const Shape& shape) : shape_(shape), words_(shape.bytes / sizeof(std::uint64_t)) {
        for (std::size_t i = 0; i < words_.size(); i++) words_[i] = i * 2654435761U + 1;
        expected_ = sum(words_.data());
    }
    [[nodiscard]] std::size_t bytes() const { return shape_.bytes; }
    void fill(void* to) const {
        if (shape_.content == Content::whole) {
            std::memcpy(to, words_.data(), shape_.bytes);
        } else {
            auto* words = static_cast<std::uint64_t*>(to);
            words[0] = words_.front();
            words[words_.size() - 1] = words_.back();
        }
    }
    void check(const void* from, std::size_t bytes) const {
        if (bytes != shape_.bytes || sum(static_cast<const std::uint64_t*>(from)) != expected_)
            test::fail("not what was sent");
    }

  private:
    [[nodiscard]] std::uint64_t sum(const std::uint64_t* words) const {
        if (shape_.content == Content::ends) return words[0] + words[words_.size() - 1];
        std::uint64_t total = 0;
        for (std::size_t i = 0; i < words_.size(); i++) total += words[i];
        return total;
    }

    Shape shape_;
    std::vector<std::uint64_t> words_;
    std::uint64_t expected_ = 0;
};

enum class Side { parent, child };

}  // namespace shmd::bench
