// What may come next on a command line that is not finished yet: for the shells' completions in completions/.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace shmd::cli {

/// The argument that shells put first: "shmdctl __complete WORD... LAST", with all words after "shmdctl" up to the cursor.
inline constexpr const char* complete_argument = "__complete";

/// Prints what LAST, which may be empty, can become: a line each, a tab and a description behind it. A line ":files" asks the
/// shell for names of files. Says nothing of what goes wrong, and gives up on a daemon that does not answer in a moment.
void complete(const CLI::App& app, const std::vector<std::string>& words);

}  // namespace shmd::cli
