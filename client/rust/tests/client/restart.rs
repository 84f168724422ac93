//! A daemon that a service manager starts again.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use shmd::{ErrorKind, NewSegment, ReadOnly, Segment};

use crate::support::child::{in_child, inherited};
use crate::support::manager::Manager;

#[test]
fn an_open_segment_goes_on_after_a_restart() {
    let mut manager = Manager::start();
    let client = manager.client();
    let table = NewSegment::new("table", 100).create_staged(&client).unwrap();
    table.write_at(0, b"before").unwrap();
    manager.kill();
    table.write_at(0, b"while there is none").unwrap();
    manager.start_daemon();
    let table = table.publish().unwrap();
    assert_eq!(client.open("table").unwrap().read_vec(0, 19).unwrap(), b"while there is none");
    manager.restart();
    let table = table.seal().unwrap();
    manager.kill();
    manager.start_daemon();
    assert_eq!(manager.attachments("table"), 1);
    assert_eq!(&table[..6], b"while ");
    table.close();
    manager.await_attachments("table", 0);
}

#[test]
fn closing_ends_a_grant_whether_or_not_the_client_has_called_since_the_restart() {
    for called in [false, true] {
        let mut manager = Manager::start();
        let client = manager.client();
        let (one, two) = (client.create("one", 10).unwrap(), client.create("two", 10).unwrap());
        manager.kill();
        manager.start_daemon();
        if called {
            assert_eq!(client.list("").unwrap().len(), 2);
        }
        assert_eq!(manager.attachments("one"), 1);
        drop(one);
        manager.await_attachments("one", 0);
        assert_eq!(manager.attachments("two"), 1);
        drop(client);
        assert_eq!(manager.attachments("two"), 1);
        drop(two);
        manager.await_attachments("two", 0);
    }
}

#[test]
fn closing_many_at_once_does_too() {
    for called in [false, true] {
        let mut manager = Manager::start();
        let client = manager.client();
        drop((client.create("one", 10).unwrap(), client.create("two", 10).unwrap()));
        let keys = [["one"; 20], ["two"; 20]].concat();
        let opened = client.open_many::<ReadOnly>(keys).unwrap();
        let mut opened: Vec<Segment<ReadOnly>> = opened.into_iter().map(Result::unwrap).collect();
        manager.await_attachments("one", 20);
        manager.kill();
        manager.start_daemon();
        if called {
            client.list("").unwrap();
        }
        let two = opened.split_off(20);
        shmd::close_many(opened);
        manager.await_attachments("one", 0);
        assert_eq!(manager.attachments("two"), 20);
        shmd::close_many(two);
        manager.await_attachments("two", 0);
    }
}

#[test]
fn a_segment_closed_while_the_daemon_is_away_is_let_go_when_the_client_calls_again() {
    let mut manager = Manager::start();
    let client = manager.client();
    let (closed, open) = (client.create("closed", 10).unwrap(), client.create("open", 10).unwrap());
    manager.kill();
    drop(closed);
    manager.start_daemon();
    assert_eq!(client.list("").unwrap().len(), 2);
    manager.await_attachments("closed", 0);
    assert_eq!(manager.attachments("open"), 1);
    open.remap().unwrap();
}

#[test]
fn a_call_that_comes_while_there_is_no_daemon_waits_in_the_socket() {
    let mut manager = Manager::start();
    let client = manager.client();
    let segment = client.create("key", 10).unwrap();
    manager.kill();
    let calling = std::thread::spawn(move || segment.remap().map(|info| info.id));
    manager.start_daemon();
    assert_eq!(calling.join().unwrap().unwrap(), client.describe("key").unwrap().id);
}

#[test]
fn a_wait_for_a_key_goes_on_over_a_restart() {
    let mut manager = Manager::start();
    let client = manager.client();
    let waiting = std::thread::spawn({
        let client = client.clone();
        move || client.open_wait::<ReadOnly>("key", Duration::from_secs(60)).map(|segment| segment.id())
    });
    manager.kill();
    manager.start_daemon();
    let made = client.create("key", 10).unwrap();
    assert_eq!(waiting.join().unwrap().unwrap(), made.id());
}

#[test]
fn thousands_of_open_segments_are_taken_up_at_once() {
    let mut manager = Manager::start();
    let client = manager.client();
    let new: Vec<_> = (0..100).map(|i| NewSegment::new(format!("key/{i}"), 10)).collect();
    drop(client.create_many(&new).unwrap());
    let keys = (0..5000).map(|i| format!("key/{}", i % 100));
    let opened = client.open_many::<ReadOnly>(keys).unwrap();
    manager.kill();
    manager.start_daemon();
    for segment in opened.iter().flatten().step_by(50) {
        segment.remap().unwrap();
    }
    assert_eq!(manager.attachments("key/7"), 50);
    drop(opened);
    manager.await_attachments("key/7", 0);
}

#[test]
fn without_a_store_a_grant_ends_with_the_daemon_and_the_client_goes_on() {
    let mut manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 10).unwrap();
    segment.write_at(0, b"mine").unwrap();
    manager.kill();
    manager.start_daemon();
    let error = segment.remap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::GrantEnded), "{error:?}");
    assert!(matches!(client.describe("key").unwrap_err().kind(), ErrorKind::NoSuchSegment { .. }));
    let again = client.create("key", 10).unwrap();
    drop(segment.seal().unwrap_err().into_segment().map(|segment| segment.read_vec(0, 4).unwrap()));
    assert_eq!(manager.attachments("key"), 1);
    again.remap().unwrap();
}

#[test]
fn a_child_neither_takes_up_nor_ends_what_its_parent_has_open() {
    let mut manager = Manager::start();
    let client = manager.client();
    let segment = client.create("key", 10).unwrap();
    manager.kill();
    manager.start_daemon();
    assert!(in_child(|| {
        assert!(matches!(segment.remap().unwrap_err().kind(), ErrorKind::Inherited));
        drop(inherited(&segment));
        assert_eq!(client.list("").unwrap().len(), 1);
    }));
    assert_eq!(manager.attachments("key"), 1);
    segment.remap().unwrap();
}

#[test]
fn threads_go_on_while_the_daemon_is_killed_again_and_again() {
    let mut manager = Manager::start();
    let client = manager.client();
    let held = client.create("key", 100).unwrap();
    let done = AtomicBool::new(false);
    let opened = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for number in 0..4u8 {
            let (client, held, done, opened) = (&client, &held, &done, &opened);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    held.write_at(number.into(), &[number]).unwrap();
                    match client.open("key").and_then(|segment| segment.remap().map(|_| segment)) {
                        Ok(segment) => {
                            assert_eq!(segment.read_vec(number.into(), 1).unwrap(), [number]);
                            opened.fetch_add(1, Ordering::Relaxed);
                        }
                        // The daemon was killed twice under one call, or under one that is not repeated.
                        Err(error) => assert!(matches!(error.kind(), ErrorKind::Disconnected), "{error:?}"),
                    }
                }
            });
        }
        for _ in 0..20 {
            let before = opened.load(Ordering::Relaxed);
            crate::support::await_that("threads open", || opened.load(Ordering::Relaxed) > before + 20);
            manager.kill();
            manager.start_daemon();
        }
        done.store(true, Ordering::Relaxed);
    });
    held.remap().unwrap();
    manager.await_attachments("key", 1);
    drop(held);
    manager.await_attachments("key", 0);
}
