//! Threads that share a client and segments.

use std::sync::atomic::{AtomicUsize, Ordering};

use shmd::{Client, Cursor, Error, NewSegment, ReadOnly, ReadWrite, Sealed, Segment, Staged, Watch};

use crate::support::manager::Manager;

#[test]
fn everything_may_be_shared_or_sent() {
    fn shared<T: Send + Sync>() {}
    shared::<Client>();
    shared::<Segment<ReadOnly>>();
    shared::<Segment<ReadWrite>>();
    shared::<Segment<Sealed>>();
    shared::<Staged<ReadWrite>>();
    shared::<Cursor<'_, ReadWrite>>();
    shared::<Watch>();
    shared::<Error>();
}

#[test]
fn threads_call_at_once_on_one_client() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let client = client.clone();
            scope.spawn(move || {
                for i in 0..50 {
                    let key = format!("key/{thread}/{i}");
                    let made = client.create(key.as_str(), 100).unwrap();
                    made.write_at(0, key.as_bytes()).unwrap();
                    let read = client.open(key.as_str()).unwrap();
                    assert_eq!(read.read_vec(0, key.len()).unwrap(), key.as_bytes());
                    drop(made);
                    client.delete(key).unwrap();
                }
            });
        }
    });
    assert_eq!(client.list("").unwrap(), []);
}

#[test]
fn one_segment_is_counted_in_and_read_by_many_threads() {
    let manager = Manager::start_without_store();
    let segment = NewSegment::new("key", 4096).capacity(8192).create(&manager.client()).unwrap();
    let torn = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for number in 1..4u8 {
            let (segment, torn) = (&segment, &torn);
            scope.spawn(move || {
                for i in 0..500 {
                    segment.atomic_u32(0).unwrap().fetch_add(1, Ordering::Relaxed);
                    segment.write_at(8, &[number; 1000]).unwrap();
                    let seen = segment.read_vec(8, 1000).unwrap();
                    assert!(seen.iter().all(|byte| (1..4).contains(byte)));
                    torn.fetch_add(seen.iter().any(|byte| *byte != seen[0]) as usize, Ordering::Relaxed);
                    if i % 100 == 0 {
                        segment.resize(4096 + i).unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(segment.load_u32(0, Ordering::Relaxed).unwrap(), 1500);
}
