//! Waiting in a sync area: for how long, in which steps, and with a question to the daemon now and then.

use std::ffi::c_void;
use std::sync::atomic::AtomicU32;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::thread::futex::{self, Flags, WaitFlags, WaitPtr, WaitvFlags};
use rustix::thread::ClockId;
use rustix::time::{clock_gettime, Timespec};

use crate::area::has_readers;
use crate::error::{ErrorKind, Result};
use crate::frame::io_error;
use crate::open::Open;
use crate::recovery::Recovery;

/// After how long a sleep the daemon is asked, the first time. What was missed, by whomever, does not last.
const FIRST_SLEEP: Duration = Duration::from_secs(1);
/// Each one is twice as long as the one before, up to this.
const LONGEST_SLEEP: Duration = Duration::from_secs(16);
/// The longest one where the kernel cannot wait for two words at once (before Linux 5.16).
const LONGEST_SLEEP_ON_ONE: Duration = Duration::from_millis(50);
/// The longest one of who may write, where somebody may only read the area, who can still take a wake-up that was another's.
const LONGEST_SLEEP_BESIDE_READERS: Duration = Duration::from_millis(50);
/// That of those who may only read.
const LONGEST_SLEEP_AS_READER: Duration = Duration::from_secs(1);
/// Looking so often before sleeping is cheaper than sleeping when what is waited for takes little time.
const SPINS: u32 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Does not wait.
    Now,
    /// From the first sleep on.
    For(Duration),
    Until(Instant),
    Never,
}

impl From<Option<Duration>> for Limit {
    fn from(timeout: Option<Duration>) -> Self {
        match timeout {
            None => Limit::Never,
            Some(Duration::ZERO) => Limit::Now,
            Some(timeout) => Limit::For(timeout),
        }
    }
}

/// Whom to ask about holders that may have died.
enum Asking<'a> {
    /// The connection that has the segment, once it is needed.
    Of(&'a Open),
    By(Box<Recovery>),
}

/// One wait.
pub(crate) struct Wait<'a> {
    limit: Limit,
    asking: Asking<'a>,
    ask_at: Option<Instant>,
    pause: Duration,
    spins: u32,
    beside_readers: Duration,
}

impl<'a> Wait<'a> {
    pub(crate) fn new(open: &'a Open, limit: Limit) -> Self {
        Wait {
            limit,
            asking: Asking::Of(open),
            ask_at: None,
            pause: FIRST_SLEEP,
            spins: SPINS,
            beside_readers: LONGEST_SLEEP_BESIDE_READERS,
        }
    }

    /// Without an end.
    pub(crate) fn asking(recovery: Recovery) -> Wait<'static> {
        Wait {
            limit: Limit::Never,
            asking: Asking::By(Box::new(recovery)),
            ask_at: None,
            pause: FIRST_SLEEP,
            spins: 0,
            beside_readers: LONGEST_SLEEP_BESIDE_READERS,
        }
    }

    /// Of somebody who may only read the area.
    pub(crate) fn as_reader(&mut self) {
        self.beside_readers = LONGEST_SLEEP_AS_READER;
    }

    /// Begins anew.
    pub(crate) fn restart(&mut self) {
        self.ask_at = None;
        self.pause = FIRST_SLEEP;
    }

    /// Whether it is to look once, and not to wait.
    pub(crate) fn is_now(&self) -> bool {
        self.limit == Limit::Now
    }

    /// True when it is too early to sleep: look again.
    pub(crate) fn spin(&mut self) -> bool {
        if self.spins == 0 {
            return false;
        }
        self.spins -= 1;
        std::hint::spin_loop();
        true
    }

    pub(crate) fn is_over(&mut self) -> bool {
        matches!(self.left(Instant::now()), Some(Duration::ZERO))
    }

    /// None: without an end.
    fn left(&mut self, now: Instant) -> Option<Duration> {
        if let Limit::For(timeout) = self.limit {
            // Beyond what the clock can tell is without an end.
            self.limit = now.checked_add(timeout).map_or(Limit::Never, Limit::Until);
        }
        match self.limit {
            Limit::Until(end) => Some(end.saturating_duration_since(now)),
            Limit::Now => Some(Duration::ZERO),
            Limit::For(_) | Limit::Never => None,
        }
    }

    /// For how long to sleep now; none when the time is over. Asks the daemon when it is time for that.
    fn step(&mut self) -> Result<Option<Duration>> {
        let now = Instant::now();
        let left = self.left(now);
        if left == Some(Duration::ZERO) {
            return Ok(None);
        }
        let mut ask_at = *self.ask_at.get_or_insert(now + self.pause);
        if ask_at <= now {
            self.ask()?;
            self.pause = LONGEST_SLEEP.min(self.pause * 2);
            ask_at = now + self.pause;
            self.ask_at = Some(ask_at);
        }
        let step = ask_at.saturating_duration_since(now);
        Ok(Some(left.map_or(step, |left| left.min(step))))
    }

    fn ask(&mut self) -> Result<()> {
        if let Asking::Of(open) = self.asking {
            match open.recovery()? {
                Some(recovery) => self.asking = Asking::By(Box::new(recovery)),
                None => return Ok(()),
            }
        }
        match &mut self.asking {
            Asking::By(recovery) => recovery.ask(),
            Asking::Of(_) => Ok(()),
        }
    }

    /// Sleeps while the futex has this value, but not for long: look again. False when the time was over before.
    pub(crate) fn sleep(&mut self, word: &AtomicU32, value: u32) -> Result<bool> {
        match self.step()? {
            Some(step) => sleep_on(word, value, self.at_most(word, step)).map(|()| true),
            None => Ok(false),
        }
    }

    fn at_most(&self, word: &AtomicU32, step: Duration) -> Duration {
        if has_readers(word) {
            step.min(self.beside_readers)
        } else {
            step
        }
    }

    /// The same while also a word of this process has this value.
    pub(crate) fn sleep_on_two(
        &mut self,
        word: &AtomicU32,
        value: u32,
        own: &AtomicU32,
        own_value: u32,
    ) -> Result<bool> {
        let step = match self.step()? {
            Some(step) => self.at_most(word, step),
            None => return Ok(false),
        };
        let one = |word: &AtomicU32, value: u32, flags| {
            let mut wait = futex::Wait::new();
            wait.val = value.into();
            let place: *const AtomicU32 = word;
            wait.uaddr = WaitPtr::new(place as *mut c_void);
            wait.flags = WaitFlags::SIZE_U32 | flags;
            wait
        };
        let both = [one(word, value, WaitFlags::empty()), one(own, own_value, WaitFlags::PRIVATE)];
        let end = timespec(duration(clock_gettime(ClockId::Monotonic)) + step);
        match futex::waitv(&both, WaitvFlags::empty(), Some(&end), ClockId::Monotonic) {
            // Some sandboxes say EPERM of what they do not know.
            Err(Errno::NOSYS | Errno::PERM) => {
                sleep_on(word, value, step.min(LONGEST_SLEEP_ON_ONE))?;
            }
            outcome => looked_at(outcome.map(drop))?,
        }
        Ok(true)
    }

    /// Sleeps for so long. False when the time was over before.
    pub(crate) fn nap(&mut self, length: Duration) -> Result<bool> {
        match self.step()? {
            Some(step) => {
                thread::sleep(length.min(step));
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

/// Sleeps while a word of this process has this value.
pub(crate) fn sleep_on_own(word: &AtomicU32, value: u32) -> Result<()> {
    looked_at(futex::wait(word, Flags::PRIVATE, value, None))
}

pub(crate) fn wake_own(word: &AtomicU32) {
    let _ = futex::wake(word, Flags::PRIVATE, ALL);
}

/// As many as FUTEX_WAKE can name.
pub(crate) const ALL: u32 = i32::MAX as u32;

pub(crate) fn wake(word: &AtomicU32, how_many: u32) {
    // Nothing can be done about memory that is not there any more, and those who sleep on it look again by themselves.
    let _ = futex::wake(word, Flags::empty(), how_many);
}

fn sleep_on(word: &AtomicU32, value: u32, length: Duration) -> Result<()> {
    looked_at(futex::wait(word, Flags::empty(), value, Some(&timespec(length))))
}

/// All but a failure says: look again.
fn looked_at(outcome: std::result::Result<(), Errno>) -> Result<()> {
    match outcome {
        Ok(()) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => Ok(()),
        Err(error) => Err(ErrorKind::System(io_error(error)).into()),
    }
}

fn timespec(length: Duration) -> Timespec {
    Timespec { tv_sec: length.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: length.subsec_nanos().into() }
}

fn duration(time: Timespec) -> Duration {
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}
