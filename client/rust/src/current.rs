//! Which connection a process's calls go to: made when it is needed, another one when it has ended, after a change of user,
//! and in a child made by fork(2).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::Mutex;

use rustix::process::{getpid, Pid};

use crate::connection::{lock, Connection, Link};
use crate::error::Result;

/// The connections to the daemon at one path, one at a time.
pub(crate) struct Current {
    path: PathBuf,
    /// Never null. Exchanged by the first call of a child after fork(2), which leaves the old one as it is, for ever:
    /// another thread of the parent may have been changing it.
    state: AtomicPtr<PerProcess>,
}

struct PerProcess {
    process: Pid,
    current: Mutex<Option<Link>>,
}

impl Current {
    /// Connects when it is first needed.
    pub(crate) fn new(path: PathBuf) -> Self {
        Current { path, state: AtomicPtr::new(PerProcess::new()) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn state(&self) -> &PerProcess {
        let found = self.state.load(Ordering::Acquire);
        // SAFETY: never null, and none that was here is freed but by the destructor of this.
        let state = unsafe { &*found };
        if state.process == getpid() {
            return state;
        }
        let new = PerProcess::new();
        match self.state.compare_exchange(found, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                state.abandon();
                // SAFETY: as above.
                unsafe { &*new }
            }
            Err(theirs) => {
                // SAFETY: `new` came from a Box and nobody has seen it; `theirs` as above.
                unsafe {
                    drop(Box::from_raw(new));
                    &*theirs
                }
            }
        }
    }

    /// The connection for a call by the caller as it is now.
    pub(crate) fn connection(&self) -> Result<Link> {
        let mut current = lock(&self.state().current);
        while let Some(link) = current.as_ref() {
            if link.is_usable() {
                return Ok(link.clone());
            }
            if !link.has_ended() {
                break; // another user now
            }
            // Whoever this process is now, it may take up what it had.
            let next = link.successor()?;
            *current = Some(next);
        }
        *current = None;
        let made = Connection::open(&self.path)?;
        *current = Some(made.clone());
        Ok(made)
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        let state = *self.state.get_mut();
        // SAFETY: never null, and nobody else has it: this is the last share.
        unsafe {
            if (*state).process == getpid() {
                drop(Box::from_raw(state));
            } else {
                (*state).abandon();
            }
        }
    }
}

impl PerProcess {
    fn new() -> *mut Self {
        Box::into_raw(Box::new(PerProcess { process: getpid(), current: Mutex::new(None) }))
    }

    /// In a child: closes the inherited socket. If a thread of the parent was just making another one, nothing is done.
    fn abandon(&self) {
        if let Ok(mut current) = self.current.try_lock() {
            drop(current.take());
        }
    }
}
