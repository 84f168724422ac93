//! The mutex of a segment.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use shmd::{Client, ErrorKind, Guard, ReadGuard, ReadWrite, Segment, VersionWatch, WriteGuard, WriteSection};

use crate::support::child::{await_sleep_of, in_child, mappings, thread_id, Child};
use crate::support::manager::Manager;
use crate::support::{await_that, PATIENCE};

const TIMES: u64 = 1000;

/// Adds 1 in two steps, as nobody may who has no lock.
fn count(segment: &Segment<ReadWrite>) {
    let mut bytes = [0; 8];
    segment.read_at(0, &mut bytes).unwrap();
    let next = u64::from_ne_bytes(bytes) + 1;
    if next % 16 == 0 {
        std::thread::yield_now();
    }
    segment.write_at(0, &next.to_ne_bytes()).unwrap();
}

fn counted(segment: &Segment<ReadWrite>) -> u64 {
    u64::from_ne_bytes(segment.read_vec(0, 8).unwrap().try_into().unwrap())
}

/// What a child says by an atomic in the segment.
pub fn say(segment: &Segment<ReadWrite>, step: u32) {
    segment.atomic_u32(64).unwrap().store(step, Ordering::Release);
}

pub fn await_word(segment: &Segment<ReadWrite>, step: u32) {
    await_that("the other says so", || segment.load_u32(64, Ordering::Acquire).unwrap() == step);
}

/// A child that takes something, says so and keeps it until it is killed.
pub fn child_that_keeps<T>(segment: &Segment<ReadWrite>, take: impl FnOnce() -> T) -> Child {
    say(segment, 0);
    let child = Child::fork(|| {
        let _kept = take();
        say(segment, 1);
        loop {
            std::thread::park();
        }
    });
    await_word(segment, 1);
    child
}

fn leaked<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// Opened in a child, and never dropped there.
pub fn opened(client: &Client) -> &'static Segment<ReadWrite> {
    leaked(client.open_write("key").unwrap())
}

#[test]
fn threads_exclude_each_other() {
    let manager = Manager::start_without_store();
    let segment = manager.client().create("key", 100).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..TIMES {
                    let guard = segment.lock().unwrap();
                    count(&segment);
                    guard.unlock().unwrap();
                }
            });
        }
    });
    assert_eq!(counted(&segment), 4 * TIMES);
}

#[test]
fn processes_exclude_each_other() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let children: Vec<Child> = (0..3)
        .map(|_| {
            Child::fork(|| {
                let own = client.open_write("key").unwrap();
                for _ in 0..TIMES {
                    let _guard = own.lock().unwrap();
                    count(&own);
                }
            })
        })
        .collect();
    for _ in 0..TIMES {
        let _section = segment.write_section().unwrap();
        count(&segment);
    }
    assert!(children.into_iter().all(Child::ends_well));
    assert_eq!(counted(&segment), 4 * TIMES);
}

#[test]
fn a_lock_that_is_held_is_told_after_the_time_to_wait() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let other = client.open_write("key").unwrap();
    let guard = segment.lock().unwrap();
    assert!(!guard.owner_died());
    assert!(other.try_lock().unwrap().is_none());
    assert!(other.lock_timeout(Duration::ZERO).unwrap().is_none());
    assert!(other.lock_timeout(Duration::from_millis(20)).unwrap().is_none());
    assert!(other.try_write_section().unwrap().is_none());
    assert!(other.write_section_timeout(Duration::from_millis(20)).unwrap().is_none());
    // Nor is it recursive.
    assert!(segment.try_lock().unwrap().is_none());
    guard.unlock().unwrap();
    drop(other.try_lock().unwrap().unwrap());
    drop(segment.lock_timeout(Duration::MAX).unwrap().unwrap());
    drop(segment.try_write_section().unwrap().unwrap());
    drop(other.write_section_timeout(PATIENCE).unwrap().unwrap());
}

#[test]
fn a_holder_that_is_killed_hands_the_lock_on() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    for waits in [false, true] {
        let holder = child_that_keeps(&segment, || opened(&client).lock().unwrap());
        assert!(segment.try_lock().unwrap().is_none());
        let waiter = AtomicI32::new(0);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                waiter.store(thread_id(), Ordering::Release);
                let guard = segment.lock().unwrap();
                assert!(guard.owner_died());
            });
            if waits {
                await_that("the thread is there", || waiter.load(Ordering::Acquire) != 0);
                await_sleep_of(std::process::id() as i32, waiter.load(Ordering::Acquire));
            }
            holder.kill();
            waiting.join().unwrap();
        });
        // Everybody is told until somebody has repaired it.
        let mut guard = segment.lock().unwrap();
        assert!(guard.owner_died());
        guard.make_consistent().unwrap();
        assert!(!guard.owner_died());
        guard.unlock().unwrap();
        assert!(!segment.lock().unwrap().owner_died());
    }
}

#[test]
fn a_waiter_that_is_killed_keeps_nobody_from_the_lock() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let guard = segment.lock().unwrap();
    let wait = || {
        Child::fork(|| {
            let own = opened(&client);
            own.version().unwrap();
            say(&segment, 1);
            let _guard = own.lock().unwrap();
        })
    };
    let doomed = wait();
    await_word(&segment, 1);
    say(&segment, 0);
    let other = wait();
    await_word(&segment, 1);
    doomed.await_sleep();
    other.await_sleep();
    doomed.kill();
    guard.unlock().unwrap();
    assert!(other.ends_well());
}

#[test]
fn closing_the_segment_ends_what_it_holds() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let other = client.open_write("key").unwrap();
    std::mem::forget(other.lock().unwrap());
    std::mem::forget(other.read_lock().unwrap());
    drop(other);
    assert!(segment.lock().unwrap().owner_died());
    assert!(!segment.write_lock().unwrap().owner_died());
}

#[test]
fn a_lock_that_was_lost_is_told_by_unlock_and_ignored_by_drop() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    // Ends all attachments of this process: soon, so this waits until only the parent's is left.
    let disconnect = || {
        manager.control().call("io.shmd.Control.Disconnect", serde_json::json!({ "pid": std::process::id() })).unwrap();
        while manager.client().describe("key").unwrap().attachments > 1 {
            std::thread::yield_now();
        }
    };
    let disconnected = || {
        let client = manager.client();
        let own = client.open_write("key").unwrap();
        let (mut guard, shared) = (own.lock().unwrap(), own.read_lock().unwrap());
        disconnect();
        let lost = |error: shmd::Error| {
            assert!(matches!(error.kind(), ErrorKind::NotLocked), "{error:?}");
            assert!(error.to_string().contains("does not hold the lock"), "{error}");
        };
        lost(guard.make_consistent().unwrap_err());
        lost(guard.unlock().unwrap_err());
        lost(shared.unlock().unwrap_err());
        drop((own.lock(), own.read_lock()));
    };
    assert!(in_child(disconnected));
    // Another one's lock is not given back instead.
    assert!(in_child(|| {
        let own = manager.client().open_write("key").unwrap();
        let guard = own.lock().unwrap();
        disconnect();
        let other = manager.client().open_write("key").unwrap();
        let held = other.lock().unwrap();
        drop(guard);
        held.unlock().unwrap();
    }));
    drop(segment);
}

#[test]
fn who_waits_learns_that_its_own_grant_has_ended() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let _guard = segment.lock().unwrap();
    let waiter = Child::fork(|| {
        let own = opened(&client);
        own.version().unwrap();
        say(&segment, 1);
        let error = own.lock().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::GrantEnded), "{error:?}");
        let error = own.wait(0, None).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::GrantEnded), "{error:?}");
    });
    await_word(&segment, 1);
    waiter.await_sleep();
    manager.control().call("io.shmd.Control.Disconnect", serde_json::json!({ "pid": waiter.pid() })).unwrap();
    assert!(waiter.ends_well());
}

#[test]
fn a_panic_leaves_the_lock_as_a_death_does() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let panics = |hold: &dyn Fn()| assert!(catch_unwind(AssertUnwindSafe(hold)).is_err());
    panics(&|| {
        let _guard = segment.lock().unwrap();
        panic!("on purpose");
    });
    let mut guard = segment.lock().unwrap();
    assert!(guard.owner_died());
    guard.make_consistent().unwrap();
    drop(guard);
    panics(&|| {
        let _guard = segment.write_lock().unwrap();
        panic!("on purpose");
    });
    assert!(segment.read_lock().unwrap().owner_died());
    panics(&|| {
        let _section = segment.write_section().unwrap();
        segment.write_at(0, b"half").unwrap();
        panic!("on purpose");
    });
    let error = segment.snapshot(0, &mut [0; 8], PATIENCE).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::OwnerDied), "{error:?}");
    let mut section = segment.write_section().unwrap();
    assert!(section.owner_died());
    section.make_consistent().unwrap();
    section.end().unwrap();
    segment.snapshot(0, &mut [0; 8], PATIENCE).unwrap();
    // A reader changes nothing, and has nothing half done.
    let mut guard = segment.write_lock().unwrap();
    guard.make_consistent().unwrap();
    drop(guard);
    panics(&|| {
        let _guard = segment.read_lock().unwrap();
        panic!("on purpose");
    });
    assert!(!segment.write_lock().unwrap().owner_died());
}

#[test]
fn guards_may_be_sent_and_unlocked_by_another_thread() {
    fn shared<T: Send + Sync>() {}
    shared::<Guard<'_>>();
    shared::<ReadGuard<'_>>();
    shared::<WriteGuard<'_>>();
    shared::<WriteSection<'_>>();
    shared::<VersionWatch>();
    let manager = Manager::start_without_store();
    let segment = manager.client().create("key", 100).unwrap();
    let guard = segment.lock().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| guard.unlock().unwrap());
    });
    drop(segment.try_lock().unwrap().unwrap());
}

#[test]
fn the_area_is_mapped_once_and_goes_with_the_segment() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    assert!(in_child(|| {
        let before = mappings();
        let segment = client.create("key", 100).unwrap();
        assert_eq!(mappings(), before + 1);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| drop(segment.lock().unwrap()));
            }
        });
        drop(segment.write_lock().unwrap());
        assert_eq!(mappings(), before + 2);
        drop(segment);
        assert_eq!(mappings(), before);
    }));
}

#[test]
fn a_segment_that_is_sealed_has_the_area_of_its_new_attachment() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    segment.write_section().unwrap().end().unwrap();
    segment.notify().unwrap();
    let sealed = segment.seal().unwrap();
    assert_eq!(sealed.version().unwrap(), 1);
    sealed.snapshot(0, &mut [0; 8], PATIENCE).unwrap();
    let staged = shmd::NewSegment::new("staged", 100).create_staged(&client).unwrap();
    staged.lock().unwrap().unlock().unwrap();
    staged.publish().unwrap().lock().unwrap().unlock().unwrap();
}
