//! What the locks of a sync area are, to the word: protocol/SYNC.md has these algorithms. Who waits, and what a caller gets to
//! hold, is `locks`'s.
//!
//! All is sequentially consistent.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

use crate::area::{high_half, holder, Area, OWNER_DIED, SLOTS, WAITERS};
use crate::error::{ErrorKind, Result};
use crate::waiting::{wake, Wait, ALL};

/// How long a reader waits for a slot before it looks again.
const SLOT_NAP: Duration = Duration::from_millis(1);

/// Outcome of taking a lock: whether a holder died with it. None when it is held, and the time to wait for it is over.
pub(crate) type Taken = Result<Option<bool>>;

impl Area {
    /// Takes a lock word that nobody holds and nothing is to be told of.
    #[inline]
    pub(crate) fn lock_at_once(&self, word: &AtomicU64) -> bool {
        word.compare_exchange(0, self.attachment().into(), SeqCst, Relaxed).is_ok()
    }

    pub(crate) fn lock_word(&self, word: &AtomicU64, wait: &mut Wait<'_>) -> Taken {
        // Others may still be asleep where we have been.
        let mut mark = 0;
        loop {
            let seen = word.load(SeqCst);
            if holder(seen) == 0 {
                let died = seen & OWNER_DIED;
                let ours = u64::from(self.attachment()) | died | mark;
                if word.compare_exchange(seen, ours, SeqCst, SeqCst).is_ok() {
                    return Ok(Some(died != 0));
                }
                continue;
            }
            if wait.is_now() {
                return Ok(None);
            }
            if wait.spin() {
                continue;
            }
            if !sleep_on_held(word, seen, wait)? {
                return Ok(None);
            }
            mark = WAITERS;
        }
    }

    /// `NotLocked` when the holder is not this attachment (any more). died: leave it as one that dies with it does.
    #[inline]
    pub(crate) fn unlock_word(&self, word: &AtomicU64, how_many: u32, died: bool) -> Result<()> {
        let ours = u64::from(self.attachment());
        if !died && word.compare_exchange(ours, 0, SeqCst, Relaxed).is_ok() {
            return Ok(());
        }
        self.unlock_slowly(word, how_many, died)
    }

    #[cold]
    fn unlock_slowly(&self, word: &AtomicU64, how_many: u32, died: bool) -> Result<()> {
        let mut seen = word.load(SeqCst);
        loop {
            if holder(seen) != self.attachment() {
                return Err(ErrorKind::NotLocked.into());
            }
            let left = if died { OWNER_DIED } else { seen & OWNER_DIED };
            match word.compare_exchange(seen, left, SeqCst, SeqCst) {
                Ok(_) => break,
                Err(changed) => seen = changed,
            }
        }
        if seen & WAITERS != 0 {
            wake(high_half(word), how_many);
        }
        Ok(())
    }

    /// Says that what the lock protects is whole again.
    pub(crate) fn make_consistent(&self, word: &AtomicU64) -> Result<()> {
        let mut seen = word.load(SeqCst);
        loop {
            if holder(seen) != self.attachment() {
                return Err(ErrorKind::NotLocked.into());
            }
            match word.compare_exchange(seen, seen & !OWNER_DIED, SeqCst, SeqCst) {
                Ok(_) => return Ok(()),
                Err(changed) => seen = changed,
            }
        }
    }

    // ---- The readers-writer lock ----

    /// Takes it for writing when nobody holds it at all and nothing is to be told of.
    #[inline]
    pub(crate) fn write_lock_at_once(&self) -> bool {
        if !self.lock_at_once(self.rwlock()) {
            return false;
        }
        if self.first_reader(0).is_none() {
            return true;
        }
        let _ = self.unlock_word(self.rwlock(), ALL, false);
        false
    }

    pub(crate) fn write_lock(&self, wait: &mut Wait<'_>) -> Taken {
        let died = match self.lock_word(self.rwlock(), wait)? {
            Some(died) => died,
            None => return Ok(None),
        };
        // Who gives up has been no writer.
        let drained = self.wait_for_readers(wait);
        if !matches!(drained, Ok(true)) {
            let _ = self.unlock_word(self.rwlock(), ALL, false);
        }
        Ok(drained?.then_some(died))
    }

    /// The first slot from this one on that a reader has.
    #[inline]
    fn first_reader(&self, from: u32) -> Option<u32> {
        let end = self.high_water().load(SeqCst).min(SLOTS);
        (from..end).find(|number| self.slot(*number).load(SeqCst) != 0)
    }

    /// False when the time is over.
    fn wait_for_readers(&self, wait: &mut Wait<'_>) -> Result<bool> {
        let mut number = 0;
        loop {
            let drain = self.drain().load(SeqCst);
            // One that was seen free stays so: whoever takes it now leaves it again.
            number = match self.first_reader(number) {
                Some(number) => number,
                None => return Ok(true),
            };
            if wait.is_now() {
                return Ok(false);
            }
            if !wait.spin() && !wait.sleep(self.drain(), drain)? {
                return Ok(false);
            }
        }
    }

    /// Takes it for reading when nobody writes, nothing is to be told of, and the first slot to look at is free: that slot.
    #[inline]
    pub(crate) fn read_lock_at_once(&self) -> Option<u32> {
        let number = self.first_slot.load(Relaxed);
        if self.rwlock().load(SeqCst) != 0 || !self.take_this_slot(number) {
            return None;
        }
        if self.rwlock().load(SeqCst) == 0 {
            return Some(number);
        }
        let _ = self.leave_slot(number);
        None
    }

    /// The slot that was taken, and whether a writer died. None when the time is over.
    pub(crate) fn read_lock(&self, wait: &mut Wait<'_>) -> Result<Option<(u32, bool)>> {
        let word = self.rwlock();
        loop {
            let seen = word.load(SeqCst);
            if holder(seen) != 0 {
                if wait.is_now() {
                    return Ok(None);
                }
                if !wait.spin() && !sleep_on_held(word, seen, wait)? {
                    return Ok(None);
                }
                continue;
            }
            match self.take_slot() {
                Some(number) => {
                    let seen = word.load(SeqCst);
                    if holder(seen) == 0 {
                        return Ok(Some((number, seen & OWNER_DIED != 0)));
                    }
                    let _ = self.leave_slot(number);
                }
                None => {
                    if !wait.nap(SLOT_NAP)? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn take_slot(&self) -> Option<u32> {
        let first = self.first_slot.load(Relaxed);
        let taken = (first..SLOTS).chain(0..first).find(|number| self.take_this_slot(*number))?;
        if taken != first {
            self.first_slot.store(taken, Relaxed);
        }
        Some(taken)
    }

    #[inline]
    fn take_this_slot(&self, number: u32) -> bool {
        let slot = self.slot(number);
        if slot.load(Relaxed) != 0 || slot.compare_exchange(0, self.attachment(), SeqCst, Relaxed).is_err() {
            return false;
        }
        if self.high_water().load(SeqCst) <= number {
            self.high_water().fetch_max(number + 1, SeqCst);
        }
        true
    }

    /// `NotLocked` when it is not this attachment's (any more).
    #[inline]
    pub(crate) fn leave_slot(&self, number: u32) -> Result<()> {
        if self.slot(number).compare_exchange(self.attachment(), 0, SeqCst, Relaxed).is_err() {
            return Err(ErrorKind::NotLocked.into());
        }
        if holder(self.rwlock().load(SeqCst)) != 0 {
            self.drain().fetch_add(1, SeqCst);
            wake(self.drain(), ALL);
        }
        Ok(())
    }
}

/// Sleeps on a lock word that was seen held, and says there that somebody does. False when the time is over: then it is held,
/// and who holds it knows of waiters.
fn sleep_on_held(word: &AtomicU64, seen: u64, wait: &mut Wait<'_>) -> Result<bool> {
    let marked = seen | WAITERS;
    if marked != seen && word.compare_exchange(seen, marked, SeqCst, SeqCst).is_err() {
        return Ok(true);
    }
    wait.sleep(high_half(word), (marked >> 32) as u32)
}
