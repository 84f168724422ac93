// Files that are in the fd store before anybody needs them, so that a Create need not wait for the service manager.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "fd_store.hpp"
#include "unique_fd.hpp"

namespace shmd {

class BlankPool {
  public:
    struct Blank {
        Blank(Slot s, UniqueFd f) : slot(s), fd(std::move(f)) {}
        Slot slot;
        UniqueFd fd;
    };

    explicit BlankPool(FdStore& store) : store_(store) {}
    BlankPool(const BlankPool&) = delete;
    BlankPool& operator=(const BlankPool&) = delete;

    /// One that is stored, if there is one; orders more when they get few.
    std::optional<Blank> take();
    /// Takes one over that an earlier process has left.
    void adopt(Blank blank) { blanks_.push_back(std::move(blank)); }
    /// Orders what is missing.
    void fill();

    /// How many there are when nobody takes any.
    static constexpr std::size_t full = 64;

  private:
    // So many are made at a time: whoever calls just then waits for it.
    static constexpr std::size_t portion = 8;

    FdStore& store_;
    std::vector<Blank> blanks_;
    std::size_t ordered_ = 0;
};

}  // namespace shmd
