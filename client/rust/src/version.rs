//! The version of a segment: a count that goes up by `notify`, to wait for.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use crate::area::{low_half, peek, Area, HAD_READERS};
use crate::error::{Error, Result};
use crate::grant::{Grant, ReadWrite};
use crate::segment::Segment;
use crate::version_watch::VersionWatch;
use crate::waiting::{wake, Wait, ALL};

impl<G: Grant> Segment<G> {
    /// How often somebody has called [`notify`](Segment::notify): 0 at first, never less than before.
    ///
    /// # Errors
    /// Those of the [locks](Segment::lock).
    pub fn version(&self) -> Result<u64> {
        self.open.area().map(Area::present_version).map_err(|error| self.in_context(error, "look at the version of"))
    }

    /// Waits until the version is more than `after`, and gives the one that there is. None when the time is over; a timeout of
    /// `None` waits without an end.
    ///
    /// ```
    /// # fn main() -> shmd::Result<()> {
    /// # let client = shmd::Client::connect()?;
    /// # use std::time::Duration;
    /// let news = client.create("doc/news", 4096)?;
    /// let view = client.open("doc/news")?;
    /// let seen = view.version()?; // before it looks at the content, so as to miss nothing
    /// news.write_at(0, b"something new")?;
    /// news.notify()?;
    /// assert_eq!(view.wait(seen, Duration::from_secs(10))?, Some(seen + 1));
    /// # client.delete("doc/news")
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of the [locks](Segment::lock).
    pub fn wait(&self, after: u64, timeout: impl Into<Option<Duration>>) -> Result<Option<u64>> {
        let mut wait = Wait::new(&self.open, timeout.into().into());
        self.open.area().and_then(|area| area.wait_for_version(after, &mut wait)).map_err(|error| self.waiting(error))
    }

    /// The same for event loops: a descriptor that is readable once the version is more than `after`.
    ///
    /// # Errors
    /// Those of the [locks](Segment::lock), `TooManyFiles`, and `System` when there can be no more threads.
    pub fn watch_version(&self, after: u64) -> Result<VersionWatch> {
        VersionWatch::start(&self.open, after).map_err(|error| self.waiting(error))
    }

    fn waiting(&self, error: Error) -> Error {
        self.in_context(error, "wait for the version of")
    }
}

impl Segment<ReadWrite> {
    /// Adds 1 to the version and wakes all who wait for it. Gives the new version.
    ///
    /// # Errors
    /// Those of the [locks](Segment::lock).
    pub fn notify(&self) -> Result<u64> {
        self.open.writable_area().map(Area::notify).map_err(|error| self.in_context(error, "notify those who wait for"))
    }
}

impl Area {
    pub(crate) fn present_version(&self) -> u64 {
        peek(self.version()) / 2
    }

    fn notify(&self) -> u64 {
        let mut seen = self.version().load(SeqCst);
        loop {
            let next = (seen / 2).wrapping_add(1).wrapping_mul(2);
            match self.version().compare_exchange(seen, next, SeqCst, SeqCst) {
                Ok(_) => {
                    // Who may only read cannot say there that it waits.
                    if seen % 2 == 1 || self.read_only().load(SeqCst) & !HAD_READERS != 0 {
                        wake(low_half(self.version()), ALL);
                    }
                    return next / 2;
                }
                Err(changed) => seen = changed,
            }
        }
    }

    fn wait_for_version(&self, after: u64, wait: &mut Wait<'_>) -> Result<Option<u64>> {
        if !self.is_writable() {
            wait.as_reader();
        }
        loop {
            let version = self.present_version();
            if version > after {
                return Ok(Some(version));
            }
            if wait.is_now() {
                return Ok(None);
            }
            if wait.spin() {
                continue;
            }
            if let Some(asleep) = self.before_sleep(after) {
                if !wait.sleep(low_half(self.version()), asleep)? {
                    return Ok(None);
                }
            }
        }
    }

    /// Says that somebody waits for a version above `after`: the value to sleep on. None when it has come.
    pub(crate) fn before_sleep(&self, after: u64) -> Option<u32> {
        loop {
            let seen = peek(self.version());
            if seen / 2 > after {
                return None;
            }
            if seen % 2 == 1 || !self.is_writable() {
                return Some(seen as u32);
            }
            if self.version().compare_exchange(seen, seen + 1, SeqCst, SeqCst).is_ok() {
                return Some((seen + 1) as u32);
            }
        }
    }
}
