//! The memory of open segments.

use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::atomic::Ordering;

use shmd::{ErrorKind, ReadOnly, Segment};

use crate::support::child::in_child;
use crate::support::manager::Manager;

#[test]
fn nothing_is_reached_beyond_the_size() {
    let manager = Manager::start_without_store();
    let segment = manager.client().create("key", 10).unwrap();
    for (offset, length) in [(0, 11), (10, 1), (11, 0), (usize::MAX, 2)] {
        let mut bytes = vec![0; length];
        for error in [segment.read_at(offset, &mut bytes), segment.write_at(offset, &bytes)] {
            let error = error.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::OutOfRange { offset: o, size: 10, .. } if *o == offset),
                "{error}"
            );
        }
    }
    segment.write_at(10, b"").unwrap();
    segment.write_at(0, b"0123456789").unwrap();
    assert_eq!(segment.read_vec(9, 1).unwrap(), b"9");
    assert!(segment.read_vec(1, usize::MAX).is_err());
}

#[test]
fn large_memory_is_mapped_where_huge_pages_fit() {
    const HUGE_PAGE: usize = 2 << 20;
    let manager = Manager::start_without_store();
    let client = manager.client();
    let mut segments = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let segment = client.create(name, HUGE_PAGE as u64 + 4096).unwrap();
        assert_eq!(segment.as_ptr() as usize % HUGE_PAGE, 0);
        segments.push(segment);
    }
}

#[test]
fn atomics_are_shared_and_aligned_and_within_the_size() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 20).unwrap();
    let other = client.open("key").unwrap();
    segment.atomic_u32(4).unwrap().store(7, Ordering::Release);
    assert_eq!(other.load_u32(4, Ordering::Acquire).unwrap(), 7);
    segment.atomic_u64(8).unwrap().fetch_add(1 << 40, Ordering::Relaxed);
    assert_eq!(other.load_u64(8, Ordering::Relaxed).unwrap(), 1 << 40);
    assert!(matches!(segment.atomic_u32(2).unwrap_err().kind(), ErrorKind::InvalidArgument(_)));
    assert!(matches!(segment.atomic_u64(4).unwrap_err().kind(), ErrorKind::InvalidArgument(_)));
    assert!(matches!(segment.atomic_u64(16).unwrap_err().kind(), ErrorKind::OutOfRange { .. }));
    assert!(matches!(other.load_u32(20, Ordering::Relaxed).unwrap_err().kind(), ErrorKind::OutOfRange { .. }));
}

#[test]
fn a_cursor_reads_writes_and_seeks() {
    let manager = Manager::start_without_store();
    let segment = manager.client().create("key", 8).unwrap();
    let mut cursor = segment.cursor();
    assert_eq!(cursor.write(b"abc").unwrap(), 3);
    cursor.seek(SeekFrom::Current(3)).unwrap();
    assert_eq!(cursor.write(b"xyz").unwrap(), 2);
    assert_eq!(cursor.write(b"more").unwrap(), 0);
    cursor.rewind().unwrap();
    let mut all = Vec::new();
    cursor.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"abc\0\0\0xy");
    assert!(cursor.seek(SeekFrom::End(-9)).is_err());
    assert_eq!(cursor.seek(SeekFrom::End(-1)).unwrap(), 7);
    cursor.set_position(u64::MAX);
    assert_eq!(cursor.read(&mut [0; 4]).unwrap(), 0);
    assert_eq!(cursor.position(), u64::MAX);
}

#[test]
fn what_is_open_for_reading_cannot_be_written_by_the_kernels_word() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let written = client.create("key", 10).unwrap();
    let read = client.open("key").unwrap();
    let killed = crate::support::child::Child::fork(|| {
        // SAFETY: none. This is what the types forbid.
        unsafe { read.as_ptr().cast_mut_of_old().write_volatile(1) };
    });
    assert_eq!(killed.wait(), (libc::SIGSEGV, 0));
    // SAFETY: asks the kernel to change the protection of our own mapping.
    let result = unsafe { libc::mprotect(read.as_ptr() as *mut _, 10, libc::PROT_READ | libc::PROT_WRITE) };
    assert_eq!(result, -1);
    drop(written);
}

#[test]
fn what_may_be_written_may_be_handed_on_for_reading() {
    let manager = Manager::start_without_store();
    let segment = manager.client().create("key", 10).unwrap();
    segment.write_at(0, b"a").unwrap();
    let view: Segment<ReadOnly> = segment.into();
    assert_eq!(view.read_vec(0, 1).unwrap(), b"a");
}

#[test]
fn memory_lasts_as_long_as_the_segment_whatever_becomes_of_client_and_daemon() {
    let mut manager = Manager::start_without_store();
    let segment = manager.client().create("key", 10).unwrap();
    let other = manager.client().open("key").unwrap();
    manager.kill();
    segment.write_at(0, b"goes on").unwrap();
    assert_eq!(other.read_vec(0, 7).unwrap(), b"goes on");
}

#[test]
fn dropping_unmaps() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 10).unwrap();
    let address = segment.as_ptr();
    assert!(in_child(|| {
        drop(segment);
        // SAFETY: asks the kernel whether something is mapped there.
        let mapped = unsafe { libc::msync(address as *mut _, 4096, libc::MS_ASYNC) };
        assert_eq!(mapped, -1);
    }));
}

/// `cast_mut` is not in the oldest Rust that this crate is for.
trait CastMut<T> {
    fn cast_mut_of_old(self) -> *mut T;
}

impl<T> CastMut<T> for *const T {
    fn cast_mut_of_old(self) -> *mut T {
        self as *mut T
    }
}
