// The daemon runs no programs, and whoever takes it over shall not either: not even from memory, which no mount option
// reaches.
#pragma once

namespace shmd {

/// From here on this process, and what it forks, cannot execute anything: EPERM. Call it while there is one thread. False
/// when this kernel or machine cannot do that.
bool forbid_exec();

}  // namespace shmd
