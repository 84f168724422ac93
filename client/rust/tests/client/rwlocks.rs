//! The readers-writer lock of a segment.

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use shmd::{ReadWrite, Segment};

use crate::locks::{child_that_keeps, opened};
use crate::support::child::{await_sleep_of, thread_id, Child};
use crate::support::manager::Manager;
use crate::support::{await_that, PATIENCE};

const SHORT: Duration = Duration::from_millis(20);

/// Runs this in another thread, and `then` once that sleeps.
fn while_it_waits(run: impl FnOnce() + Send, then: impl FnOnce()) {
    let waiter = AtomicI32::new(0);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            waiter.store(thread_id(), Ordering::Release);
            run();
        });
        await_that("the thread is there", || waiter.load(Ordering::Acquire) != 0);
        await_sleep_of(std::process::id() as i32, waiter.load(Ordering::Acquire));
        then();
        waiting.join().unwrap();
    });
}

#[test]
fn many_read_and_one_writes() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let other = client.open_write("key").unwrap();
    let first = segment.read_lock().unwrap();
    let second = other.try_read_lock().unwrap().unwrap();
    let third = segment.read_lock_timeout(SHORT).unwrap().unwrap();
    assert!(other.try_write_lock().unwrap().is_none());
    assert!(other.write_lock_timeout(SHORT).unwrap().is_none());
    // Who gave up keeps nobody out.
    drop(other.try_read_lock().unwrap().unwrap());
    drop((first, third));
    assert!(segment.try_write_lock().unwrap().is_none());
    second.unlock().unwrap();
    let writer = other.write_lock_timeout(SHORT).unwrap().unwrap();
    assert!(segment.try_read_lock().unwrap().is_none());
    assert!(segment.read_lock_timeout(SHORT).unwrap().is_none());
    assert!(segment.try_write_lock().unwrap().is_none());
    // The mutex is another lock.
    drop(segment.try_lock().unwrap().unwrap());
    writer.unlock().unwrap();
    drop(segment.read_lock_timeout(PATIENCE).unwrap().unwrap());
}

#[test]
fn a_writer_that_waits_keeps_new_readers_out() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let other = client.open_write("key").unwrap();
    let reader = segment.read_lock().unwrap();
    other.version().unwrap();
    while_it_waits(
        || drop(other.write_lock().unwrap()),
        || {
            assert!(segment.try_read_lock().unwrap().is_none());
            reader.unlock().unwrap();
        },
    );
    drop(segment.try_read_lock().unwrap().unwrap());
}

#[test]
fn readers_that_wait_come_in_together() {
    let manager = Manager::start_without_store();
    let segment = manager.client().create("key", 100).unwrap();
    let writer = segment.write_lock().unwrap(); // also opens the area
    let ids = [AtomicI32::new(0), AtomicI32::new(0)];
    let both = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        for id in &ids {
            let (segment, both) = (&segment, &both);
            scope.spawn(move || {
                id.store(thread_id(), Ordering::Release);
                let _reader = segment.read_lock().unwrap();
                both.wait();
            });
        }
        for id in &ids {
            await_that("the thread is there", || id.load(Ordering::Acquire) != 0);
            await_sleep_of(std::process::id() as i32, id.load(Ordering::Acquire));
        }
        writer.unlock().unwrap();
    });
}

#[test]
fn readers_never_see_what_a_writer_has_half_done() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let write = |segment: &Segment<ReadWrite>| {
        for _ in 0..200 {
            let _guard = segment.write_lock().unwrap();
            let next = segment.load_u32(0, Ordering::Relaxed).unwrap() + 1;
            segment.atomic_u32(0).unwrap().store(next, Ordering::Relaxed);
            if next % 16 == 0 {
                std::thread::yield_now();
            }
            segment.atomic_u32(4).unwrap().store(next, Ordering::Relaxed);
        }
    };
    let read = |segment: &Segment<ReadWrite>| {
        for round in 0..200 {
            let _guard = segment.read_lock().unwrap();
            let first = segment.load_u32(0, Ordering::Relaxed).unwrap();
            if round % 16 == 0 {
                std::thread::yield_now();
            }
            assert_eq!(first, segment.load_u32(4, Ordering::Relaxed).unwrap());
        }
    };
    let children: Vec<Child> = (0..4)
        .map(|number| {
            Child::fork(|| {
                let own = client.open_write("key").unwrap();
                if number % 2 == 0 {
                    write(&own);
                } else {
                    read(&own);
                }
            })
        })
        .collect();
    std::thread::scope(|scope| {
        scope.spawn(|| read(&segment));
        write(&segment);
    });
    assert!(children.into_iter().all(Child::ends_well));
    assert_eq!(segment.load_u32(0, Ordering::Relaxed).unwrap(), 600);
}

#[test]
fn a_dead_reader_does_not_block_a_writer() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let reader = child_that_keeps(&segment, || opened(&client).read_lock().unwrap());
    assert!(segment.try_write_lock().unwrap().is_none());
    while_it_waits(|| assert!(!segment.write_lock().unwrap().owner_died()), || reader.kill());
}

#[test]
fn a_dead_writer_is_told_to_readers_and_writers_until_it_is_repaired() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let writer = child_that_keeps(&segment, || opened(&client).write_lock().unwrap());
    while_it_waits(|| assert!(segment.read_lock().unwrap().owner_died()), || writer.kill());
    let mut guard = segment.write_lock().unwrap();
    assert!(guard.owner_died());
    guard.make_consistent().unwrap();
    guard.unlock().unwrap();
    assert!(!segment.read_lock().unwrap().owner_died());
    // The mutex had another holder.
    assert!(!segment.lock().unwrap().owner_died());
}

#[test]
fn a_writer_that_dies_while_it_waits_for_readers_keeps_nobody_out() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let reader = segment.read_lock().unwrap();
    let writer = Child::fork(|| {
        let own = opened(&client);
        own.version().unwrap();
        crate::locks::say(&segment, 1);
        let _guard = own.write_lock().unwrap();
    });
    crate::locks::await_word(&segment, 1);
    writer.await_sleep();
    await_that("the writer has come", || segment.try_read_lock().unwrap().is_none());
    writer.kill();
    drop(segment.read_lock().unwrap());
    drop(reader);
    // It may have changed something, for all that the daemon knows.
    assert!(segment.write_lock().unwrap().owner_died());
}

#[test]
fn there_are_896_readers_at_once() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let other = client.open_write("key").unwrap();
    let mut guards: Vec<_> = (0..896).map(|_| segment.read_lock().unwrap()).collect();
    assert!(other.try_read_lock().unwrap().is_none());
    assert!(other.read_lock_timeout(SHORT).unwrap().is_none());
    drop(guards.swap_remove(500));
    drop(other.read_lock().unwrap());
    assert!(other.try_write_lock().unwrap().is_none());
    drop(guards);
    drop(other.try_write_lock().unwrap().unwrap());
}
