//! Copies to and from memory that others write at the same time.
//!
//! A reference to such memory, or a plain copy of it, would be a data race, whose outcome Rust leaves undefined. So the shared
//! side is touched in two ways alone:
//!
//! - by relaxed atomic accesses, words where it is aligned and bytes at its ends;
//! - on x86-64, whole blocks by instructions of an `asm!` block. The compiler knows nothing of what these read or find, so it
//!   can assume nothing of it, and to the processor there is no undefined race: each load gives bytes that somebody stored.
//!
//! What is copied while somebody writes may be torn, part old and part new, and is never anything worse.

use std::mem::size_of;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};

const WORD: usize = size_of::<usize>();

/// Copies from shared memory.
///
/// # Safety
/// `shared` is valid for reads of `to.len()` bytes while this runs.
pub(crate) unsafe fn load(shared: *const u8, to: &mut [u8]) {
    let done = blocks::copy(shared, to.as_mut_ptr(), to.len());
    load_words(shared.add(done), &mut to[done..]);
}

/// Copies to shared memory.
///
/// # Safety
/// `shared` is valid for writes of `from.len()` bytes while this runs.
pub(crate) unsafe fn store(shared: *mut u8, from: &[u8]) {
    let done = blocks::copy(from.as_ptr(), shared, from.len());
    store_words(shared.add(done), &from[done..]);
}

#[cfg(target_arch = "x86_64")]
mod blocks {
    use std::arch::asm;

    const BLOCK: usize = 128;

    /// Copies as many whole blocks as there are; how many bytes that is.
    ///
    /// # Safety
    /// `from` is valid for reads and `to` for writes of `length` bytes, which do not overlap.
    pub(super) unsafe fn copy(from: *const u8, to: *mut u8, length: usize) -> usize {
        let count = length / BLOCK;
        if count == 0 {
            return 0;
        }
        if is_x86_feature_detected!("avx") {
            copy_avx(from, to, count);
        } else {
            copy_sse2(from, to, count);
        }
        count * BLOCK
    }

    /// # Safety
    /// As copy(), of `count` blocks, one at least, on a processor that has AVX.
    #[target_feature(enable = "avx")]
    unsafe fn copy_avx(from: *const u8, to: *mut u8, count: usize) {
        asm!(
            "2:",
            "vmovdqu {a}, [{from}]",
            "vmovdqu {b}, [{from} + 32]",
            "vmovdqu {c}, [{from} + 64]",
            "vmovdqu {d}, [{from} + 96]",
            "vmovdqu [{to}], {a}",
            "vmovdqu [{to} + 32], {b}",
            "vmovdqu [{to} + 64], {c}",
            "vmovdqu [{to} + 96], {d}",
            "add {from}, 128",
            "add {to}, 128",
            "dec {count}",
            "jnz 2b",
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            count = inout(reg) count => _,
            a = out(ymm_reg) _,
            b = out(ymm_reg) _,
            c = out(ymm_reg) _,
            d = out(ymm_reg) _,
            options(nostack),
        );
    }

    /// # Safety
    /// As copy(), of `count` blocks, one at least.
    pub(super) unsafe fn copy_sse2(from: *const u8, to: *mut u8, count: usize) {
        asm!(
            "2:",
            "movdqu {a}, [{from}]",
            "movdqu {b}, [{from} + 16]",
            "movdqu {c}, [{from} + 32]",
            "movdqu {d}, [{from} + 48]",
            "movdqu [{to}], {a}",
            "movdqu [{to} + 16], {b}",
            "movdqu [{to} + 32], {c}",
            "movdqu [{to} + 48], {d}",
            "add {from}, 64",
            "add {to}, 64",
            "dec {halves}",
            "jnz 2b",
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            halves = inout(reg) count * 2 => _,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack),
        );
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod blocks {
    /// Leaves all to the words.
    pub(super) unsafe fn copy(_from: *const u8, _to: *mut u8, _length: usize) -> usize {
        0
    }
}

/// Of so many bytes from this address on: those before the first aligned word, those in whole words, those after.
fn parts(shared: *const u8, length: usize) -> (usize, usize, usize) {
    let head = shared.align_offset(WORD).min(length);
    let tail = (length - head) % WORD;
    (head, length - head - tail, tail)
}

/// As load().
unsafe fn load_words(shared: *const u8, to: &mut [u8]) {
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

/// As store().
unsafe fn store_words(shared: *mut u8, from: &[u8]) {
    let (head, body, _) = parts(shared, from.len());
    let (first, rest) = from.split_at(head);
    let (words, last) = rest.split_at(body);
    store_bytes(shared, first);
    for (i, word) in words.chunks_exact(WORD).enumerate() {
        // SAFETY: as in load_words().
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
        let mut shared = vec![0u8; 600];
        for offset in 0..24 {
            for length in (0..40).chain([127, 128, 129, 255, 256, 300, 512, 555]) {
                let bytes: Vec<u8> = (0..length).map(|i| (i * 7 + offset + 1) as u8).collect();
                shared.fill(0xee);
                let place = shared.as_mut_ptr();
                let mut back = vec![0; length];
                // SAFETY: 24 + 555 bytes are there.
                unsafe {
                    store(place.add(offset), &bytes);
                    load(place.add(offset), &mut back);
                }
                assert_eq!(back, bytes);
                assert!(shared[..offset].iter().chain(&shared[offset + length..]).all(|byte| *byte == 0xee));
            }
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn processors_without_avx_copy_the_same() {
        let from: Vec<u8> = (0..=255).collect();
        let mut to = vec![0xee; 300];
        // SAFETY: 256 bytes are there, and 3 + 256.
        unsafe { blocks::copy_sse2(from.as_ptr(), to.as_mut_ptr().add(3), 2) };
        assert_eq!(&to[3..259], &from[..]);
        assert!(to[..3].iter().chain(&to[259..]).all(|byte| *byte == 0xee));
    }
}
