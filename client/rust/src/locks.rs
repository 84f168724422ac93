//! The locks of a segment, and what a caller holds of them.

use std::fmt;
use std::mem;
use std::sync::atomic::{fence, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::area::{holder, Area, OWNER_DIED};
use crate::error::{ErrorKind, Result};
use crate::grant::ReadWrite;
use crate::open::Open;
use crate::segment::Segment;
use crate::waiting::{Limit, Wait, ALL};

/// **Locks.** Every segment has a mutex and a readers-writer lock, for all processes that have it open for writing. They are
/// memory beside the segment's own. The first call asks the daemon for that, however long it takes; after that, taking a lock
/// that is free and giving it back makes no system call, and no wait is longer than its timeout, whatever becomes of the daemon.
///
/// Their holder is the segment as this process has it open, with all its threads: a guard may go to another thread. No lock is
/// recursive: a thread that takes it twice waits for itself.
///
/// When a process ends, by whatever way, the daemon gives back what it holds. The next one gets the lock, and is
/// told: [`Guard::owner_died`]. Who waits for longer than a second asks the daemon whether all holders are still there, and
/// learns then if its own grant has ended.
///
/// ```
/// # fn main() -> shmd::Result<()> {
/// # let client = shmd::Client::connect()?;
/// let account = client.create("doc/account", 4096)?;
/// {
///     let mut guard = account.lock()?;
///     if guard.owner_died() {
///         account.write_at(0, &[0; 16])?; // another process died half way: make the content whole
///         guard.make_consistent()?;
///     }
///     account.write_at(0, b"balance")?;
/// } // unlocked
/// # client.delete("doc/account")
/// # }
/// ```
///
/// What is open for reading has no locks: with one, it could hold up those who write.
///
/// ```compile_fail,E0599
/// # fn main() -> shmd::Result<()> {
/// # let client = shmd::Client::connect()?;
/// let view = client.open("doc/account")?;
/// view.lock()?; // no such method on Segment<ReadOnly>
/// # Ok(())
/// # }
/// ```
impl Segment<ReadWrite> {
    /// Takes the mutex, as soon as nobody holds it.
    ///
    /// # Errors
    /// `Inherited` in a child made by fork(2): it opens the segment itself before it takes a lock. `GrantEnded`, or `NoDaemon` a
    /// little later, when no daemon knows of the segment any more. At the first call also what keeps the daemon from giving the memory:
    /// `QuotaExceeded`, `OutOfMemory`, `MethodNotFound` from an older one.
    #[inline]
    pub fn lock(&self) -> Result<Guard<'_>> {
        held(self.take_mutex(Limit::Never, "lock"))
    }

    /// The same, but waits no longer than this. None when it is held still.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    #[inline]
    pub fn lock_timeout(&self, timeout: Duration) -> Result<Option<Guard<'_>>> {
        self.take_mutex(Some(timeout).into(), "lock")
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    #[inline]
    pub fn try_lock(&self) -> Result<Option<Guard<'_>>> {
        self.take_mutex(Limit::Now, "lock")
    }

    /// Takes the readers-writer lock for reading: many may, as long as nobody holds it for writing or waits for the readers to
    /// leave. A thread that holds it and asks for it again may therefore wait for ever.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    #[inline]
    pub fn read_lock(&self) -> Result<ReadGuard<'_>> {
        held(self.take_shared(Limit::Never))
    }

    /// The same, but waits no longer than this. None when somebody has it for writing still.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    #[inline]
    pub fn read_lock_timeout(&self, timeout: Duration) -> Result<Option<ReadGuard<'_>>> {
        self.take_shared(Some(timeout).into())
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    #[inline]
    pub fn try_read_lock(&self) -> Result<Option<ReadGuard<'_>>> {
        self.take_shared(Limit::Now)
    }

    /// Takes the readers-writer lock for writing, as soon as nobody holds it at all.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    #[inline]
    pub fn write_lock(&self) -> Result<WriteGuard<'_>> {
        held(self.take_exclusive(Limit::Never))
    }

    /// The same, but waits no longer than this. None when it is held still.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    #[inline]
    pub fn write_lock_timeout(&self, timeout: Duration) -> Result<Option<WriteGuard<'_>>> {
        self.take_exclusive(Some(timeout).into())
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    #[inline]
    pub fn try_write_lock(&self) -> Result<Option<WriteGuard<'_>>> {
        self.take_exclusive(Limit::Now)
    }

    /// Takes the mutex and begins a write section: no [`snapshot`](Segment::snapshot) has anything that is written in it
    /// before all of it is.
    ///
    /// ```
    /// # fn main() -> shmd::Result<()> {
    /// # let client = shmd::Client::connect()?;
    /// let segment = client.create("doc/pair", 16)?;
    /// let section = segment.write_section()?;
    /// segment.write_at(0, &7u64.to_ne_bytes())?;
    /// segment.write_at(8, &7u64.to_ne_bytes())?;
    /// section.end()?;
    /// let mut both = [0; 16];
    /// client.open("doc/pair")?.snapshot(0, &mut both, None)?;
    /// assert_eq!(both[..8], both[8..]);
    /// # client.delete("doc/pair")
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    #[inline]
    pub fn write_section(&self) -> Result<WriteSection<'_>> {
        held(self.take_section(Limit::Never))
    }

    /// The same, but waits no longer than this. None when the mutex is held still.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    #[inline]
    pub fn write_section_timeout(&self, timeout: Duration) -> Result<Option<WriteSection<'_>>> {
        self.take_section(Some(timeout).into())
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    #[inline]
    pub fn try_write_section(&self) -> Result<Option<WriteSection<'_>>> {
        self.take_section(Limit::Now)
    }

    #[inline]
    fn take_mutex(&self, limit: Limit, tried: &str) -> Result<Option<Guard<'_>>> {
        match self.open.area_at_once() {
            Some(area) if area.lock_at_once(area.mutex()) => Ok(Some(Guard(Exclusive::new(&self.open, false)))),
            _ => self.wait_for_mutex(limit, tried),
        }
    }

    #[cold]
    fn wait_for_mutex(&self, limit: Limit, tried: &str) -> Result<Option<Guard<'_>>> {
        let area = self.open.writable_area();
        let taken = area.and_then(|area| area.lock_word(area.mutex(), &mut Wait::new(&self.open, limit)));
        let guard = |died| Guard(Exclusive::new(&self.open, died));
        taken.map(|taken| taken.map(guard)).map_err(|error| self.in_context(error, tried))
    }

    #[inline]
    fn take_section(&self, limit: Limit) -> Result<Option<WriteSection<'_>>> {
        let guard = self.take_mutex(limit, "begin a write section of")?;
        Ok(guard.map(|guard| {
            let held = guard.0;
            mem::forget(guard); // the section unlocks
            held.area().open_section();
            WriteSection(held)
        }))
    }

    #[inline]
    fn take_exclusive(&self, limit: Limit) -> Result<Option<WriteGuard<'_>>> {
        match self.open.area_at_once() {
            Some(area) if area.write_lock_at_once() => Ok(Some(WriteGuard(Exclusive::new(&self.open, false)))),
            _ => self.wait_to_write(limit),
        }
    }

    #[cold]
    fn wait_to_write(&self, limit: Limit) -> Result<Option<WriteGuard<'_>>> {
        let area = self.open.writable_area();
        let taken = area.and_then(|area| area.write_lock(&mut Wait::new(&self.open, limit)));
        let guard = |died| WriteGuard(Exclusive::new(&self.open, died));
        taken.map(|taken| taken.map(guard)).map_err(|error| self.in_context(error, "lock for writing"))
    }

    #[inline]
    fn take_shared(&self, limit: Limit) -> Result<Option<ReadGuard<'_>>> {
        match self.open.area_at_once().and_then(Area::read_lock_at_once) {
            Some(slot) => Ok(Some(ReadGuard { open: &self.open, slot, died: false })),
            None => self.wait_to_read(limit),
        }
    }

    #[cold]
    fn wait_to_read(&self, limit: Limit) -> Result<Option<ReadGuard<'_>>> {
        let area = self.open.writable_area();
        let taken = area.and_then(|area| area.read_lock(&mut Wait::new(&self.open, limit)));
        let guard = |(slot, died)| ReadGuard { open: &self.open, slot, died };
        taken.map(|taken| taken.map(guard)).map_err(|error| self.in_context(error, "lock for reading"))
    }
}

/// What was waited for without an end.
#[inline]
fn held<T>(taken: Result<Option<T>>) -> Result<T> {
    taken?.ok_or_else(|| ErrorKind::TimedOut.into())
}

impl Area {
    /// The mutex is held. Before the first write.
    fn open_section(&self) {
        let sequence = self.sequence().load(Ordering::Relaxed);
        if sequence % 2 == 0 {
            self.sequence().store(sequence + 1, Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
    }

    /// The mutex is held still. Not while nobody has called the content consistent.
    fn close_section(&self) {
        let mutex = self.mutex().load(Ordering::Relaxed);
        let sequence = self.sequence().load(Ordering::Relaxed);
        if holder(mutex) == self.attachment() && mutex & OWNER_DIED == 0 && sequence % 2 == 1 {
            self.sequence().store(sequence.wrapping_add(1), Ordering::Release);
        }
    }
}

/// A lock that its holder has alone. Those who have one of these give it back.
#[derive(Clone, Copy)]
struct Exclusive<'a> {
    open: &'a Open,
    died: bool,
    /// The thread was panicking already when the lock was taken.
    panicking: bool,
}

impl<'a> Exclusive<'a> {
    #[inline]
    fn new(open: &'a Open, died: bool) -> Self {
        Exclusive { open, died, panicking: thread::panicking() }
    }

    #[inline]
    fn area(&self) -> &'a Area {
        self.open.area_in_use()
    }

    /// The holder panicked: what it was doing is half done.
    #[inline]
    fn is_left_behind(&self) -> bool {
        !self.panicking && thread::panicking()
    }

    fn make_consistent(&mut self, word: &AtomicU64) -> Result<()> {
        let area = self.area();
        let made = area.check_ours().and_then(|()| area.make_consistent(word));
        made.map_err(|error| error.trying(|| format!("call {} consistent", self.open.by_id())))?;
        self.died = false;
        Ok(())
    }

    #[inline]
    fn unlock_mutex(&self) -> Result<()> {
        unlocked(self.open, |area| area.unlock_word(area.mutex(), 1, self.is_left_behind()))
    }

    #[inline]
    fn unlock_rwlock(&self) -> Result<()> {
        unlocked(self.open, |area| area.unlock_word(area.rwlock(), ALL, self.is_left_behind()))
    }

    #[inline]
    fn end_section(&self) -> Result<()> {
        unlocked(self.open, |area| {
            if !self.is_left_behind() {
                area.close_section();
            }
            area.unlock_word(area.mutex(), 1, self.is_left_behind())
        })
    }

    fn fmt(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name).field("owner_died", &self.died).finish_non_exhaustive()
    }
}

/// Runs this in the area of a lock that is held.
#[inline]
fn unlocked(open: &Open, unlock: impl FnOnce(&Area) -> Result<()>) -> Result<()> {
    let area = open.area_in_use();
    match area.check_ours().and_then(|()| unlock(area)) {
        Ok(()) => Ok(()),
        Err(error) => Err(error.trying(|| format!("unlock {}", open.by_id()))),
    }
}

macro_rules! exclusive {
    ($(#[$doc:meta])* $name:ident, $word:ident, $(#[$end_doc:meta])* $end:ident, $unlock:ident) => {
        $(#[$doc])*
        ///
        /// Dropping it unlocks, and tells nothing of a failure. One that is dropped by a panic leaves the lock as a process does
        /// that dies: what the holder was doing is half done, and the next one is told.
        #[must_use = "it is unlocked when this is dropped"]
        pub struct $name<'a>(Exclusive<'a>);

        impl $name<'_> {
            /// True when a holder died with the lock, and nobody has called what it protects consistent since: it may be half
            /// changed.
            pub fn owner_died(&self) -> bool {
                self.0.died
            }

            /// Says that what the lock protects is whole again. Until somebody does, every next holder is told.
            ///
            /// # Errors
            /// `NotLocked` when this process does not hold it any more, `Inherited` in a child made by fork(2).
            pub fn make_consistent(&mut self) -> Result<()> {
                self.0.make_consistent(self.0.area().$word())?;
                self.consistent();
                Ok(())
            }

            $(#[$end_doc])*
            ///
            /// # Errors
            /// `NotLocked` when this process does not hold it any more, `Inherited` in a child made by fork(2).
            #[inline]
            pub fn $end(self) -> Result<()> {
                let unlocked = self.0.$unlock();
                mem::forget(self);
                unlocked
            }
        }

        impl Drop for $name<'_> {
            #[inline]
            fn drop(&mut self) {
                let _ = self.0.$unlock();
            }
        }

        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(stringify!($name), f)
            }
        }
    };
}

exclusive! {
    /// The mutex of a segment, held. Made by [`Segment::lock`].
    Guard, mutex,
    /// Unlocks, and tells whether it was held.
    unlock, unlock_mutex
}

exclusive! {
    /// The readers-writer lock of a segment, held for writing. Made by [`Segment::write_lock`].
    WriteGuard, rwlock,
    /// Unlocks, and tells whether it was held.
    unlock, unlock_rwlock
}

exclusive! {
    /// A write section of a segment, and its mutex, held. Made by [`Segment::write_section`].
    ///
    /// A section that ends while [`owner_died`](WriteSection::owner_died) is true stays open for readers: their snapshots fail
    /// with `OwnerDied`, until somebody has called the content consistent.
    WriteSection, mutex,
    /// Ends the section, and tells whether the mutex was held.
    end, end_section
}

impl Guard<'_> {
    /// What a section left open is whole, too.
    fn consistent(&self) {
        self.0.area().close_section();
    }
}

impl WriteGuard<'_> {
    fn consistent(&self) {}
}

impl WriteSection<'_> {
    /// Its end lets the readers in.
    fn consistent(&self) {}
}

/// The readers-writer lock of a segment, held for reading. Made by [`Segment::read_lock`].
///
/// Dropping it unlocks, and tells nothing of a failure.
#[must_use = "it is unlocked when this is dropped"]
pub struct ReadGuard<'a> {
    open: &'a Open,
    slot: u32,
    died: bool,
}

impl ReadGuard<'_> {
    /// True when a writer died with the lock, and nobody has called what it protects consistent since: it may be half changed.
    /// To do so, take it for writing.
    pub fn owner_died(&self) -> bool {
        self.died
    }

    /// Unlocks, and tells whether it was held.
    ///
    /// # Errors
    /// `NotLocked` when this process does not hold it any more, `Inherited` in a child made by fork(2).
    #[inline]
    pub fn unlock(self) -> Result<()> {
        let unlocked = self.leave();
        mem::forget(self);
        unlocked
    }

    #[inline]
    fn leave(&self) -> Result<()> {
        unlocked(self.open, |area| area.leave_slot(self.slot))
    }
}

impl Drop for ReadGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        let _ = self.leave();
    }
}

impl fmt::Debug for ReadGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadGuard").field("owner_died", &self.died).finish_non_exhaustive()
    }
}
