#include "blank_pool.hpp"

#include <fcntl.h>

#include <memory>
#include <utility>

#include "memory.hpp"

namespace shmd {

std::optional<BlankPool::Blank> BlankPool::take() {
    if (blanks_.size() + ordered_ <= full - portion) fill();
    if (blanks_.empty()) return std::nullopt;
    Blank blank = std::move(blanks_.back());
    blanks_.pop_back();
    return blank;
}

void BlankPool::fill() {
    while (blanks_.size() + ordered_ < full) {
        auto made = Memory::blank();
        if (!made) return;
        auto slot = store_.take_slot();
        if (!slot) return;
        // For the store's thread, which closes it when it has sent it.
        UniqueFd sent(::fcntl(made->get(), F_DUPFD_CLOEXEC, 0));
        if (!sent) return store_.remove(*slot);
        ordered_++;
        auto blank = std::make_shared<Blank>(*slot, *std::move(made));
        store_.add(*slot, std::move(sent), FdStore::Haste::soon, [this, blank] {
            ordered_--;
            blanks_.push_back(std::move(*blank));
        });
    }
}

}  // namespace shmd
