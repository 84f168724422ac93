// shmd_info: what the daemon knows of a segment, as C reads it.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "messages.hpp"
#include "shmd/shmd.h"

namespace shmd::client {

/// Frees a chain.
struct FreeInfo {
    void operator()(shmd_info* first) const noexcept;
};
using InfoPointer = std::unique_ptr<shmd_info, FreeInfo>;

[[nodiscard]] InfoPointer make_info(Segment&& segment);
/// Infos one behind the other, in the order in which they are added.
class InfoChain {
  public:
    void add(Segment&& segment);
    /// The first; null for none.
    [[nodiscard]] InfoPointer take() && { return std::move(first_); }

  private:
    InfoPointer first_;
    shmd_info* last_ = nullptr;
};

/// The way back, for infos from wherever the caller has them.
[[nodiscard]] Segment segment_of(const shmd_info& info);

}  // namespace shmd::client
