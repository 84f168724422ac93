#include "suggest.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

namespace shmd::cli {
namespace {

// What other tools call these.
constexpr std::array<std::pair<std::string_view, std::string_view>, 21> synonyms{{
    {"list", "ls"},
    {"dir", "ls"},
    {"delete", "rm"},
    {"remove", "rm"},
    {"unlink", "rm"},
    {"new", "create"},
    {"show", "stat"},
    {"describe", "stat"},
    {"info", "stat"},
    {"cat", "read"},
    {"get", "read"},
    {"put", "write"},
    {"replace", "publish"},
    {"grow", "resize"},
    {"truncate", "resize"},
    {"events", "watch"},
    {"holders", "who"},
    {"lsof", "who"},
    {"fuser", "who"},
    {"disconnect", "kill"},
    {"setfacl", "acl"},
}};

// Letters to insert, remove, replace or swap with their neighbour.
std::size_t distance(std::string_view from, std::string_view to) {
    std::vector<std::vector<std::size_t>> rows(from.size() + 1, std::vector<std::size_t>(to.size() + 1));
    std::iota(rows[0].begin(), rows[0].end(), 0);
    for (std::size_t i = 1; i <= from.size(); i++) {
        rows[i][0] = i;
        for (std::size_t j = 1; j <= to.size(); j++) {
            std::size_t replaced = rows[i - 1][j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
            rows[i][j] = std::min({rows[i - 1][j] + 1, rows[i][j - 1] + 1, replaced});
            bool swapped = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
            if (swapped) rows[i][j] = std::min(rows[i][j], rows[i - 2][j - 2] + 1);
        }
    }
    return rows[from.size()][to.size()];
}

}  // namespace

std::optional<std::string> nearest(std::string_view typed, const std::vector<std::string>& candidates) {
    constexpr std::size_t longest_word = 32;
    if (typed.empty() || typed.size() > longest_word) return std::nullopt;
    for (const auto& [other, ours] : synonyms) {
        if (typed == other) return std::string(ours);
    }
    auto closer = [typed](const std::string& a, const std::string& b) {
        return distance(typed, a) < distance(typed, b);
    };
    auto best = std::min_element(candidates.begin(), candidates.end(), closer);
    if (best == candidates.end()) return std::nullopt;
    std::size_t allowed = std::max<std::size_t>(best->size() / 2, 1);
    if (distance(typed, *best) <= allowed || best->starts_with(typed)) return *best;
    return std::nullopt;
}

}  // namespace shmd::cli
