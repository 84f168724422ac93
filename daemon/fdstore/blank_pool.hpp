// Files that are in the fd store before anybody needs them, so that a Create need not wait for the service manager.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "blanks.hpp"
#include "fd_store.hpp"
#include "memory.hpp"
#include "unique_fd.hpp"

namespace shmd {

class BlankPool {
  public:
    struct Stored {
        Slot slot;
        Blank blank;
    };

    /// blanks: where they come from.
    BlankPool(FdStore& store, Blanks& blanks) : store_(store), source_(blanks) {}
    BlankPool(const BlankPool&) = delete;
    BlankPool& operator=(const BlankPool&) = delete;

    /// One that is stored, if there is one; orders more when they get few.
    std::optional<Stored> take();
    /// Takes one over that an earlier process has left.
    void adopt(Slot slot, Blank blank) { blanks_.push_back({slot, std::move(blank)}); }
    /// Orders what is missing.
    void fill();
    /// Closes what can be done without: the files stay. True when that has freed descriptors.
    bool give_up();

    /// How many there are when nobody takes any.
    static constexpr std::size_t full = 64;

  private:
    Blank make();

    // So many are ordered at a time, so that the manager is not told of each.
    static constexpr std::size_t portion = 8;

    FdStore& store_;
    Blanks& source_;
    std::vector<Stored> blanks_;
    std::size_t ordered_ = 0;
};

}  // namespace shmd
