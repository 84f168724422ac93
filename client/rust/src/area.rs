//! The sync area of a segment: 4096 bytes of memory beside it, with the words of its locks. protocol/SYNC.md describes it to
//! the byte.

use std::os::unix::io::BorrowedFd;
use std::sync::atomic::{fence, AtomicU32, AtomicU64, Ordering};

use crate::error::{Error, ErrorKind, Result};
use crate::forked;
use crate::mapping::Mapping;

const FORMAT: u32 = 1;
pub(crate) const SLOTS: u32 = 896;
const SLOT_LINES: u32 = 56;

/// The bits of a lock word, beside the holder in its low half.
pub(crate) const WAITERS: u64 = 1 << 32;
pub(crate) const OWNER_DIED: u64 = 1 << 33;

/// The attachment that holds a lock; 0: nobody.
#[inline]
pub(crate) fn holder(word: u64) -> u32 {
    word as u32
}

/// Loads a word that may be mapped for reading alone. Only relaxed loads are sure to write nothing.
#[cfg(target_pointer_width = "64")]
#[inline]
pub(crate) fn peek(word: &AtomicU64) -> u64 {
    let value = word.load(Ordering::Relaxed);
    fence(Ordering::Acquire);
    value
}

/// The same where so many bits are not loaded at once. The halves are of one moment when the upper one has not changed.
#[cfg(not(target_pointer_width = "64"))]
#[inline]
pub(crate) fn peek(word: &AtomicU64) -> u64 {
    loop {
        let high = high_half(word).load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let low = low_half(word).load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        if high_half(word).load(Ordering::Relaxed) == high {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}

/// In the count of attachments for reading: there was one.
pub(crate) const HAD_READERS: u32 = 1 << 31;

/// Whether the area that this futex is in is, or was, also somebody's who may only read it.
pub(crate) fn has_readers(futex: &AtomicU32) -> bool {
    let area = (futex as *const AtomicU32 as usize) & !4095;
    // SAFETY: every futex of an area lies in its page, which is mapped whole as long as the futex can be named.
    unsafe { &*((area + 4) as *const AtomicU32) }.load(Ordering::Relaxed) != 0
}

/// The half with the bits 32 to 63: the futex of a lock word.
#[inline]
pub(crate) fn high_half(word: &AtomicU64) -> &AtomicU32 {
    half(word, cfg!(target_endian = "little").into())
}

/// The half with the bits 0 to 31: the futex of the version.
#[inline]
pub(crate) fn low_half(word: &AtomicU64) -> &AtomicU32 {
    half(word, cfg!(target_endian = "big").into())
}

fn half(word: &AtomicU64, index: usize) -> &AtomicU32 {
    let halves: *const AtomicU64 = word;
    // SAFETY: within the word, and aligned as it is.
    unsafe { &*halves.cast::<AtomicU32>().add(index) }
}

/// A mapped area, as one attachment of this process has it.
pub(crate) struct Area {
    mapping: Mapping,
    writable: bool,
    attachment: u32,
    generation: u32,
    /// Where to look for a reader's slot first.
    pub(crate) first_slot: AtomicU32,
}

impl Area {
    pub(crate) fn map(memory: BorrowedFd<'_>, attachment: u32) -> Result<Self> {
        let generation = forked::generation()?;
        let (mapping, writable) = Mapping::of_sync_area(memory)?;
        let area = Area { mapping, writable, attachment, generation, first_slot: AtomicU32::new(0) };
        // Anybody who may write to the segment may have written this: no reason to hang up on the daemon.
        match area.u32_at(0).load(Ordering::Relaxed) {
            FORMAT => Ok(area),
            other => Err(Error::nonsense(format!("its sync area has the format {other}, and {FORMAT} alone is known"))),
        }
    }

    /// False in a child made by fork(2): the attachment is its parent's.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        forked::is_now(self.generation)
    }

    #[inline]
    pub(crate) fn check_ours(&self) -> Result<()> {
        if self.is_ours() {
            Ok(())
        } else {
            Err(ErrorKind::Inherited.into())
        }
    }

    #[inline]
    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    #[inline]
    pub(crate) fn attachment(&self) -> u32 {
        self.attachment
    }

    #[inline]
    fn u32_at(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: the offsets below are within the area, which is mapped as long as this object, and aligned; every bit
        // pattern is a number. Who may not write only loads.
        unsafe { &*self.mapping.data().as_ptr().add(offset).cast() }
    }

    #[inline]
    fn u64_at(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: as above.
        unsafe { &*self.mapping.data().as_ptr().add(offset).cast() }
    }

    /// Attachments for reading that have this area, and [`HAD_READERS`]. The daemon alone writes it.
    #[inline]
    pub(crate) fn read_only(&self) -> &AtomicU32 {
        self.u32_at(4)
    }

    #[inline]
    pub(crate) fn mutex(&self) -> &AtomicU64 {
        self.u64_at(64)
    }

    #[inline]
    pub(crate) fn rwlock(&self) -> &AtomicU64 {
        self.u64_at(128)
    }

    #[inline]
    pub(crate) fn drain(&self) -> &AtomicU32 {
        self.u32_at(136)
    }

    #[inline]
    pub(crate) fn high_water(&self) -> &AtomicU32 {
        self.u32_at(140)
    }

    #[inline]
    pub(crate) fn sequence(&self) -> &AtomicU64 {
        self.u64_at(192)
    }

    #[inline]
    pub(crate) fn version(&self) -> &AtomicU64 {
        self.u64_at(256)
    }

    /// The slot of this number, which is less than SLOTS.
    #[inline]
    pub(crate) fn slot(&self, number: u32) -> &AtomicU32 {
        debug_assert!(number < SLOTS);
        self.u32_at(512 + 64 * (number % SLOT_LINES) as usize + 4 * (number / SLOT_LINES) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_a_place_of_its_own_in_the_area() {
        use std::os::unix::io::AsFd;
        let memory = crate::testing::fake::memory(4096);
        rustix::io::pwrite(&memory, &FORMAT.to_ne_bytes(), 0).unwrap();
        let area = Area::map(memory.as_fd(), 7).unwrap();
        let begin = area.mapping.data().as_ptr() as usize;
        let mut places: Vec<usize> =
            (0..SLOTS).map(|number| area.slot(number) as *const AtomicU32 as usize - begin).collect();
        assert_eq!(places[1], 512 + 64);
        places.sort_unstable();
        assert!(places.into_iter().eq((512..4096).step_by(4)));
    }

    #[test]
    fn halves_are_those_of_the_number() {
        let word = AtomicU64::new(2 << 32 | 1);
        assert_eq!(low_half(&word).load(Ordering::Relaxed), 1);
        assert_eq!(high_half(&word).load(Ordering::Relaxed), 2);
        assert_eq!(peek(&word), 2 << 32 | 1);
        assert_eq!(holder(WAITERS | OWNER_DIED | 5), 5);
    }
}
