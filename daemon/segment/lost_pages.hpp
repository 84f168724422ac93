// Memory that clients may write is memory whose pages they may take away.
#pragma once

#include <functional>

namespace shmd {

/// Runs what reads and writes memory that others may take the pages of. False when the kernel could not give one back: what
/// was under way is left as it is then. access: must own nothing.
bool survives_lost_pages(const std::function<void()>& access);

}  // namespace shmd
