//! Every error: its kind with its parameters, its Varlink name, and the words for people.

use std::error::Error as _;
use std::fs;
use std::time::Duration;

use serde_json::json;
use shmd::{
    Access, AclEntry, Attributes, Client, Error, ErrorKind, HugePages, Lifetime, NewSegment, ReadOnly, SegmentId,
};

use crate::support::child::{as_user, in_child};
use crate::support::fake::FakeDaemon;
use crate::support::manager::Manager;
use crate::support::{is_root, TempDir};

/// Checks what all of the daemon's errors have in common.
fn named(error: &Error, name: &str, parameters: serde_json::Value) {
    assert_eq!(error.name(), name);
    assert_eq!(json!(error.parameters()), parameters);
    assert_eq!(error.kind().as_str(), name.rsplit('.').next().unwrap());
    assert!(error.source().is_none());
}

fn with_configuration(configuration: &str) -> (TempDir, Manager) {
    let directory = TempDir::new();
    let path = directory.path().join("shmd.conf");
    fs::write(&path, configuration).unwrap();
    let manager = Manager::start_with(0, &["--config", path.to_str().unwrap()]);
    (directory, manager)
}

#[test]
fn no_such_segment() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let error = client.open_write("missing").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NoSuchSegment { key: Some(key), id: None } if key == "missing"));
    named(&error, "io.shmd.Segments.NoSuchSegment", json!({"key": "missing"}));
    assert_eq!(error.to_string(), "cannot open segment 'missing' for writing: no segment has this key");
    let error = client.describe(SegmentId(1)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NoSuchSegment { key: None, id: Some(SegmentId(1)) }));
    assert_eq!(error.to_string(), "cannot describe segment 1: no segment has this id");
    for error in [
        client.delete("missing").unwrap_err(),
        client.seal("missing").unwrap_err(),
        client.renew("missing").unwrap_err(),
        client.resize("missing", 1).unwrap_err(),
        client.set_attributes("missing", &Attributes::new().mode(0o600)).unwrap_err(),
        client.open_sealed("missing").unwrap_err(),
        client.open_wait::<ReadOnly>("missing", Duration::ZERO).unwrap_err(),
    ] {
        named(&error, "io.shmd.Segments.NoSuchSegment", json!({"key": "missing"}));
    }
    let segment = client.create("gone", 10).unwrap();
    assert_eq!(std::io::Error::from(client.open("missing").unwrap_err()).kind(), std::io::ErrorKind::NotFound);
    drop(segment);
}

#[test]
fn segment_exists_size_mismatch_and_invalid_keys() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    client.create("key", 10).unwrap();
    let error = client.create("key", 10).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::SegmentExists { key } if key == "key"));
    named(&error, "io.shmd.Segments.SegmentExists", json!({"key": "key"}));
    let words =
        "cannot create segment 'key' of 10 bytes: the key 'key' is taken: open that segment, or choose another key";
    assert_eq!(error.to_string(), words);
    let error = NewSegment::new("key", 11).open_or_create(&client).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::SizeMismatch { size_bytes: 10 }));
    named(&error, "io.shmd.Segments.SizeMismatch", json!({"sizeBytes": 10}));
    for key in ["", "/begins", "has space", "größe"] {
        let error = client.create(key, 10).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidKey { key: named } if named == key), "{error:?}");
        named(&error, "io.shmd.Segments.InvalidKey", json!({ "key": key }));
    }
    let prefix =
        |kind: &ErrorKind| assert!(matches!(kind, ErrorKind::InvalidParameter { parameter } if parameter == "prefix"));
    prefix(client.list("/").unwrap_err().kind());
    prefix(client.watch("/").unwrap_err().kind());
}

#[test]
fn parameters_that_the_daemon_does_not_accept() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let parameter = |error: Error| match error.kind() {
        ErrorKind::InvalidParameter { parameter } => {
            named(&error, "org.varlink.service.InvalidParameter", json!({ "parameter": parameter }));
            parameter.clone()
        }
        _ => panic!("{error:?}"),
    };
    let refused = |new: NewSegment| parameter(new.create(&client).unwrap_err());
    assert_eq!(refused(NewSegment::new("key", 0)), "sizeBytes");
    assert_eq!(refused(NewSegment::new("key", u64::MAX)), "sizeBytes");
    assert_eq!(refused(NewSegment::new("key", 1).mode(0o1000)), "mode");
    assert_eq!(refused(NewSegment::new("key", 1).lease(Duration::from_millis(1))), "leaseUsec");
    assert_eq!(refused(NewSegment::new("key", 1).lifetime(Lifetime::Lease)), "leaseUsec");
    assert_eq!(refused(NewSegment::new("key", 2).capacity(1)), "capacityBytes");
    assert_eq!(refused(NewSegment::new("key", 1).label("", "no name")), "labels");
    assert_eq!(refused(NewSegment::new("key", 1).numa_nodes([2000])), "numaNodes");
    let entries = (0..33).fold(NewSegment::new("key", 1), |new, uid| new.allow(AclEntry::user(uid, Access::Read)));
    assert_eq!(refused(entries), "acl");
}

#[test]
fn limits() {
    let (_directory, manager) = with_configuration(r#"{"limits": {"segments": 1, "watches": 1}}"#);
    let client = manager.client();
    client.create("one", 10).unwrap();
    let error = client.create("two", 10).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::QuotaExceeded { resource, limit: 1 } if resource == "segments"));
    named(&error, "io.shmd.Segments.QuotaExceeded", json!({"resource": "segments", "limit": 1}));
    let _watch = client.watch("").unwrap();
    let error = client.watch("").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::QuotaExceeded { resource, limit: 1 } if resource == "watches"));
}

#[test]
fn too_many_connections_are_told_at_the_first_call() {
    let (_directory, manager) = with_configuration(r#"{"limits": {"connections": 1}}"#);
    let client = manager.client();
    client.list("").unwrap();
    let refused = manager.client();
    for _ in 0..3 {
        let error = refused.list("").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::QuotaExceeded { resource, limit: 1 } if resource == "connections"));
    }
    drop(client);
    crate::support::await_that("the place is free", || refused.list("").is_ok());
}

#[test]
fn memory_that_the_machine_has_not() {
    let (_directory, manager) = with_configuration(r#"{"limits": {"bytes": "8000T"}}"#);
    let error = manager.client().create("key", 1 << 50).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::OutOfMemory { size_bytes } if *size_bytes == 1 << 50), "{error:?}");
    named(&error, "io.shmd.Segments.OutOfMemory", json!({"sizeBytes": 1_u64 << 50}));
}

#[test]
fn a_mapping_that_does_not_fit_leaves_no_segment_behind() {
    let (_directory, manager) = with_configuration(r#"{"limits": {"bytes": "8000T"}}"#);
    assert!(in_child(|| {
        let client = manager.client();
        let limit = libc::rlimit { rlim_cur: 3 << 30, rlim_max: 3 << 30 };
        // SAFETY: sets a limit of this child: of its address space.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
        let new = NewSegment::new("key", 4 << 30).reserve(shmd::Reserve::Lazy);
        let error = new.create(&client).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::OutOfMemory { size_bytes } if *size_bytes == 4 << 30), "{error:?}");
        assert_eq!(error.name(), ""); // the daemon had it, and this process has no room
        let error = client.create_many([&new, &NewSegment::new("small", 10)]).unwrap_err();
        assert_eq!(error.name(), "");
        assert_eq!(client.list("").unwrap(), []);
    }));
}

#[test]
fn seals_and_leases() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = NewSegment::new("never", 10).sealable(false).create(&client).unwrap();
    let error = client.open_sealed("never").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotSealed { key: Some(_), .. }));
    named(&error, "io.shmd.Segments.NotSealed", json!({"key": "never"}));
    let (error, segment) = segment.seal().unwrap_err().into_parts();
    assert!(matches!(error.kind(), ErrorKind::NotSealable { id: Some(_), .. }), "{error:?}");
    segment.unwrap().write_at(0, b"goes on").unwrap();
    let error = client.seal("never").unwrap_err();
    named(&error, "io.shmd.Segments.NotSealable", json!({"key": "never"}));
    let error = client.renew("never").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NoLease { key: Some(_), .. }));
    named(&error, "io.shmd.Segments.NoLease", json!({"key": "never"}));
    client.create("sealed", 10).unwrap().seal().unwrap();
    let error = client.open_write("sealed").unwrap_err();
    named(&error, "io.shmd.Segments.SegmentSealed", json!({"key": "sealed"}));
    assert!(matches!(client.resize("sealed", 5).unwrap_err().kind(), ErrorKind::SegmentSealed { .. }));
}

#[test]
fn busy_segments_and_capacities() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = NewSegment::new("key", 10).capacity(20).create(&client).unwrap();
    let error = segment.resize(21).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::CapacityExceeded { capacity_bytes: 20 }));
    named(&error, "io.shmd.Segments.CapacityExceeded", json!({"capacityBytes": 20}));
    let other = manager.client();
    let held = other.open("key").unwrap();
    let error = segment.resize(5).unwrap_err();
    match error.kind() {
        ErrorKind::SegmentBusy { holders } => assert_eq!(holders[0].attachment, held.attachment()),
        kind => panic!("{kind:?}"),
    }
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    assert!(matches!(client.seal("key").unwrap_err().kind(), ErrorKind::SegmentBusy { .. }));
}

#[test]
fn memory_of_a_kind_that_the_machine_has_not() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let pool = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
    if fs::read_to_string(pool).map_or(true, |text| text.trim() != "0") {
        return println!("this machine has huge pages");
    }
    let error = NewSegment::new("key", 10).huge_pages(HugePages::Huge2M).create(&client).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::PlacementUnavailable { setting } if setting == pool), "{error:?}");
    named(&error, "io.shmd.Segments.PlacementUnavailable", json!({ "setting": pool }));
    let without = NewSegment::new("key", 10).huge_pages(HugePages::Huge2M).placement_fallback(true);
    assert_eq!(without.create(&client).unwrap().info().huge_pages, HugePages::None);
}

#[test]
fn every_error_has_its_kind_and_one_that_is_not_known_is_still_an_error() {
    let daemon = FakeDaemon::new();
    let client = Client::connect_to(daemon.path()).unwrap();
    let mut peer = daemon.accept();
    let mut kind_of = |name: &str, parameters: serde_json::Value| {
        peer.send_error(name, parameters.clone());
        let error = client.describe("key").unwrap_err();
        peer.expect("Describe");
        assert_eq!((error.name(), json!(error.parameters())), (name, parameters));
        assert!(!error.to_string().is_empty());
        error.kind().as_str()
    };
    let holder = json!({"pid": 1, "uid": 2, "attachment": 3, "access": "write"});
    for (name, parameters) in [
        ("NoSuchSegment", json!({"key": "a"})),
        ("SegmentExists", json!({"key": "a"})),
        ("SizeMismatch", json!({"sizeBytes": 1})),
        ("InvalidKey", json!({"key": ""})),
        ("QuotaExceeded", json!({"resource": "bytes", "limit": 1})),
        ("OutOfMemory", json!({"sizeBytes": 1})),
        ("SegmentSealed", json!({"id": 1})),
        ("NotSealed", json!({"id": 1})),
        ("NotSealable", json!({"id": 1})),
        ("SegmentBusy", json!({ "holders": [holder] })),
        ("NoLease", json!({"id": 1})),
        ("CapacityExceeded", json!({"capacityBytes": 1})),
        ("PlacementUnavailable", json!({"setting": "a"})),
        ("Draining", json!({})),
    ] {
        assert_eq!(kind_of(&format!("io.shmd.Segments.{name}"), parameters), name);
    }
    for (name, parameters) in [
        ("PermissionDenied", json!({})),
        ("InvalidParameter", json!({"parameter": "a"})),
        ("InterfaceNotFound", json!({"interface": "a"})),
        ("MethodNotFound", json!({"method": "a"})),
        ("MethodNotImplemented", json!({"method": "a"})),
        ("ExpectedMore", json!({})),
    ] {
        assert_eq!(kind_of(&format!("org.varlink.service.{name}"), parameters), name);
    }
    assert_eq!(kind_of("io.shmd.Segments.Haunted", json!({"by": ["ghosts"]})), "Other");
    assert_eq!(kind_of("io.shmd.Segments.SizeMismatch", json!({"sizeBytes": "small"})), "Other");
    assert_eq!(kind_of("io.shmd.Segments.SegmentBusy", json!({"holders": [{"pid": 1}]})), "Other");
}

#[test]
fn a_daemon_that_is_drained() {
    let manager = Manager::start_without_store();
    manager.control().call("io.shmd.Control.Drain", json!({"enable": true})).unwrap();
    let error = manager.client().create("key", 10).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Draining), "{error:?}");
    named(&error, "io.shmd.Segments.Draining", json!({}));
}

#[test]
fn what_others_may_not() {
    if !is_root() {
        return println!("needs root");
    }
    let manager = Manager::start_without_store();
    let client = manager.client();
    client.create("key", 10).unwrap();
    assert!(as_user(61001, 62001, || {
        let client = manager.client();
        let error = client.open("key").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::PermissionDenied));
        named(&error, "org.varlink.service.PermissionDenied", json!({}));
        assert!(error.to_string().contains("user 61001 is not allowed to"), "{error}");
        assert!(matches!(client.create("user/0/x", 1).unwrap_err().kind(), ErrorKind::PermissionDenied));
        let error = Client::connect_to(manager.control_socket()).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::System(cause) if cause.kind() == std::io::ErrorKind::PermissionDenied)
        );
        assert!(error.source().is_some());
    }));
}

#[test]
fn methods_and_interfaces_that_are_not_there() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let error = client.call("io.shmd.Segments.Haunt", json!({})).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::MethodNotFound { method } if method == "io.shmd.Segments.Haunt"));
    let error = client.call("io.shmd.Control.GetStatus", json!({})).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InterfaceNotFound { interface } if interface == "io.shmd.Control"));
    let error = client.call("io.shmd.Segments.List", json!({})).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ExpectedMore));
    let error = client.call("io.shmd.Segments.List", json!([])).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidArgument(_)));
    assert_eq!((error.name(), error.parameters().len()), ("", 0));
    // The connection still serves.
    assert_eq!(client.list("").unwrap(), []);
}

#[test]
fn a_socket_that_nobody_serves() {
    let directory = TempDir::new();
    let path = directory.path().join("socket");
    let error = Client::connect_to(&path).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NoDaemon(cause) if cause.kind() == std::io::ErrorKind::NotFound));
    assert!(error.to_string().contains(path.to_str().unwrap()) && error.to_string().contains("start shmd"), "{error}");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let error = Client::connect_to(&path).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::NoDaemon(cause) if cause.kind() == std::io::ErrorKind::ConnectionRefused)
    );
    let long = "x".repeat(200);
    assert!(matches!(Client::connect_to(long).unwrap_err().kind(), ErrorKind::InvalidArgument(_)));
    assert!(matches!(Client::connect_to("").unwrap_err().kind(), ErrorKind::InvalidArgument(_)));
}
