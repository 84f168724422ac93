// Memory that clients may write is memory whose pages they may take away.
#pragma once

#include <memory>

namespace shmd {

/// Runs access(what), which reads and writes memory that others may take the pages of. False when the kernel could not give one
/// back: what was under way is left as it is then. access: must own nothing.
bool survives_lost_pages(void (*access)(void* what), void* what);

template <typename Access>
bool survives_lost_pages(Access access) {
    return survives_lost_pages([](void* what) { (*static_cast<Access*>(what))(); }, std::addressof(access));
}

}  // namespace shmd
