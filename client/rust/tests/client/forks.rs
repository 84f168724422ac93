//! Children made by fork(2).

use std::sync::atomic::{AtomicBool, Ordering};

use shmd::{ErrorKind, NewSegment};

use crate::support::child::{in_child, inherited, open_files, Child};
use crate::support::manager::Manager;
use crate::support::{await_that, child};

#[test]
fn a_child_calls_on_a_connection_of_its_own() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 10).unwrap();
    assert!(in_child(|| {
        let files = open_files();
        assert_eq!(client.list("").unwrap().len(), 1);
        // The inherited socket was closed for the new one.
        assert_eq!(open_files(), files);
        let own = client.open("key").unwrap();
        assert_eq!(own.info().attachments, 2);
    }));
    await_that("the child's grant ends", || client.describe("key").unwrap().attachments == 1);
    segment.remap().unwrap();
}

#[test]
fn an_inherited_segment_is_memory_and_nothing_more() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = NewSegment::new("key", 10).capacity(20).create(&client).unwrap();
    let staged = NewSegment::new("staged", 10).create_staged(&client).unwrap();
    let sealing = client.create("sealing", 10).unwrap();
    let watch = client.watch("").unwrap();
    assert!(in_child(|| {
        segment.write_at(0, b"child").unwrap();
        assert_eq!(segment.info().size_bytes, 10);
        let is_inherited = |kind: &ErrorKind| assert!(matches!(kind, ErrorKind::Inherited), "{kind:?}");
        is_inherited(segment.remap().unwrap_err().kind());
        is_inherited(segment.resize(20).unwrap_err().kind());
        is_inherited(inherited(&staged).publish().unwrap_err().error().kind());
        let refused = inherited(&sealing).seal().unwrap_err();
        is_inherited(refused.error().kind());
        refused.into_segment().unwrap().write_at(0, b"writable").unwrap();
        let mut watch = inherited(&watch);
        is_inherited(watch.next().unwrap().unwrap_err().kind());
        assert!(watch.next().is_none());
        drop(inherited(&segment));
    }));
    assert_eq!(segment.read_vec(0, 5).unwrap(), b"child");
    assert_eq!(client.describe("key").unwrap().attachments, 1);
    staged.publish().unwrap();
    sealing.seal().unwrap();
}

#[test]
fn the_parents_end_is_the_end_of_its_grants_though_a_child_has_its_socket() {
    let manager = Manager::start_without_store();
    manager.client().create("key", 10).unwrap();
    let parent = Child::fork(|| {
        let client = manager.client();
        let segment = client.open("key").unwrap();
        // Holds the socket, and never calls.
        let child = Child::fork(|| loop {
            std::thread::park();
        });
        drop((segment, client));
        assert_eq!(manager.attachments("key"), 0);
        child.kill();
    });
    assert!(parent.ends_well());
}

#[test]
fn closing_the_client_ends_its_connection_though_a_child_has_its_socket() {
    let manager = Manager::start_without_store();
    let connections =
        || manager.control().call("io.shmd.Control.GetStatus", serde_json::json!({})).unwrap()["connections"].clone();
    let before = connections();
    let client = manager.client();
    client.list("").unwrap();
    assert_ne!(connections(), before);
    let child = Child::fork(|| loop {
        std::thread::park();
    });
    drop(client);
    await_that("the connection ends", || connections() == before);
    drop(child);
}

#[test]
fn children_are_made_while_threads_are_in_calls() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 10).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    client.open("key").unwrap();
                    segment.remap().unwrap();
                }
            });
        }
        for _ in 0..100 {
            let well = in_child(|| {
                assert_eq!(segment.info().size_bytes, 10);
                assert_eq!(client.list("").unwrap().len(), 1);
                client.open("key").unwrap();
            });
            if !well {
                done.store(true, Ordering::Relaxed);
            }
            assert!(well);
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_childs_child_has_a_connection_of_its_own_too() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    assert!(in_child(|| {
        client.create("child", 10).unwrap();
        let clone = client.clone();
        assert!(child::in_child(|| {
            clone.create("grandchild", 10).unwrap();
        }));
        assert_eq!(client.list("").unwrap().len(), 2);
    }));
    assert_eq!(client.list("").unwrap().len(), 2);
}
