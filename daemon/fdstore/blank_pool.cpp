#include "blank_pool.hpp"

#include <fcntl.h>

#include <memory>
#include <utility>

#include "memory.hpp"

namespace shmd {

std::optional<BlankPool::Stored> BlankPool::take() {
    if (blanks_.size() + ordered_ <= full - portion) fill();
    if (blanks_.empty()) return std::nullopt;
    Stored stored = std::move(blanks_.back());
    blanks_.pop_back();
    return stored;
}

bool BlankPool::give_up() {
    bool any = false;
    for (Stored& stored : blanks_) {
        any = any || stored.blank.writer;
        stored.blank.writer.reset();
    }
    return any;
}

void BlankPool::fill() {
    while (blanks_.size() + ordered_ < full) {
        auto slot = store_.take_slot();
        if (!slot) return;
        auto stored = std::make_shared<Stored>(Stored{*slot, make()});
        // For the store's thread, which closes it when it has sent it.
        UniqueFd sent(::fcntl(stored->blank.file.get(), F_DUPFD_CLOEXEC, 0));
        if (!sent) return store_.remove(*slot);
        ordered_++;
        store_.add(*slot, std::move(sent), FdStore::Haste::soon, [this, stored] {
            ordered_--;
            blanks_.push_back(std::move(*stored));
        });
    }
}

// Made here where whoever takes them is faster than the thread. No file in it: there are no descriptors.
Blank BlankPool::make() {
    if (auto ready = source_.take()) return *std::move(ready);
    auto made = Memory::blank();
    return made ? *std::move(made) : Blank{};
}

}  // namespace shmd
