// Measured times and what is said of them: the median, and the 99th percentile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace shmd::bench {

/// CLOCK_MONOTONIC in nanoseconds.
[[nodiscard]] std::int64_t now_ns();

/// Times of one operation, in nanoseconds, in the order of their measuring.
class Samples {
  public:
    void add(double ns) { values_.push_back(ns); }

    [[nodiscard]] std::size_t size() const { return values_.size(); }
    [[nodiscard]] const std::vector<double>& values() const { return values_; }
    [[nodiscard]] double median() const { return quantile(0.5); }
    [[nodiscard]] double p99() const { return quantile(0.99); }
    [[nodiscard]] double mean() const;

  private:
    [[nodiscard]] double quantile(double part) const;

    std::vector<double> values_;
};

}  // namespace shmd::bench
