//! Write sections, and copies that they do not tear.

use std::collections::BTreeSet;
use std::time::Duration;

use shmd::{ErrorKind, ReadOnly, Segment};

use crate::locks::{await_word, child_that_keeps, opened, say};
use crate::support::child::Child;
use crate::support::manager::Manager;
use crate::support::PATIENCE;

const SIZE: usize = 10_000;
const BEGIN: usize = 128;

fn is_half_written(view: &Segment<ReadOnly>) {
    let error = view.snapshot(BEGIN, &mut [0; 16], PATIENCE).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::OwnerDied), "{error:?}");
    assert!(error.to_string().contains("a writer died"), "{error}");
}

#[test]
fn a_snapshot_is_never_torn_while_another_process_writes() {
    // So much that copies of it overlap.
    const LARGE: usize = 1 << 20;
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", LARGE as u64).unwrap();
    let view = client.open("key").unwrap();
    let writer = Child::fork(|| {
        let own = opened(&client);
        say(&segment, 1);
        for number in (1..=250u8).cycle() {
            let content = vec![number; LARGE - BEGIN];
            let section = own.write_section().unwrap();
            own.write_at(BEGIN, &content).unwrap();
            section.end().unwrap();
            // Some copies fit between two sections, and some do not.
            for _ in 0..8 {
                std::hint::black_box(vec![number; LARGE]);
            }
            std::thread::yield_now();
        }
    });
    await_word(&segment, 1);
    let mut seen = BTreeSet::new();
    let mut bytes = vec![0; LARGE - BEGIN];
    let mut count = 0;
    while count < 40 || seen.len() < 5 {
        view.snapshot(BEGIN, &mut bytes, None).unwrap();
        assert!(bytes[1..] == bytes[..bytes.len() - 1], "torn");
        seen.insert(bytes[0]);
        count += 1;
    }
    drop(writer);
}

#[test]
fn what_a_dead_writer_has_half_written_is_no_snapshot_until_it_is_repaired() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", SIZE as u64).unwrap();
    let view = client.open("key").unwrap();
    let dies_in_a_section = || {
        let writer = child_that_keeps(&segment, || {
            let own = opened(&client);
            let section = own.write_section().unwrap();
            own.write_at(BEGIN, b"half").unwrap();
            section
        });
        let error = view.snapshot(BEGIN, &mut [0; 16], Duration::from_millis(20)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::TimedOut), "{error:?}");
        let error = view.snapshot(BEGIN, &mut [0; 16], Duration::ZERO).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::TimedOut), "{error:?}");
        writer.kill();
        is_half_written(&view);
    };
    let mut bytes = [0; 16];

    // A section in which nobody calls the content whole does not let the readers in.
    dies_in_a_section();
    let section = segment.write_section().unwrap();
    assert!(section.owner_died());
    section.end().unwrap();
    is_half_written(&view);
    // One that does is their next content.
    let mut section = segment.write_section().unwrap();
    assert!(section.owner_died());
    segment.write_at(BEGIN, b"whole in section").unwrap();
    section.make_consistent().unwrap();
    let error = view.snapshot(BEGIN, &mut bytes, Duration::ZERO).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TimedOut), "{error:?}");
    section.end().unwrap();
    view.snapshot(BEGIN, &mut bytes, PATIENCE).unwrap();
    assert_eq!(&bytes, b"whole in section");

    // Or who has the mutex alone says so.
    dies_in_a_section();
    let mut guard = segment.lock().unwrap();
    assert!(guard.owner_died());
    segment.write_at(BEGIN, b"whole in a mutex").unwrap();
    guard.make_consistent().unwrap();
    view.snapshot(BEGIN, &mut bytes, Duration::ZERO).unwrap();
    assert_eq!(&bytes, b"whole in a mutex");
    guard.unlock().unwrap();
    let section = segment.write_section().unwrap();
    assert!(!section.owner_died());
    section.end().unwrap();
    view.snapshot(BEGIN, &mut bytes, Duration::ZERO).unwrap();
}

#[test]
fn a_mutex_alone_keeps_no_snapshot_waiting() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", SIZE as u64).unwrap();
    let _guard = segment.lock().unwrap();
    client.open("key").unwrap().snapshot(0, &mut [0; 16], Duration::ZERO).unwrap();
}

#[test]
fn a_snapshot_is_within_the_size() {
    let manager = Manager::start_without_store();
    let segment = manager.client().create("key", 10).unwrap();
    let error = segment.snapshot(5, &mut [0; 6], None).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::OutOfRange { offset: 5, length: 6, size: 10 }), "{error:?}");
    segment.snapshot(10, &mut [], None).unwrap();
}
