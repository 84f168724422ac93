//! Copies to and from memory that others write at the same time.
//!
//! A reference to such memory, or a plain copy of it, would be a data race, whose outcome Rust leaves undefined. So these
//! functions touch the shared side by relaxed atomic accesses alone: words where it is aligned, bytes at its ends. What is
//! copied while somebody writes may be torn, part old and part new, and is never anything worse.

use std::mem::size_of;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};

const WORD: usize = size_of::<usize>();

/// Of so many bytes from this address on: those before the first aligned word, those in whole words, those after.
fn parts(shared: *const u8, length: usize) -> (usize, usize, usize) {
    let head = shared.align_offset(WORD).min(length);
    let tail = (length - head) % WORD;
    (head, length - head - tail, tail)
}

/// Copies from shared memory.
///
/// # Safety
/// `shared` is valid for reads of `to.len()` bytes while this runs.
pub(crate) unsafe fn load(shared: *const u8, to: &mut [u8]) {
    let (head, body, _) = parts(shared, to.len());
    let (first, rest) = to.split_at_mut(head);
    let (words, last) = rest.split_at_mut(body);
    load_bytes(shared, first);
    for (i, word) in words.chunks_exact_mut(WORD).enumerate() {
        // SAFETY: within the bytes that the caller vouches for, and aligned: `head` ends at a multiple of the word.
        let from = &*shared.add(head + i * WORD).cast::<AtomicUsize>();
        word.copy_from_slice(&from.load(Relaxed).to_ne_bytes());
    }
    load_bytes(shared.add(head + body), last);
}

/// Copies to shared memory.
///
/// # Safety
/// `shared` is valid for writes of `from.len()` bytes while this runs.
pub(crate) unsafe fn store(shared: *mut u8, from: &[u8]) {
    let (head, body, _) = parts(shared, from.len());
    let (first, rest) = from.split_at(head);
    let (words, last) = rest.split_at(body);
    store_bytes(shared, first);
    for (i, word) in words.chunks_exact(WORD).enumerate() {
        // SAFETY: as in load().
        let to = &*shared.add(head + i * WORD).cast::<AtomicUsize>();
        let mut bytes = [0; WORD];
        bytes.copy_from_slice(word);
        to.store(usize::from_ne_bytes(bytes), Relaxed);
    }
    store_bytes(shared.add(head + body), last);
}

unsafe fn load_bytes(shared: *const u8, to: &mut [u8]) {
    for (i, byte) in to.iter_mut().enumerate() {
        *byte = (*shared.add(i).cast::<AtomicU8>()).load(Relaxed);
    }
}

unsafe fn store_bytes(shared: *mut u8, from: &[u8]) {
    for (i, byte) in from.iter().enumerate() {
        (*shared.add(i).cast::<AtomicU8>()).store(*byte, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offset_and_length_is_copied_exactly() {
        let mut shared = vec![0u8; 64];
        for offset in 0..24 {
            for length in 0..40 {
                let bytes: Vec<u8> = (0..length).map(|i| (i * 7 + offset + 1) as u8).collect();
                shared.fill(0xee);
                let place = shared.as_mut_ptr();
                let mut back = vec![0; length];
                // SAFETY: 24 + 40 bytes are there.
                unsafe {
                    store(place.add(offset), &bytes);
                    load(place.add(offset), &mut back);
                }
                assert_eq!(back, bytes);
                assert!(shared[..offset].iter().chain(&shared[offset + length..]).all(|byte| *byte == 0xee));
            }
        }
    }
}
