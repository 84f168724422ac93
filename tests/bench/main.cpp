// shmd_bench: measures shmd beside the least that the kernel could take for the same, in the same run.
#define DOCTEST_CONFIG_IMPLEMENT
#include <benchmark/benchmark.h>
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "cases.hpp"

namespace {

using shmd::bench::Report;
using shmd::bench::Settings;

struct Options {
    bool quick = false;
    std::optional<std::string> json;
    std::vector<char*> for_library;  // ended by a null pointer
};

void print_help() {
    std::puts(
        "Usage: shmd_bench [--quick] [--json FILE] [--benchmark_filter=REGEX] [--benchmark_list_tests]\n"
        "Measures shmd and the floor under it in turns, and prints their ratios.\n"
        "  --quick      only shows that every case works: the numbers mean nothing\n"
        "  --json FILE  also writes the rows to this file\n"
        "Further options are those of Google Benchmark.");
}

[[noreturn]] void misused(const std::string& what) {
    std::fprintf(stderr, "shmd_bench: %s; see --help\n", what.c_str());
    std::exit(2);
}

Options parse(int argc, char** argv) {
    Options options;
    options.for_library.push_back(argv[0]);
    for (int i = 1; i < argc; i++) {
        std::string argument = argv[i];
        if (argument == "--help" || argument == "-h") {
            print_help();
            std::exit(0);
        } else if (argument == "--quick") {
            options.quick = true;
        } else if (argument == "--json") {
            if (++i == argc) misused("--json needs the name of a file");
            options.json = argv[i];
        } else {
            options.for_library.push_back(argv[i]);
        }
    }
    int count = static_cast<int>(options.for_library.size());
    options.for_library.push_back(nullptr);
    benchmark::Initialize(&count, options.for_library.data());
    if (count > 1) misused("unknown option " + std::string(options.for_library[1]));
    return options;
}

Options* given = nullptr;
bool worked = false;

// The fixtures of the tests end what fails through doctest, so a whole run is a test case.
TEST_CASE("every case that runs is measured") {
    Report report(!given->quick);
    const Settings settings{given->quick, report};
    shmd::bench::add_open_cases(settings);
    shmd::bench::add_create_cases(settings);
    shmd::bench::add_throughput_cases(settings);
    shmd::bench::add_many_cases(settings);
    shmd::bench::add_data_path_cases(settings);
    shmd::bench::add_large_creates_cases(settings);
    shmd::bench::add_fair_cases(settings);
    shmd::bench::add_fresh_cases(settings);
    shmd::bench::add_life_cases(settings);
    shmd::bench::add_keeping_cases(settings);
    shmd::bench::add_system_v_cases(settings);
    shmd::bench::add_sync_cases(settings);
    shmd::bench::add_ring_cases(settings);
    shmd::bench::add_put_get_cases(settings);
    std::size_t matching = benchmark::RunSpecifiedBenchmarks(&report);
    worked = matching > 0 && report.complete();
    if (given->json) shmd::bench::write_json(report.rows(), *given->json);
}

}  // namespace

int main(int argc, char** argv) {
    Options options = parse(argc, argv);
    given = &options;
    doctest::Context context;
    context.setOption("minimal", true);
    context.setOption("no-colors", true);
    int failed = context.run();
    return failed == 0 && worked ? 0 : 1;
}
