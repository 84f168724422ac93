//! Locks and versions over restarts of the daemon, and in children made by fork(2).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use shmd::{Error, ErrorKind};

use crate::locks::{await_word, child_that_keeps, opened, say};
use crate::support::child::{in_child, inherited, open_files, Child};
use crate::support::manager::Manager;
use crate::support::PATIENCE;

#[test]
fn a_lock_stays_held_over_a_restart() {
    let mut manager = Manager::start();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let guard = segment.lock().unwrap();
    let shared = segment.read_lock().unwrap();
    let waiter = Child::fork(|| {
        let own = opened(&client);
        own.version().unwrap();
        say(&segment, 1);
        let guard = own.lock().unwrap();
        assert!(!guard.owner_died());
        assert_eq!(segment.load_u32(68, Ordering::Acquire).unwrap(), 1);
        assert!(own.try_write_lock().unwrap().is_none());
    });
    await_word(&segment, 1);
    waiter.await_sleep();
    manager.kill();
    manager.start_daemon();
    // Who waits asks the daemon only later; this one does now.
    assert_eq!(manager.attachments("key"), 2);
    manager.restart();
    assert!(client.open_write("key").unwrap().lock_timeout(Duration::from_millis(1200)).unwrap().is_none());
    segment.atomic_u32(68).unwrap().store(1, Ordering::Release);
    guard.unlock().unwrap();
    assert!(waiter.ends_well());
    shared.unlock().unwrap();
    drop(segment.write_lock().unwrap());
}

#[test]
fn a_holder_that_dies_while_there_is_no_daemon_hands_the_lock_on_when_there_is_one() {
    let mut manager = Manager::start();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let holder = child_that_keeps(&segment, || {
        let own = opened(&client);
        (own.write_section().unwrap(), own.write_lock().unwrap())
    });
    assert!(segment.try_lock().unwrap().is_none());
    manager.kill();
    holder.kill();
    holder.wait();
    // The time to wait is over though nobody can be asked.
    assert!(segment.lock_timeout(Duration::from_millis(1500)).unwrap().is_none());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            assert!(segment.lock().unwrap().owner_died());
            assert!(segment.read_lock().unwrap().owner_died());
        });
        manager.start_daemon();
        waiting.join().unwrap();
    });
    segment.remap().unwrap();
}

#[test]
fn a_lock_is_handed_on_while_there_is_no_daemon() {
    let mut manager = Manager::start();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let guard = segment.lock().unwrap();
    let waiter = Child::fork(|| {
        let own = opened(&client);
        own.version().unwrap();
        say(&segment, 1);
        // One that has asked already.
        assert!(own.lock_timeout(Duration::from_millis(1500)).unwrap().is_none());
        say(&segment, 2);
        assert!(!own.lock().unwrap().owner_died());
    });
    await_word(&segment, 1);
    manager.kill();
    await_word(&segment, 2);
    guard.unlock().unwrap();
    assert!(waiter.ends_well());
}

#[test]
fn without_a_store_who_waits_learns_of_the_end_after_a_second() {
    let mut manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let other = client.open_write("key").unwrap();
    let _guard = segment.lock().unwrap();
    other.version().unwrap();
    let mut watch = other.watch_version(0).unwrap();
    manager.kill();
    manager.start_daemon();
    let ended = |error: Error| assert!(matches!(error.kind(), ErrorKind::GrantEnded), "{error:?}");
    ended(other.lock().unwrap_err());
    ended(other.wait(0, None).unwrap_err());
    let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(&watch, PollFlags::IN)], Some(&patience)).unwrap(), 1);
    ended(watch.take().unwrap_err());
}

#[test]
fn a_watch_goes_on_over_a_restart() {
    let mut manager = Manager::start();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let view = client.open("key").unwrap();
    let mut watch = view.watch_version(0).unwrap();
    manager.kill();
    // It asks the daemon now and then; whether it has, or there is one, makes no difference.
    assert_eq!(view.wait(0, Duration::from_millis(1200)).unwrap(), None);
    manager.start_daemon();
    assert_eq!(view.wait(0, Duration::from_millis(1200)).unwrap(), None);
    assert_eq!(watch.take().unwrap(), None);
    segment.notify().unwrap();
    let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(&watch, PollFlags::IN)], Some(&patience)).unwrap(), 1);
    assert_eq!(watch.take().unwrap(), Some(1));
}

#[test]
fn a_child_has_none_of_its_parents_locks() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let view = client.open("key").unwrap();
    let unused = client.create("unused", 100).unwrap();
    view.version().unwrap();
    let (guard, reader, section) = (segment.lock().unwrap(), segment.read_lock().unwrap(), unused.write_section());
    let watch = view.watch_version(0).unwrap();
    let fresh = client.create("fresh", 100).unwrap();
    assert!(in_child(|| {
        let is_inherited = |error: Error| {
            assert!(matches!(error.kind(), ErrorKind::Inherited), "{error:?}");
            assert!(error.to_string().contains("forked from"), "{error}");
        };
        for segment in [&segment, &fresh] {
            is_inherited(segment.lock().unwrap_err());
            is_inherited(segment.try_lock().unwrap_err());
            is_inherited(segment.lock_timeout(PATIENCE).unwrap_err());
            is_inherited(segment.read_lock().unwrap_err());
            is_inherited(segment.write_lock().unwrap_err());
            is_inherited(segment.write_section().unwrap_err());
            is_inherited(segment.notify().unwrap_err());
            is_inherited(segment.version().unwrap_err());
        }
        is_inherited(view.wait(0, None).unwrap_err());
        is_inherited(view.snapshot(0, &mut [0; 8], None).unwrap_err());
        is_inherited(view.watch_version(0).unwrap_err());
        is_inherited(inherited(&guard).make_consistent().unwrap_err());
        is_inherited(inherited(&guard).unlock().unwrap_err());
        is_inherited(inherited(&reader).unlock().unwrap_err());
        drop((inherited(&guard), inherited(&reader), inherited(&section)));
        let files = open_files();
        let mut watch = inherited(&watch);
        is_inherited(watch.take().unwrap_err());
        drop(watch);
        assert_eq!(open_files(), files - 1);
        // Its own are others.
        let own = client.open_write("key").unwrap();
        assert!(own.try_lock().unwrap().is_none());
        assert!(own.try_write_lock().unwrap().is_none());
        assert!(in_child(|| is_inherited(own.lock().unwrap_err())));
        drop(own.read_lock().unwrap());
    }));
    section.unwrap().end().unwrap();
    assert!(segment.try_write_lock().unwrap().is_none());
    reader.unlock().unwrap();
    guard.unlock().unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(view.wait(0, PATIENCE).unwrap(), Some(1));
            done.store(true, Ordering::Release);
        });
        segment.notify().unwrap();
    });
    assert!(done.load(Ordering::Acquire));
}
