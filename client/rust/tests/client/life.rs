//! A segment's life: created, opened, described, listed, changed, published, sealed, resized, deleted.

use std::time::Duration;

use shmd::{
    Access, AclEntry, Attributes, ErrorKind, Key, Lifetime, NewSegment, ReadOnly, ReadWrite, Reserve, Sealed, Segment,
    State,
};

use crate::support::child::{in_child, mappings, open_files};
use crate::support::manager::Manager;

#[test]
fn what_one_client_writes_another_reads() {
    let manager = Manager::start_without_store();
    let written = manager.client().create("key", 100).unwrap();
    written.write_at(10, b"hello").unwrap();
    let read = manager.client().open("key").unwrap();
    assert_eq!(read.read_vec(8, 9).unwrap(), b"\0\0hello\0\0");
    written.write_at(10, b"J").unwrap();
    assert_eq!(read.read_vec(10, 5).unwrap(), b"Jello");
    assert_eq!((read.len(), read.capacity(), read.was_created()), (100, 100, false));
    assert!(written.was_created());
    assert_eq!(read.id(), written.id());
    assert_ne!(read.attachment(), written.attachment());
}

#[test]
fn every_option_of_a_new_segment_is_in_its_description() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = NewSegment::new("key", 5000)
        .mode(0o640)
        .reserve(Reserve::Populate)
        .lease(Duration::from_secs(90))
        .evictable(true)
        .capacity(9000)
        .label("team", "billing")
        .label("codec", "h264")
        .allow(AclEntry::user(4, Access::Write))
        .allow(AclEntry::group(5, Access::Read))
        .huge_pages(shmd::HugePages::Transparent)
        .numa_nodes([0])
        .placement_fallback(true)
        .create(&client)
        .unwrap();
    let info = client.describe("key").unwrap();
    assert_eq!(info.id, segment.id());
    assert_eq!(info.key.as_deref(), Some("key"));
    assert_eq!((info.size_bytes, info.capacity_bytes, info.mode), (5000, 9000, 0o640));
    assert_eq!((info.lifetime, info.lease_usec), (Lifetime::Lease, Some(90_000_000)));
    assert!(info.evictable && info.expires_usec.is_some() && !info.sealed);
    assert_eq!(info.state, State::Live);
    let labels: Vec<_> = info.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(labels, [("codec", "h264"), ("team", "billing")]);
    assert_eq!(info.acl, [AclEntry::user(4, Access::Write), AclEntry::group(5, Access::Read)]);
    assert_eq!(info.creator_pid as u32, std::process::id());
    assert_eq!(info.attachments, 1);
    // Told anew each time, from another clock.
    let mut told = (*segment.info()).clone();
    told.expires_usec = info.expires_usec;
    assert_eq!(told, info);
}

#[test]
fn a_key_may_be_an_integer_or_made_up_by_the_daemon() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    assert_eq!(client.create(0xff3, 10).unwrap().key().as_deref(), Some("sysv:0x00000ff3"));
    assert_eq!(client.create(-1, 10).unwrap().key().as_deref(), Some("sysv:0xffffffff"));
    client.open("sysv:0x00000ff3").unwrap();
    client.open(0xffff_ffff_u32).unwrap();
    client.delete(0xff3).unwrap();
    let unnamed = NewSegment::unnamed(10).create(&client).unwrap();
    let key = Key::from(unnamed.key().unwrap());
    assert_eq!(client.open(&key).unwrap().id(), unnamed.id());
}

#[test]
fn a_segment_is_opened_by_id_after_it_was_deleted_as_long_as_somebody_has_it() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 10).unwrap();
    segment.write_at(0, b"still here").unwrap();
    client.delete("key").unwrap();
    let again = client.open(segment.id()).unwrap();
    assert_eq!(again.info().state, State::Deleted);
    assert_eq!(again.key(), None);
    assert_eq!(again.read_vec(0, 10).unwrap(), b"still here");
    let id = segment.id();
    drop((segment, again));
    assert!(
        matches!(client.open(id).unwrap_err().kind(), ErrorKind::NoSuchSegment { key: None, id: Some(it) } if *it == id)
    );
}

#[test]
fn open_or_create_tells_which_it_did() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let new = NewSegment::new("key", 50);
    let made = new.open_or_create(&client).unwrap();
    assert!(made.was_created());
    let found = NewSegment::new("key", 20).open_or_create(&client).unwrap();
    assert_eq!((found.was_created(), found.len(), found.id()), (false, 50, made.id()));
    assert!(!new.open_or_create_read_only(&client).unwrap().was_created());
    assert!(NewSegment::new("other", 1).create_read_only(&client).unwrap().was_created());
}

#[test]
fn segments_are_listed_in_the_order_of_their_creation() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    assert_eq!(client.list("").unwrap(), []);
    for key in ["b/2", "a/1", "b/1"] {
        client.create(key, 10).unwrap();
    }
    let keys = |prefix| client.list(prefix).unwrap().into_iter().map(|info| info.key.unwrap()).collect::<Vec<_>>();
    assert_eq!(keys(""), ["b/2", "a/1", "b/1"]);
    assert_eq!(keys("b/"), ["b/2", "b/1"]);
    assert!(keys("c/").is_empty());
}

#[test]
fn attributes_change_and_the_others_stay() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    NewSegment::new("key", 10).label("a", "1").label("b", "2").create(&client).unwrap();
    let change = Attributes::new()
        .mode(0o604)
        .owner_uid(7)
        .owner_gid(8)
        .lease(Duration::from_secs(2))
        .evictable(true)
        .label("b", "3")
        .label("c", "4")
        .remove_label("a")
        .remove_label("none")
        .acl([AclEntry::user(9, Access::Read)]);
    let info = client.set_attributes("key", &change).unwrap();
    assert_eq!((info.mode, info.owner_uid, info.owner_gid, info.evictable), (0o604, 7, 8, true));
    assert_eq!(info.labels.into_iter().collect::<Vec<_>>(), [("b".into(), "3".into()), ("c".into(), "4".into())]);
    assert_eq!(info.acl, [AclEntry::user(9, Access::Read)]);
    assert_eq!(info.lifetime, Lifetime::Lease);
    let renewed = client.renew("key").unwrap();
    assert!(renewed.expires_usec >= info.expires_usec);
    let info = client.set_attributes("key", &Attributes::new().lifetime(Lifetime::Persistent).acl([])).unwrap();
    assert_eq!((info.mode, info.lifetime, info.expires_usec), (0o604, Lifetime::Persistent, None));
    assert_eq!(info.acl, []);
}

#[test]
fn the_lifetime_attached_ends_with_the_last_grant() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = NewSegment::new("key", 10).lifetime(Lifetime::Attached).create(&client).unwrap();
    let other = client.open("key").unwrap();
    segment.close();
    assert_eq!(client.describe("key").unwrap().attachments, 1);
    other.close();
    assert!(client.describe("key").is_err());
}

#[test]
fn a_staged_segment_is_found_when_it_is_published() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let staged = NewSegment::new("key", 10).create_staged(&client).unwrap();
    assert_eq!((staged.info().state, staged.key()), (State::Staged, None));
    staged.write_at(0, b"whole").unwrap();
    assert!(client.open("key").is_err());
    let published = staged.publish().unwrap();
    assert_eq!((published.info().state, published.key().as_deref()), (State::Live, Some("key")));
    assert_eq!(client.open("key").unwrap().read_vec(0, 5).unwrap(), b"whole");
}

#[test]
fn publishing_does_not_take_a_key_over_and_replacing_does() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let old = client.create("key", 10).unwrap();
    let staged = NewSegment::new("key", 10).create_staged(&client).unwrap();
    let id = staged.id();
    let (error, staged) = staged.publish().unwrap_err().into_parts();
    assert!(matches!(error.kind(), ErrorKind::SegmentExists { key } if key == "key"));
    let published = staged.unwrap().replace().unwrap();
    assert_eq!(client.describe("key").unwrap().id, id);
    assert_eq!(old.remap().unwrap().state, State::Deleted);
    drop(published);
    let unnamed = NewSegment::unnamed(10).create_staged(&client).unwrap();
    assert_eq!(unnamed.publish_as("other").unwrap().key().as_deref(), Some("other"));
    let again = NewSegment::unnamed(10).create_staged(&client).unwrap();
    assert_eq!(again.replace_as("other").unwrap().key().as_deref(), Some("other"));
}

#[test]
fn a_staged_segment_goes_when_it_is_dropped() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let staged = NewSegment::new("key", 10).create_staged(&client).unwrap();
    let id = staged.id();
    let opened = client.open_write(id).unwrap().into_staged().unwrap();
    drop(staged);
    client.describe(id).unwrap();
    drop(opened);
    assert!(client.describe(id).is_err());
    let live = client.create("live", 10).unwrap();
    assert!(live.into_staged().is_err());
}

#[test]
fn a_sealed_segment_is_a_slice_that_nobody_can_write() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 5).unwrap();
    segment.write_at(0, b"fixed").unwrap();
    let sealed: Segment<Sealed> = segment.seal().unwrap();
    assert_eq!(&sealed[..], b"fixed");
    assert_eq!(sealed.as_ref(), sealed.as_bytes());
    assert!(sealed.info().sealed);
    assert!(matches!(client.open_write("key").unwrap_err().kind(), ErrorKind::SegmentSealed { .. }));
    assert_eq!(&client.open_sealed("key").unwrap()[..], b"fixed");
    assert_eq!(client.open("key").unwrap().read_vec(0, 5).unwrap(), b"fixed");
    assert_eq!(client.describe("key").unwrap().attachments, 1);
}

#[test]
fn sealing_in_vain_gives_the_segment_back_for_writing() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 10).unwrap();
    let other = client.open_write("key").unwrap();
    let refused = segment.seal().unwrap_err();
    match refused.error().kind() {
        ErrorKind::SegmentBusy { holders } => {
            assert_eq!(holders.len(), 1);
            assert_eq!(holders[0].attachment, other.attachment());
            assert_eq!((holders[0].pid as u32, holders[0].access), (std::process::id(), Access::Write));
        }
        kind => panic!("{kind:?}"),
    }
    let segment = refused.into_segment().unwrap();
    segment.write_at(0, b"goes on").unwrap();
    assert_eq!(other.read_vec(0, 7).unwrap(), b"goes on");
    other.close();
    let sealed = segment.seal().unwrap();
    assert_eq!(&sealed[..7], b"goes on");
}

#[test]
fn a_staged_segment_is_sealed_before_it_is_published() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let staged = NewSegment::new("key", 4).create_staged(&client).unwrap();
    staged.write_at(0, b"done").unwrap();
    let sealed = staged.seal().unwrap().publish().unwrap();
    assert_eq!(&sealed[..], b"done");
    assert_eq!(&client.open_as::<Sealed>("key").unwrap()[..], b"done");
}

#[test]
fn a_size_changes_in_place_and_others_learn_of_it() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = NewSegment::new("key", 10).capacity(10_000).create(&client).unwrap();
    let other = manager.client().open("key").unwrap();
    let address = other.as_ptr();
    assert!(segment.write_at(10, b"x").is_err());
    segment.resize(8000).unwrap();
    assert_eq!((segment.len(), segment.capacity()), (8000, 10_000));
    segment.write_at(7999, b"x").unwrap();
    assert_eq!(other.len(), 10);
    assert!(matches!(other.read_vec(7999, 1).unwrap_err().kind(), ErrorKind::OutOfRange { size: 10, .. }));
    assert_eq!(other.remap().unwrap().size_bytes, 8000);
    assert_eq!(other.read_vec(7999, 1).unwrap(), b"x");
    assert_eq!(other.as_ptr(), address);
    other.close();
    client.resize("key", 4).unwrap();
    assert_eq!(segment.len(), 8000);
    segment.remap().unwrap();
    assert_eq!(segment.len(), 4);
}

#[test]
fn waiting_for_a_key_ends_when_it_comes_or_the_time_is_over() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let none = client.open_wait::<ReadOnly>("key", Duration::from_millis(1)).unwrap_err();
    assert!(matches!(none.kind(), ErrorKind::NoSuchSegment { .. }));
    let waiting = std::thread::spawn({
        let client = client.clone();
        move || client.open_wait::<ReadWrite>("key", None).map(|segment| segment.id())
    });
    // Calls of the same client go on meanwhile, whether or not the wait has begun.
    let segment = client.create("key", 10).unwrap();
    assert_eq!(waiting.join().unwrap().unwrap(), segment.id());
    let sealed = segment.seal().unwrap();
    assert_eq!(client.open_wait::<Sealed>("key", None).unwrap().id(), sealed.id());
}

#[test]
fn nothing_is_left_behind_in_ten_thousand_opens() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    client.create("key", 10).unwrap();
    assert!(in_child(|| {
        let client = manager.client();
        let (files, maps) = (open_files(), mappings());
        for _ in 0..10_000 {
            client.open("key").unwrap();
            client.open("none").unwrap_err();
        }
        assert_eq!((open_files(), mappings()), (files, maps));
    }));
    assert_eq!(client.describe("key").unwrap().attachments, 0);
}

#[test]
fn the_control_socket_answers_calls_too() {
    let manager = Manager::start_without_store();
    manager.client().create("key", 10).unwrap();
    let control = manager.control();
    let status = control.call("io.shmd.Control.GetStatus", serde_json::Value::Null).unwrap();
    assert_eq!(status["segments"], 1);
    let listed = control.call_many("io.shmd.Control.ListSegments", serde_json::json!({})).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["segment"]["key"], "key", "{listed:?}");
}
