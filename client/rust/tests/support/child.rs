//! Children made by fork(2).

use std::panic::{catch_unwind, AssertUnwindSafe};

/// Runs this in a child made by fork(2), which ends with it. True when it returned, false when it panicked or was killed.
pub fn in_child(run: impl FnOnce()) -> bool {
    Child::fork(run).ends_well()
}

/// The same as another user and group. Needs root.
pub fn as_user(uid: u32, gid: u32, run: impl FnOnce()) -> bool {
    in_child(|| {
        become_user(uid, gid);
        run();
    })
}

/// All threads of this process become this user, for good.
pub fn become_user(uid: u32, gid: u32) {
    // SAFETY: plain system calls.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!(libc::setresgid(gid, gid, gid), 0);
        assert_eq!(libc::setresuid(uid, uid, uid), 0);
    }
}

pub struct Child(libc::pid_t);

impl Child {
    pub fn fork(run: impl FnOnce()) -> Self {
        // SAFETY: the child runs one thread, uses what glibc makes safe after a fork, and ends by _exit.
        match unsafe { libc::fork() } {
            -1 => panic!("fork: {}", std::io::Error::last_os_error()),
            0 => {
                // SAFETY: a child that hangs is ended, rather than waited for without an end.
                unsafe { libc::alarm(super::PATIENCE.as_secs() as u32 * 2) };
                let outcome = catch_unwind(AssertUnwindSafe(run));
                // SAFETY: ends the process without what the parent has to run at its end.
                unsafe { libc::_exit(outcome.is_err().into()) }
            }
            child => Child(child),
        }
    }

    pub fn pid(&self) -> i32 {
        self.0
    }

    /// The signal or status it ended by: (signal, 0) or (0, status).
    pub fn wait(mut self) -> (i32, i32) {
        self.reap()
    }

    pub fn ends_well(self) -> bool {
        self.wait() == (0, 0)
    }

    pub fn kill(&self) {
        // SAFETY: our child, not yet waited for.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }

    /// Waits until it sleeps, as in a system call that waits for something.
    pub fn await_sleep(&self) {
        await_sleep_of(self.0, self.0);
    }

    fn reap(&mut self) -> (i32, i32) {
        let mut status = 0;
        let child = std::mem::replace(&mut self.0, 0);
        // SAFETY: our child, waited for once.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        if libc::WIFSIGNALED(status) {
            (libc::WTERMSIG(status), 0)
        } else {
            (0, libc::WEXITSTATUS(status))
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.0 != 0 {
            self.kill();
            self.reap();
        }
    }
}

/// The calling thread's number.
pub fn thread_id() -> i32 {
    // SAFETY: a plain system call.
    unsafe { libc::syscall(libc::SYS_gettid) as i32 }
}

/// Waits until this thread of that process sleeps.
pub fn await_sleep_of(process: i32, thread: i32) {
    super::await_that("it sleeps", || {
        let stat = std::fs::read_to_string(format!("/proc/{process}/task/{thread}/stat")).expect("a thread");
        stat.rsplit(')').next().map_or(false, |rest| rest.trim_start().starts_with('S'))
    });
}

/// Threads that this process has.
pub fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("/proc").count()
}

/// Descriptors that this process has open.
pub fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc").count() - 1
}

/// Mappings of this process that are segments.
pub fn mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
    maps.lines().filter(|line| line.contains("memfd:")).count()
}

/// What a child inherited, to be consumed there. The parent keeps its own.
pub fn inherited<T>(value: &T) -> T {
    // SAFETY: called in a child, which ends without dropping the original.
    unsafe { std::ptr::read(value) }
}
