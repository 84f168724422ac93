//! The version of a segment for event loops: a thread that sleeps on it, and a descriptor that it makes readable.

use std::fmt;
use std::mem;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use rustix::event::{eventfd, EventfdFlags};
use rustix::io::Errno;

use crate::area::{low_half, Area};
use crate::connection::lock;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::io_error;
use crate::open::Open;
use crate::recovery::Recovery;
use crate::waiting::{sleep_on_own, wake_own, Wait};

/// A descriptor that is readable once the version of a segment has moved on, for poll(2) and event loops: by [`AsFd`] and
/// [`AsRawFd`]. Made by [`Segment::watch_version`](crate::Segment::watch_version). Only wait for it to be readable:
/// [`take`](Self::take) reads.
///
/// It has a thread, which ends when this is dropped. It does not keep the segment open: when that is closed, the descriptor is
/// readable 16 seconds later at the latest, and `take` fails.
///
/// ```
/// # fn main() -> shmd::Result<()> {
/// # let client = shmd::Client::connect()?;
/// use rustix::event::{poll, PollFd, PollFlags}; // or mio, or tokio's AsyncFd
/// let news = client.create("doc/events", 4096)?;
/// let view = client.open("doc/events")?;
/// let mut watch = view.watch_version(view.version()?)?;
/// news.notify()?;
/// poll(&mut [PollFd::new(&watch, PollFlags::IN)], None).unwrap();
/// assert_eq!(watch.take()?, Some(1));
/// assert_eq!(watch.take()?, None);
/// # client.delete("doc/events")
/// # }
/// ```
pub struct VersionWatch {
    event: OwnedFd,
    shared: Arc<Watching>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread has, too.
struct Watching {
    area: Arc<Area>,
    /// STOP, and a count of the times that the thread was told to look again. A futex of this process.
    control: AtomicU32,
    state: Mutex<State>,
}

const STOP: u32 = 1;
const AGAIN: u32 = 2;

struct State {
    after: u64,
    /// The descriptor is readable.
    told: bool,
    over: bool,
    failed: Option<Error>,
}

impl VersionWatch {
    pub(crate) fn start(open: &Open, after: u64) -> Result<Self> {
        let area = open.shared_area()?;
        let recovery = open.own_recovery()?;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|error| match error {
            Errno::MFILE | Errno::NFILE => ErrorKind::TooManyFiles,
            _ => ErrorKind::System(io_error(error)),
        })?;
        let shared = Arc::new(Watching {
            area,
            control: AtomicU32::new(0),
            state: Mutex::new(State { after, told: false, over: false, failed: None }),
        });
        let run = {
            let (shared, event) = (shared.clone(), event.as_raw_fd());
            move || shared.run(recovery, event)
        };
        let thread = Builder::new().name("shmd-version".into()).spawn(run).map_err(ErrorKind::System)?;
        Ok(VersionWatch { event, shared, thread: Some(thread) })
    }

    /// The version that there is if it has moved on since the last time, or since `after`; none otherwise. The descriptor is
    /// readable again when it moves on from there.
    ///
    /// # Errors
    /// `Inherited` in a child made by fork(2), and what ends a wait for the version: `GrantEnded`, `NoDaemon`. After a failure
    /// there is nothing more to come, and the descriptor stays readable.
    pub fn take(&mut self) -> Result<Option<u64>> {
        self.shared.area.check_ours()?;
        let mut state = lock(&self.shared.state);
        if state.over {
            let failed = state.failed.take().unwrap_or_else(|| ErrorKind::GrantEnded.into());
            return Err(failed.trying(|| "wait for the version of a segment".into()));
        }
        if state.told {
            let mut count = [0; 8];
            let _ = rustix::io::read(&self.event, &mut count);
        }
        let version = self.shared.area.present_version();
        if version <= state.after && !state.told {
            return Ok(None);
        }
        let moved_on = version > state.after;
        state.after = version.max(state.after);
        state.told = false;
        drop(state);
        self.shared.control.fetch_add(AGAIN, Ordering::SeqCst);
        wake_own(&self.shared.control);
        Ok(moved_on.then_some(version))
    }
}

impl Watching {
    /// Until it is stopped, or the grant has ended. event: open until this returns.
    fn run(&self, recovery: Recovery, event: RawFd) {
        // SAFETY: the owner closes it after it has waited for this thread, or never.
        let event = unsafe { BorrowedFd::borrow_raw(event) };
        let mut wait = Wait::asking(recovery);
        if !self.area.is_writable() {
            wait.as_reader();
        }
        loop {
            let control = self.control.load(Ordering::SeqCst);
            if control & STOP != 0 {
                return;
            }
            if let Err(error) = self.step(&mut wait, control, event) {
                let mut state = lock(&self.state);
                state.over = true;
                state.failed = Some(error);
                return tell(event);
            }
        }
    }

    fn step(&self, wait: &mut Wait<'_>, control: u32, event: BorrowedFd<'_>) -> Result<()> {
        let after = {
            let mut state = lock(&self.state);
            if !state.told && self.area.present_version() > state.after {
                state.told = true;
                tell(event);
            }
            if state.told {
                None
            } else {
                Some(state.after)
            }
        };
        match after {
            None => {
                wait.restart();
                sleep_on_own(&self.control, control)
            }
            Some(after) => match self.area.before_sleep(after) {
                Some(asleep) => {
                    wait.sleep_on_two(low_half(self.area.version()), asleep, &self.control, control).map(drop)
                }
                None => Ok(()),
            },
        }
    }
}

fn tell(event: BorrowedFd<'_>) {
    // A count that cannot be added to is there already.
    let _ = rustix::io::write(event, &1u64.to_ne_bytes());
}

impl Drop for VersionWatch {
    fn drop(&mut self) {
        let thread = self.thread.take();
        if !self.shared.area.is_ours() {
            // A child made by fork(2) has no such thread.
            return mem::forget(thread);
        }
        self.shared.control.fetch_or(STOP, Ordering::SeqCst);
        wake_own(&self.shared.control);
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl AsFd for VersionWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

impl AsRawFd for VersionWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.event.as_raw_fd()
    }
}

impl fmt::Debug for VersionWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VersionWatch").field("fd", &self.as_raw_fd()).finish_non_exhaustive()
    }
}
