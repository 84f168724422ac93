// Who serves this process: shmd, the kernel, or nobody. Says on stderr, once, when it is nobody.
#pragma once

namespace shmd::sysv {

enum class Server { shmd, kernel };

/// Decided at the first call: the kernel when no daemon answers and $SHMD_SYSV_FALLBACK is "kernel", else shmd, for the life of
/// the process and of its children.
[[nodiscard]] Server server();

/// After a connection that failed with this errno: the errno for the caller.
[[nodiscard]] int no_daemon(int error);

}  // namespace shmd::sysv
