// The cases, a file each. Each registers itself with Google Benchmark, measures ours and its references in the same
// run, and gives the report its rows.
#pragma once

#include <string>

#include "report.hpp"

namespace shmd::bench {

struct Settings {
    /// A run that only shows that everything works: few samples, small sizes.
    bool quick = false;
    Report& report;

    [[nodiscard]] int choose(int full, int small) const { return quick ? small : full; }
};

// The settings must outlive the run.

/// Open, map, touch, unmap and detach, through libshmd: against the floor, System V and POSIX. And Describe.
void add_open_cases(const Settings& settings);
/// Create, touch, detach and delete.
void add_create_cases(const Settings& settings);
/// Opens by several clients at once, on one processor.
void add_throughput_cases(const Settings& settings);
/// What many live segments cost: time to open one, and memory of the daemon.
void add_many_cases(const Settings& settings);
/// Copies into a segment against copies into a mapping of a bare memfd.
void add_data_path_cases(const Settings& settings);
/// Opens while another client has large memory made.
void add_large_creates_cases(const Settings& settings);
/// Opens by 64 clients of which one does what it can to the others.
void add_fair_cases(const Settings& settings);
/// Large memory made, written once and freed, against POSIX shared memory.
void add_fresh_cases(const Settings& settings);

/// Batches, replacing under readers, leases and watchers.
void add_life_cases(const Settings& settings);
/// Calls to a daemon whose segments outlive it, and its start with many.
void add_keeping_cases(const Settings& settings);

/// The drop-in's calls beside the kernel's.
void add_system_v_cases(const Settings& settings);

/// Locks and wake-ups.
void add_sync_cases(const Settings& settings);
/// The ring buffer beside a Unix socket.
void add_ring_cases(const Settings& settings);
/// Objects from one process to another: beside the kernel's shared memory, Redis and memcached.
void add_put_get_cases(const Settings& settings);

}  // namespace shmd::bench
