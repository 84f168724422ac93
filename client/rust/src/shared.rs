//! A value that threads share and a child after fork(2) can read, though another thread of its parent may have been changing
//! it when the child was made.

use std::cell::UnsafeCell;
use std::mem;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::process::getpid;

const FREE: i32 = 0;

/// An `Arc` that can be exchanged. Its lock is held for a few instructions and knows the process that holds it: one that
/// a child inherits is nobody's.
pub(crate) struct Shared<T> {
    holder: AtomicI32,
    value: UnsafeCell<Arc<T>>,
}

// SAFETY: the value is touched by the one thread that holds the lock.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Shared { holder: AtomicI32::new(FREE), value: UnsafeCell::new(Arc::new(value)) }
    }

    pub(crate) fn get(&self) -> Arc<T> {
        // In a child that took the lock over, at worst a count is one too high, and the value is never freed.
        self.with(|value| value.clone())
    }

    /// The old one is dropped after it is out of reach.
    pub(crate) fn set(&self, value: Arc<T>) {
        drop(self.with(|old| mem::replace(old, value)));
    }

    fn with<R>(&self, f: impl FnOnce(&mut Arc<T>) -> R) -> R {
        let process = getpid().as_raw_nonzero().get();
        let mut tries = 0;
        while let Err(holder) = self.holder.compare_exchange(FREE, process, Ordering::Acquire, Ordering::Relaxed) {
            let inherited = holder != FREE && holder != process;
            if inherited && self.holder.compare_exchange(holder, process, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                break;
            }
            tries += 1;
            if tries < 100 {
                thread::yield_now();
            } else {
                // The holder may be of a lower real-time priority, and yields do not let it run.
                thread::sleep(Duration::from_micros(50));
            }
        }
        // SAFETY: this thread holds the lock. `f` is one of the two above: it neither panics nor comes here again. One that
        // a fork cut off has either exchanged the pointer, in one store, or not.
        let result = f(unsafe { &mut *self.value.get() });
        self.holder.store(FREE, Ordering::Release);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_see_whole_values() {
        let shared = Shared::new(vec![0; 8]);
        thread::scope(|scope| {
            for number in 1..4 {
                let shared = &shared;
                scope.spawn(move || (0..2000).for_each(|_| shared.set(Arc::new(vec![number; 8]))));
            }
            for _ in 0..2000 {
                let value = shared.get();
                assert!(value.iter().all(|each| *each == value[0]));
            }
        });
    }

    #[test]
    fn a_lock_that_another_process_left_is_taken_over() {
        let shared = Shared::new(7);
        shared.holder.store(i32::MAX, Ordering::Relaxed);
        assert_eq!(*shared.get(), 7);
        assert_eq!(shared.holder.load(Ordering::Relaxed), FREE);
    }
}
