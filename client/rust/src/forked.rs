//! Whether this is still the process that it was, told without a system call: by a page that the kernel empties in a child
//! made by fork(2).

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use rustix::mm::{madvise, mmap_anonymous, munmap, Advice, MapFlags, ProtFlags};

use crate::error::{ErrorKind, Result};
use crate::frame::io_error;

const PAGE_BYTES: usize = 4096;

/// Null before it is needed, and never unmapped.
static PAGE: AtomicPtr<AtomicU32> = AtomicPtr::new(null_mut());
/// A child goes on counting where its parent was.
static LAST: AtomicU32 = AtomicU32::new(0);

/// The number of this process among those it descends from: none of them had it.
pub(crate) fn generation() -> Result<u32> {
    let page = page()?;
    let seen = page.load(Ordering::Relaxed);
    if seen != 0 {
        return Ok(seen);
    }
    let next = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    Ok(page.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed).map_or_else(|theirs| theirs, |_| next))
}

/// Whether a number that generation() gave is this process's.
#[inline]
pub(crate) fn is_now(generation: u32) -> bool {
    let page = PAGE.load(Ordering::Acquire);
    // SAFETY: not null, since a number was given, and never unmapped.
    unsafe { &*page }.load(Ordering::Relaxed) == generation
}

fn page() -> Result<&'static AtomicU32> {
    let mut page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        let new = emptied_by_fork()?;
        match PAGE.compare_exchange(null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => page = new,
            Err(theirs) => {
                // SAFETY: our mapping, which nobody has seen.
                let _ = unsafe { munmap(new.cast(), PAGE_BYTES) };
                page = theirs;
            }
        }
    }
    // SAFETY: mapped for ever, aligned, and every bit pattern is a number.
    Ok(unsafe { &*page })
}

fn emptied_by_fork() -> Result<*mut AtomicU32> {
    let failed = |error| ErrorKind::System(io_error(error));
    // SAFETY: a new mapping at a place that the kernel chooses, which is given back if it is not as it should be.
    unsafe {
        let page = mmap_anonymous(null_mut(), PAGE_BYTES, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
            .map_err(failed)?;
        if let Err(error) = madvise(page, PAGE_BYTES, Advice::LinuxWipeOnFork) {
            let _ = munmap(page, PAGE_BYTES);
            return Err(failed(error).into());
        }
        Ok(page.cast())
    }
}
