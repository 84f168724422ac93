//! Watches.

use std::os::unix::io::AsRawFd;
use std::time::Duration;

use shmd::{ErrorKind, EventKind, NewSegment, Watch};

use crate::support::manager::Manager;

fn kinds(watch: &mut Watch, count: usize) -> Vec<EventKind> {
    watch.take(count).map(|event| event.unwrap().kind).collect()
}

#[test]
fn what_is_there_comes_first_and_then_what_happens() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    client.create("there", 10).unwrap();
    client.create("other/there", 10).unwrap();
    let mut watch = client.watch("t").unwrap();
    let first = watch.next().unwrap().unwrap();
    assert_eq!((first.kind, first.segment.unwrap().key.as_deref()), (EventKind::Present, Some("there")));
    let ready = watch.next().unwrap().unwrap();
    assert_eq!((ready.kind, ready.segment), (EventKind::Ready, None));

    use EventKind::*;
    let segment = NewSegment::new("table", 10).capacity(20).create(&client).unwrap();
    assert_eq!(kinds(&mut watch, 2), [Created, Attached]);
    segment.resize(20).unwrap();
    assert_eq!(kinds(&mut watch, 1), [Resized]);
    client.set_attributes("table", &shmd::Attributes::new().mode(0o644)).unwrap();
    assert_eq!(kinds(&mut watch, 1), [Changed]);
    drop(segment.seal().unwrap());
    let mut seen = kinds(&mut watch, 4);
    seen.sort_by_key(|kind| kind.as_str());
    assert_eq!(seen, [Attached, Detached, Detached, Sealed]);
    let next = NewSegment::new("table", 10).create_staged(&client).unwrap();
    drop(next.replace().unwrap());
    assert_eq!(kinds(&mut watch, 3), [Replaced, Published, Detached]);
    client.delete("table").unwrap();
    let gone = watch.next().unwrap().unwrap();
    assert_eq!((gone.kind, gone.segment.unwrap().key.as_deref()), (Deleted, Some("table")));
    assert_eq!(watch.next_timeout(Duration::ZERO).unwrap(), None);
}

#[test]
fn its_descriptor_tells_when_there_is_more() {
    use rustix::event::{poll, PollFd, PollFlags, Timespec};
    let manager = Manager::start_without_store();
    let client = manager.client();
    let mut watch = client.watch("").unwrap();
    assert!(watch.as_raw_fd() >= 0);
    while watch.next().unwrap().unwrap().kind != EventKind::Ready {}
    assert_eq!(watch.next_timeout(Duration::ZERO).unwrap(), None);
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(&watch, PollFlags::IN)], Some(&zero)).unwrap(), 0);
    client.create("key", 10).unwrap();
    assert_eq!(poll(&mut [PollFd::new(&watch, PollFlags::IN)], None).unwrap(), 1);
    assert_eq!(watch.next_timeout(Duration::MAX).unwrap().unwrap().kind, EventKind::Created);
}

#[test]
fn a_watch_ends_with_the_daemon() {
    let mut manager = Manager::start_without_store();
    let mut watch = manager.client().watch("").unwrap();
    manager.kill();
    assert_eq!(watch.next().unwrap().unwrap().kind, EventKind::Ready);
    let error = watch.next().unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Disconnected), "{error:?}");
    assert!(watch.next().is_none());
    assert!(watch.next_timeout(Duration::ZERO).is_err());
}

#[test]
fn many_events_are_read_in_their_order() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let watch = client.watch("").unwrap();
    let reading = std::thread::spawn(move || {
        let created = watch.map(Result::unwrap).filter(|event| event.kind == EventKind::Created);
        created.take(300).map(|event| event.segment.unwrap().key.unwrap()).collect::<Vec<_>>()
    });
    let keys: Vec<_> = (0..300).map(|i| format!("key/{i}")).collect();
    keys.iter().for_each(|key| drop(client.create(key, 10).unwrap()));
    assert_eq!(reading.join().unwrap(), keys);
}
