#include "report.hpp"

#include <sys/utsname.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace shmd::bench {
namespace {

// A number with its unit, in 8 columns and the unit.
std::string quantity(double value, const std::string& unit) {
    char text[64];
    if (unit != "ns") {
        std::snprintf(text, sizeof text, "%8.1f %s", value, unit.c_str());
    } else if (value < 1e3) {
        std::snprintf(text, sizeof text, "%8.1f ns", value);
    } else if (value < 1e6) {
        std::snprintf(text, sizeof text, "%8.2f µs", value / 1e3);
    } else {
        std::snprintf(text, sizeof text, "%8.2f ms", value / 1e6);
    }
    return text;
}

std::string goal_text(const Row& row) {
    if (!row.met()) return "";
    char text[32];
    std::string goals;
    if (row.exactly) {
        std::snprintf(text, sizeof text, "1.00 ± %.2f", *row.goal);
        goals = text;
    } else if (row.goal) {
        std::snprintf(text, sizeof text, "≤ %.2f", *row.goal);
        goals = text;
    }
    if (row.goal_p99) {
        std::snprintf(text, sizeof text, "%sp99 ≤ %.2f", goals.empty() ? "" : ", ", *row.goal_p99);
        goals += text;
    }
    return goals + (*row.met() ? "  met" : "  MISSED");
}

void print_measure(const Row& row, const char* statistic, double ours, double reference, double ratio) {
    constexpr std::size_t column = 28;
    bool median = statistic[0] == 'm';
    // A name that is too long has a line of its own.
    if (median && row.name.size() > column) std::printf("%s\n", row.name.c_str());
    std::printf("%-28s %-7s %s   %-20s %s   %6.3f   %s\n", median && row.name.size() <= column ? row.name.c_str() : "",
                statistic, quantity(ours, row.unit).c_str(), median ? row.reference_name.c_str() : "",
                quantity(reference, row.unit).c_str(), ratio, median ? goal_text(row).c_str() : "");
}

nlohmann::ordered_json to_json(const Row& row) {
    if (row.skipped) {
        return {{"case", row.name}, {"referenceName", row.reference_name}, {"skipped", *row.skipped}};
    }
    nlohmann::ordered_json item{{"case", row.name},           {"ours", row.ours},
                                {"reference", row.reference}, {"referenceName", row.reference_name},
                                {"ratio", row.ratio()},       {"unit", row.unit}};
    if (row.has_p99()) {
        item["oursP99"] = row.ours_p99;
        item["referenceP99"] = row.reference_p99;
        item["ratioP99"] = row.ratio_p99();
    }
    if (row.goal) item["goal"] = *row.goal;
    if (row.goal_p99) item["goalP99"] = *row.goal_p99;
    if (row.exactly) item["goalIsDistance"] = true;
    if (auto met = row.met()) item["goalMet"] = *met;
    return item;
}

}  // namespace

std::optional<bool> Row::met() const {
    if (!goal && !goal_p99) return std::nullopt;
    if (exactly) return std::abs(ratio() - 1) <= *goal;
    return (!goal || ratio() <= *goal) && (!goal_p99 || ratio_p99() <= *goal_p99);
}

Row compare(std::string name, const Race& race, std::size_t reference) {
    return compare(std::move(name), race, 0, reference);
}

Row compare(std::string name, const Race& race, std::size_t ours, std::size_t reference) {
    const Samples& us = race.samples(ours);
    const Samples& them = race.samples(reference);
    return {std::move(name), race.name(reference), us.median(), them.median(), us.p99(), them.p99()};
}

Row compare_in_pairs(std::string name, const Race& race, std::size_t ours, std::size_t reference) {
    const Samples& us = race.samples(ours);
    const Samples& them = race.samples(reference);
    Samples ratios;
    for (std::size_t i = 0; i < us.size(); i++) ratios.add(us.values()[i] / them.values()[i]);
    Row row{std::move(name), race.name(reference), us.median(), them.median()};
    row.paired_ratio = ratios.median();
    return row;
}

Row skip(std::string name, std::string reference_name, std::string why) {
    Row row{std::move(name), std::move(reference_name)};
    row.skipped = std::move(why);
    return row;
}

void print_heading() {
    utsname system{};
    ::uname(&system);
    std::printf("Linux %s, %ld processors\n\n", system.release, ::sysconf(_SC_NPROCESSORS_ONLN));
    std::printf("%-28s %-7s %11s   %-20s %11s   %6s   %s\n", "case", "", "ours", "reference", "", "ratio", "goal");
    std::fflush(stdout);
}

void print(const Row& row) {
    if (row.skipped) {
        std::printf("%-28s skipped: %s: %s\n", row.name.c_str(), row.reference_name.c_str(), row.skipped->c_str());
    } else {
        print_measure(row, "median", row.ours, row.reference, row.ratio());
        if (row.has_p99()) print_measure(row, "p99", row.ours_p99, row.reference_p99, row.ratio_p99());
    }
    std::fflush(stdout);
}

void write_json(const std::vector<Row>& rows, const std::string& path) {
    auto list = nlohmann::ordered_json::array();
    for (const Row& row : rows) list.push_back(to_json(row));
    std::ofstream file(path);
    file << list.dump(2) << '\n';
    if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

void Report::add(Row row) {
    if (!judge_) row.goal = row.goal_p99 = std::nullopt;
    rows_.push_back(std::move(row));
}

bool Report::ReportContext(const Context&) {
    print_heading();
    return true;
}

void Report::ReportRuns(const std::vector<Run>& runs) {
    for (const Run& run : runs) {
        if (!run.error_occurred) continue;
        std::printf("%-28s not measured: %s\n", run.run_name.function_name.c_str(), run.error_message.c_str());
        complete_ = false;
    }
    if (printed_ == rows_.size()) complete_ = false;
    for (; printed_ < rows_.size(); printed_++) print(rows_[printed_]);
    std::fflush(stdout);
}

void Report::Finalize() {
    if (!judge_) return;
    int goals = 0, met = 0;
    for (const Row& row : rows_) {
        if (!row.met()) continue;
        goals++;
        if (*row.met()) met++;
    }
    std::printf("\n%d of %d goals met\n", met, goals);
}

}  // namespace shmd::bench
