//! The memory of a segment in this process. Checks what the daemon passed before anybody touches it.

use std::ffi::c_void;
use std::os::unix::io::BorrowedFd;
use std::ptr::{null_mut, NonNull};

use rustix::fs::{fcntl_get_seals, fcntl_getfl, fstat, FileType, OFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{madvise, mmap, mmap_anonymous, munmap, Advice, MapFlags, ProtFlags};

use crate::error::{Error, ErrorKind, Result};
use crate::frame::io_error;
use crate::info::{Access, HugePages, Info};

/// Bytes of a sync area.
const SYNC_BYTES: usize = 4096;
const HUGE_PAGE: usize = 2 << 20;

/// Owns a mapping of a segment's whole capacity, or of its sync area.
pub(crate) struct Mapping {
    data: NonNull<u8>,
    length: usize,
}

// SAFETY: plain memory; whoever makes pointers into it says by which accesses.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// The first byte, valid as long as this object.
    pub(crate) fn data(&self) -> NonNull<u8> {
        self.data
    }

    /// `Protocol` when the descriptor is not memory that large that stays so.
    pub(crate) fn of(memory: BorrowedFd<'_>, info: &Info, access: Access) -> Result<Self> {
        let length = checked_length(memory, info)?;
        let mapping = Mapping::shared(memory, length, access == Access::Write)?;
        if info.huge_pages == HugePages::Transparent {
            // Only with this does the kernel map huge pages that are there as huge ones.
            // SAFETY: our mapping, whose content this does not change.
            let _ = unsafe { madvise(mapping.data.as_ptr().cast(), length, Advice::LinuxHugepage) };
        }
        Ok(mapping)
    }

    /// Of a sync area, and whether it may be written: as the descriptor may.
    pub(crate) fn of_sync_area(memory: BorrowedFd<'_>) -> Result<(Self, bool)> {
        if length_that_stays(memory)? != SYNC_BYTES as u64 {
            return Err(Error::nonsense("its sync area has another size than it should"));
        }
        let writable = matches!(fcntl_getfl(memory), Ok(flags) if flags & OFlags::RWMODE == OFlags::RDWR);
        Ok((Mapping::shared(memory, SYNC_BYTES, writable)?, writable))
    }

    fn shared(memory: BorrowedFd<'_>, length: usize, writable: bool) -> Result<Self> {
        let protection = if writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
        // SAFETY: a new mapping at a place that the kernel chooses, whatever the hint, takes nobody's memory.
        let data = unsafe { mmap(place_for(length), length, protection, MapFlags::SHARED, memory, 0) };
        let data = data.map_err(|error| match error {
            Errno::NOMEM => ErrorKind::OutOfMemory { size_bytes: length as u64 },
            _ => ErrorKind::System(io_error(error)),
        })?;
        match NonNull::new(data.cast()) {
            Some(data) => Ok(Mapping { data, length }),
            None => Err(Error::nonsense("its memory is mapped at address 0")),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: our mapping. References into it borrow the segment that owns this; raw pointers are their user's matter.
        let _ = unsafe { munmap(self.data.as_ptr().cast(), self.length) };
    }
}

/// A hint where to map so much memory, so that huge pages of it, if it has any, are mapped as such and not by 512 page
/// faults each: at a multiple of their size. Null, anywhere, for what is smaller. Should another thread take the room
/// meanwhile, the kernel finds some other.
fn place_for(length: usize) -> *mut c_void {
    let Some(enough) = length.checked_add(HUGE_PAGE).filter(|_| length >= HUGE_PAGE) else { return null_mut() };
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: a new mapping at a place that the kernel chooses takes nobody's memory.
    let Ok(room) = (unsafe { mmap_anonymous(null_mut(), enough, ProtFlags::empty(), flags) }) else {
        return null_mut();
    };
    // SAFETY: just made, and nobody has its address.
    let _ = unsafe { munmap(room, enough) };
    ((room as usize + HUGE_PAGE - 1) & !(HUGE_PAGE - 1)) as *mut c_void
}

/// How large the memory is, and stays: touching what is not there is a SIGBUS.
fn length_that_stays(memory: BorrowedFd<'_>) -> Result<u64> {
    let status = fstat(memory)
        .map_err(|error| Error::nonsense(format!("its memory cannot be looked at: {}", io_error(error))))?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(Error::nonsense("its descriptor is not memory"));
    }
    if !seals_of(memory).contains(SealFlags::SHRINK) {
        return Err(Error::nonsense("its memory may shrink"));
    }
    Ok(u64::try_from(status.st_size).unwrap_or(0))
}

/// As large as we were told. Huge pages round up.
fn checked_length(memory: BorrowedFd<'_>, info: &Info) -> Result<usize> {
    let length = length_that_stays(memory)?;
    let rounded = matches!(info.huge_pages, HugePages::Huge2M | HugePages::Huge1G);
    let fits = length == info.capacity_bytes || (rounded && length > info.capacity_bytes);
    if !fits {
        let (size, capacity) = (info.size_bytes, info.capacity_bytes);
        return Err(Error::nonsense(format!("it tells of {size} of {capacity} bytes and passes memory of {length}")));
    }
    // More than an isize is more than any mapping, and any slice.
    let length = isize::try_from(length).map_err(|_| ErrorKind::OutOfMemory { size_bytes: length })?;
    Ok(length as usize)
}

fn seals_of(memory: BorrowedFd<'_>) -> SealFlags {
    fcntl_get_seals(memory).unwrap_or(SealFlags::empty())
}

/// Whether the kernel refuses every write to this memory, by whatever descriptor or mapping, for ever.
pub(crate) fn is_immutable(memory: BorrowedFd<'_>) -> bool {
    seals_of(memory).contains(SealFlags::WRITE | SealFlags::SHRINK)
}
