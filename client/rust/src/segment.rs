//! Open segments, by what they are open for.

use std::fmt;
use std::marker::PhantomData;
use std::mem::{align_of, size_of};
use std::ops::Deref;
use std::slice;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;

use serde_json::json;

use crate::copy;
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result};
use crate::grant::{Grant, ReadOnly, ReadWrite, Sealed};
use crate::info::{Info, State};
use crate::key::SegmentId;
use crate::message::object;
use crate::open::Open;
use crate::staged::{Refused, Staged};

/// A segment that is open in this process: plain memory, all of it mapped, until this is dropped.
///
/// What it is open for is its type:
///
/// | type | content |
/// |---|---|
/// | `Segment<ReadOnly>` | [`read_at`](Segment::read_at), [`load_u32`](Segment::load_u32), [`as_ptr`](Segment::as_ptr) |
/// | `Segment<ReadWrite>` | also [`write_at`](Segment::write_at), [`atomic_u32`](Segment::atomic_u32), [`as_mut_ptr`](Segment::as_mut_ptr) |
/// | `Segment<Sealed>` | dereferences to `&[u8]` |
///
/// Writing to what is open for reading does not compile:
///
/// ```compile_fail,E0599
/// # fn main() -> shmd::Result<()> {
/// # let client = shmd::Client::connect()?;
/// let segment = client.open("table")?;
/// segment.write_at(0, b"no")?; // no such method on Segment<ReadOnly>
/// # Ok(())
/// # }
/// ```
///
/// # Why there is no `&[u8]`
///
/// Rust lets the compiler assume that what is behind a `&[u8]` does not change, and that nobody else looks at what is behind
/// a `&mut [u8]`. Another process that has the segment open keeps neither. So content that somebody may write is reached by
/// copies that are no data race ([`read_at`](Segment::read_at), [`write_at`](Segment::write_at): relaxed atomic accesses, or
/// instructions that the compiler knows nothing of, as fast as memcpy(3)), by references to atomics, or by raw pointers, where the unsafe block is yours: access them by `read_volatile`,
/// `write_volatile` or atomics, or have a protocol with the other processes (a lock, a flag that is stored with `Release` and
/// loaded with `Acquire`) that keeps all others out meanwhile.
///
/// A [`Sealed`] segment is different: the kernel refuses every write to it, by whatever process, descriptor or mapping, for
/// ever. This crate asks the kernel itself (`F_GET_SEALS`), not only the daemon, before it makes one.
///
/// # Mappings never end early
///
/// Everything that refers to the memory borrows the segment, so nothing can be touched after it was unmapped; only a raw
/// pointer can outlive it. The memory neither moves nor shrinks while it is mapped, whatever other processes do, and whatever
/// becomes of the daemon: an access within [`len`](Segment::len) never ends in SIGBUS. (One that was created
/// [lazily](crate::Reserve::Lazy) is no such promise: its pages must be found when they are touched.)
///
/// # Closing
///
/// Dropping it unmaps, and tells the daemon that the grant has ended, without waiting for it. In a child made by fork(2) it
/// only unmaps: grants stay with the process that got them.
pub struct Segment<G: Grant> {
    pub(crate) open: Open,
    grant: PhantomData<G>,
}

impl<G: Grant> Segment<G> {
    pub(crate) fn new(open: Open) -> Self {
        Segment { open, grant: PhantomData }
    }

    pub(crate) fn into_open(self) -> Open {
        self.open
    }

    /// The size in bytes as this process last heard of it: when it was opened, or by [`remap`](Self::remap) or
    /// [`resize`](Segment::resize). Never 0.
    #[allow(clippy::len_without_is_empty)] // there are no empty ones
    pub fn len(&self) -> usize {
        self.open.size()
    }

    /// How many bytes it can grow to.
    pub fn capacity(&self) -> usize {
        // What is mapped fits.
        self.info().capacity_bytes as usize
    }

    /// What the daemon told of it last: when it was opened, or at the last call on this segment that changed it.
    pub fn info(&self) -> Arc<Info> {
        self.open.info()
    }

    /// Identifies it for ever.
    pub fn id(&self) -> SegmentId {
        self.info().id
    }

    /// Its key when the daemon told of it last. A staged segment has none.
    pub fn key(&self) -> Option<String> {
        self.info().key.clone()
    }

    /// The number of the grant, 1 to 2^32-1: what others see as this process's hold on the segment.
    pub fn attachment(&self) -> u32 {
        self.open.attachment()
    }

    /// True when this made the segment, false when it was there.
    pub fn was_created(&self) -> bool {
        self.open.was_created()
    }

    /// The first byte, page-aligned. Valid until the segment is dropped or [sealed](Segment::seal); [`capacity`](Self::capacity)
    /// bytes are mapped. See the type's documentation for what may be done with it.
    pub fn as_ptr(&self) -> *const u8 {
        self.open.data()
    }

    /// Copies bytes out of the segment. While somebody writes, parts may be old and parts new, and it is no data race.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`] when they are not all within [`len`](Self::len).
    pub fn read_at(&self, offset: usize, to: &mut [u8]) -> Result<()> {
        self.check(offset, to.len())?;
        // SAFETY: within what is mapped, which lasts as long as the borrow of self.
        unsafe { copy::load(self.as_ptr().add(offset), to) };
        Ok(())
    }

    /// The same, into a new vector.
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at).
    pub fn read_vec(&self, offset: usize, length: usize) -> Result<Vec<u8>> {
        self.check(offset, length)?;
        let mut bytes = vec![0; length];
        self.read_at(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Loads an aligned `u32`.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`], and [`ErrorKind::InvalidArgument`] when the offset is not a multiple of 4.
    ///
    /// # Panics
    /// When the ordering is `Release` or `AcqRel`, as all atomic loads do.
    pub fn load_u32(&self, offset: usize, ordering: Ordering) -> Result<u32> {
        let place = self.place::<AtomicU32>(offset)?;
        // SAFETY: aligned and within what is mapped; a load writes nothing, so memory that is mapped for reading will do.
        Ok(unsafe { &*place }.load(ordering))
    }

    /// Loads an aligned `u64`.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`], and [`ErrorKind::InvalidArgument`] when the offset is not a multiple of 8.
    ///
    /// # Panics
    /// When the ordering is `Release` or `AcqRel`, as all atomic loads do.
    #[cfg(target_pointer_width = "64")] // elsewhere an atomic load of so many bits may write
    pub fn load_u64(&self, offset: usize, ordering: Ordering) -> Result<u64> {
        let place = self.place::<AtomicU64>(offset)?;
        // SAFETY: as in load_u32().
        Ok(unsafe { &*place }.load(ordering))
    }

    /// A position within the segment, to be used by [`std::io::Read`] and [`std::io::Seek`], and [`std::io::Write`] if it is
    /// open for that.
    pub fn cursor(&self) -> Cursor<'_, G> {
        Cursor::new(self)
    }

    /// Learns of a size that somebody else gave the segment, and of everything else that the daemon knows. Nothing is mapped
    /// anew, and no address changes: what is mapped is the capacity.
    ///
    /// # Errors
    /// `NoSuchSegment` when the segment is gone, `Inherited`, `GrantEnded`, `Disconnected`.
    pub fn remap(&self) -> Result<Arc<Info>> {
        self.open.remap().map_err(|error| self.in_context(error, "look at"))
    }

    /// The same as dropping it.
    pub fn close(self) {}

    /// A segment that was made by another call, such as [`Client::open`](crate::Client::open) by id, and is staged: it comes
    /// back as an error when it is not.
    pub fn into_staged(self) -> std::result::Result<Staged<G>, Self> {
        if self.info().state == State::Staged {
            Ok(Staged::of(self))
        } else {
            Err(self)
        }
    }

    pub(crate) fn check(&self, offset: usize, length: usize) -> Result<()> {
        let size = self.len();
        match offset.checked_add(length) {
            Some(end) if end <= size => Ok(()),
            _ => Err(ErrorKind::OutOfRange { offset, length, size }.into()),
        }
    }

    fn place<T>(&self, offset: usize) -> Result<*const T> {
        self.check(offset, size_of::<T>())?;
        if offset % align_of::<T>() != 0 {
            return Err(ErrorKind::InvalidArgument("the offset of an atomic must be a multiple of its size").into());
        }
        Ok(self.as_ptr().wrapping_add(offset).cast())
    }

    pub(crate) fn in_context(&self, error: Error, tried: &str) -> Error {
        error.trying(|| format!("{tried} {}", self.open.by_id()))
    }
}

impl Segment<ReadWrite> {
    /// As [`as_ptr`](Self::as_ptr), for writing. See the type's documentation for what may be done with it.
    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.open.data()
    }

    /// Copies bytes into the segment. Others may see parts of it before others, and it is no data race.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`] when they do not all fit within [`len`](Self::len).
    pub fn write_at(&self, offset: usize, from: &[u8]) -> Result<()> {
        self.check(offset, from.len())?;
        // SAFETY: within what is mapped for writing, which lasts as long as the borrow of self.
        unsafe { copy::store(self.as_mut_ptr().add(offset), from) };
        Ok(())
    }

    /// A reference to an aligned `u32`, for everything that atomics can do, between processes too.
    ///
    /// ```
    /// # fn main() -> shmd::Result<()> {
    /// # let client = shmd::Client::connect()?;
    /// use std::sync::atomic::Ordering;
    /// let counters = client.create("doc/counters", 4096)?;
    /// counters.atomic_u32(8)?.fetch_add(1, Ordering::Relaxed);
    /// assert_eq!(client.open("doc/counters")?.load_u32(8, Ordering::Relaxed)?, 1);
    /// # client.delete("doc/counters")
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`], and [`ErrorKind::InvalidArgument`] when the offset is not a multiple of 4.
    pub fn atomic_u32(&self, offset: usize) -> Result<&AtomicU32> {
        // SAFETY: aligned and within what is mapped for writing, as long as the borrow of self; every bit pattern is a value.
        self.place(offset).map(|place| unsafe { &*place })
    }

    /// A reference to an aligned `u64`.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`], and [`ErrorKind::InvalidArgument`] when the offset is not a multiple of 8.
    pub fn atomic_u64(&self, offset: usize) -> Result<&AtomicU64> {
        // SAFETY: as in atomic_u32().
        self.place(offset).map(|place| unsafe { &*place })
    }

    /// Gives the segment another size, within its capacity. Addresses and content stay, and what is new is zeros. It is made
    /// smaller only while nobody else has it open.
    ///
    /// # Errors
    /// `CapacityExceeded`, `SegmentBusy`, `SegmentSealed`, `QuotaExceeded`, `OutOfMemory`, `Inherited`, `GrantEnded`,
    /// `Disconnected`.
    pub fn resize(&self, size: u64) -> Result<Arc<Info>> {
        let parameters = object(json!({ "id": self.id().0, "sizeBytes": size }));
        self.open.change("Resize", parameters).map_err(|error| self.in_context(error, "resize"))
    }

    /// Makes the content immutable for ever, by the kernel. On success nobody can write it any more, and it is a slice.
    ///
    /// Raw pointers that were taken before are invalid afterwards, whatever the outcome: memory that was mapped for writing
    /// must be unmapped first, and is mapped again at another address.
    ///
    /// # Errors
    /// [`Refused`], with the segment if it could be opened for writing again: `SegmentBusy` when somebody else has it open
    /// for writing, `NotSealable` when it was created so.
    pub fn seal(mut self) -> std::result::Result<Segment<Sealed>, Refused<Segment<ReadWrite>>> {
        match self.open.seal() {
            Ok(()) => Ok(Segment::new(self.open)),
            Err((error, back)) => {
                let error = self.in_context(error, "seal");
                Err(Refused::new(error, back.then_some(self)))
            }
        }
    }
}

impl Segment<Sealed> {
    /// The content. Nobody can write it any more, so this is a slice like any other.
    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: mapped for as long as the borrow of self; `len` bytes of it are the segment's, and no more than an isize.
        // The kernel was asked whether F_SEAL_WRITE is on this memory, and it is never taken off: no process can write it
        // or punch holes into it, so it does not change.
        unsafe { slice::from_raw_parts(self.as_ptr(), self.len()) }
    }
}

impl Deref for Segment<Sealed> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsRef<[u8]> for Segment<Sealed> {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// What may be written may be read.
impl From<Segment<ReadWrite>> for Segment<ReadOnly> {
    fn from(segment: Segment<ReadWrite>) -> Self {
        Segment::new(segment.open)
    }
}

impl<G: Grant> fmt::Debug for Segment<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = self.info();
        f.debug_struct("Segment")
            .field("id", &info.id.0)
            .field("key", &info.key)
            .field("len", &self.len())
            .field("access", &G::ACCESS)
            .field("sealed", &G::SEALED)
            .field("attachment", &self.attachment())
            .finish()
    }
}

/// Closes many segments at once: as dropping each, but the daemon is told of 250 of one client at a time.
pub fn close_many<G: Grant>(segments: impl IntoIterator<Item = Segment<G>>) {
    Open::end(segments.into_iter().map(Segment::into_open).collect());
}
