#include "change_page.hpp"

#include <sys/mman.h>

#include <utility>

namespace shmd {
namespace {

constexpr std::int64_t change_page_bytes = 4096;

}  // namespace

Result<ChangePage> ChangePage::create() {
    auto memory = Memory::create("changes", change_page_bytes, {.sealable = false});
    if (!memory) return std::move(memory).error();
    auto page = memory->map();
    if (!page) return std::move(page).error();
    return ChangePage(*std::move(memory), static_cast<Counts*>(*page));
}

ChangePage::ChangePage(ChangePage&& other) noexcept
    : memory_(std::move(other.memory_)), counts_(std::exchange(other.counts_, nullptr)) {}

ChangePage::~ChangePage() {
    if (counts_) ::munmap(counts_, change_page_bytes);
}

}  // namespace shmd
