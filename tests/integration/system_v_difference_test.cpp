// The same random System V calls once on the kernel and once on shmd: every result, errno, IPC_STAT and byte must be the same.
//   SHMD_SYSV_SEEDS=5000 SHMD_SYSV_FIRST_SEED=1 SHMD_SYSV_STEPS=300 system_v_difference_test
// What is known to differ, and why: client/sysv/README.md. system_v_steps.cpp leaves that out.
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "daemon_fixture.hpp"

using namespace shmd::test;

namespace {

long from_environment(const char* name, long otherwise) {
    const char* value = std::getenv(name);
    return value ? std::strtol(value, nullptr, 10) : otherwise;
}

// Where every user may load them from.
struct Programs {
    TemporaryDirectory directory;
    std::string steps = directory.path() / "system_v_steps";
    std::string library = directory.path() / "libshmd-sysv.so";

    Programs() {
        std::filesystem::copy_file(SYSTEM_V_STEPS_PATH, steps);
        std::filesystem::copy_file(SHMD_SYSV_PATH, library);
    }
};

// The lines from the last step of which both tell the same on, up to the first that differs.
std::string first_difference(const std::string& kernel, const std::string& shmd) {
    std::istringstream left(kernel), right(shmd);
    std::string same, one, other;
    for (;;) {
        bool has_one = static_cast<bool>(std::getline(left, one)), has_other = static_cast<bool>(std::getline(right, other));
        if (!has_one && !has_other) return {};
        if (!has_one) one = "(the end)";
        if (!has_other) other = "(the end)";
        if (one != other) return same + "kernel: " + one + "\nshmd:   " + other + "\n";
        if (one.front() != ' ') same.clear();
        same += one + "\n";
    }
}

}  // namespace

TEST_CASE("the kernel and shmd answer the same to random System V calls" * doctest::skip(!is_root())) {
    const Programs programs;
    const long first = from_environment("SHMD_SYSV_FIRST_SEED", 1);
    const long seeds = from_environment("SHMD_SYSV_SEEDS", 40);
    const std::string steps = std::to_string(from_environment("SHMD_SYSV_STEPS", 250));
    for (long seed = first; seed < first + seeds; seed++) {
        const std::string number = std::to_string(seed);
        auto kernel = run_command({programs.steps, "kernel", number, steps});
        REQUIRE_MESSAGE(kernel.status == 0, "seed " << number << ": " << kernel.err);
        const Daemon daemon;
        auto shmd = run_command({programs.steps, "shmd", number, steps},
                                {"LD_PRELOAD=" + programs.library, "SHMD_SOCKET=" + daemon.socket()});
        CHECK_MESSAGE(shmd.err == "", "seed " << number);
        CHECK_MESSAGE(shmd.status == 0, "seed " << number);
        const std::string difference = first_difference(kernel.out, shmd.out);
        CHECK_MESSAGE(difference == "", "again: SHMD_SYSV_FIRST_SEED=" << number << " SHMD_SYSV_SEEDS=1 SHMD_SYSV_STEPS=" << steps);
        CHECK_MESSAGE(kernel.out.find("has died") == std::string::npos, "seed " << number << " ends a worker");
    }
}
