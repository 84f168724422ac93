// The results: ours beside its reference, their ratio, and what it should be. A table for people, JSON for programs.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "race.hpp"

namespace shmd::bench {

/// Ours against a reference. In nanoseconds unless `unit` says otherwise; the p99s are 0 where there are none.
struct Row {
    std::string name;
    std::string reference_name;
    double ours = 0, reference = 0;
    double ours_p99 = 0, reference_p99 = 0;
    std::string unit = "ns";
    // What the ratios are to be at most; with `exactly`, how far from 1 the median's may be.
    std::optional<double> goal{}, goal_p99{};
    bool exactly = false;
    // The median's ratio where it is not the quotient of the medians.
    std::optional<double> paired_ratio{};
    // Why there is no reference here, and so no times.
    std::optional<std::string> skipped{};

    [[nodiscard]] double ratio() const { return paired_ratio.value_or(ours / reference); }
    [[nodiscard]] double ratio_p99() const { return ours_p99 / reference_p99; }
    [[nodiscard]] bool has_p99() const { return reference_p99 > 0; }
    /// Nothing when there is no goal.
    [[nodiscard]] std::optional<bool> met() const;
};

/// The race's runner 0 against another one of it.
[[nodiscard]] Row compare(std::string name, const Race& race, std::size_t reference);
/// Any runner against any other.
[[nodiscard]] Row compare(std::string name, const Race& race, std::size_t ours, std::size_t reference);
/// For a reference that this machine does not have.
[[nodiscard]] Row skip(std::string name, std::string reference_name, std::string why);
/// Any runner against any other. The ratio is the median of those of neighbours in time: for blocks of one, where small
/// differences count.
[[nodiscard]] Row compare_in_pairs(std::string name, const Race& race, std::size_t ours, std::size_t reference);

/// The table: its heading, and a row.
void print_heading();
void print(const Row& row);
/// An array of objects {case, ours, reference, referenceName, ratio, unit, oursP99, ...}, or {case, referenceName,
/// skipped}. Throws std::runtime_error.
void write_json(const std::vector<Row>& rows, const std::string& path);

/// Prints each case's rows when Google Benchmark reports its end.
class Report : public benchmark::BenchmarkReporter {
  public:
    /// Without judging, goals are left out: the numbers mean nothing.
    explicit Report(bool judge) : judge_(judge) {}

    /// For a case that runs.
    void add(Row row);

    /// Every case that ran has given rows.
    [[nodiscard]] bool complete() const { return complete_; }
    [[nodiscard]] const std::vector<Row>& rows() const { return rows_; }

    bool ReportContext(const Context& context) override;
    void ReportRuns(const std::vector<Run>& runs) override;
    void Finalize() override;

  private:
    bool judge_;
    std::vector<Row> rows_;
    std::size_t printed_ = 0;
    bool complete_ = true;
};

}  // namespace shmd::bench
