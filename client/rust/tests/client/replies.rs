//! What the client makes of replies, bad ones above all: protocol/vectors/client, with a socket that plays the daemon.

use std::fs;
use std::os::unix::io::{AsFd, OwnedFd};
use std::path::Path;

use serde_json::{json, Value};
use shmd::{Client, ErrorKind, NewSegment, Result};

use crate::support::child::{in_child, mappings, open_files};
use crate::support::fake::{memory, memory_that_may_shrink, segment, FakeDaemon};

fn changed(reply: &Value, case: &Value) -> Value {
    let mut reply = reply.clone();
    for (pointer, value) in case["set"].as_object().into_iter().flatten() {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        reply.pointer_mut(parent).unwrap()[name] = value.clone();
    }
    for pointer in case["remove"].as_array().into_iter().flatten() {
        let (parent, name) = pointer.as_str().unwrap().rsplit_once('/').unwrap();
        reply.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
    }
    reply
}

/// The call of a file.
fn call(client: &Client, call: &Value) -> Result<()> {
    let key = call["parameters"]["key"].as_str().unwrap();
    match call["method"].as_str().unwrap() {
        "io.shmd.Segments.Create" => client.create(key, call["parameters"]["sizeBytes"].as_u64().unwrap()).map(drop),
        "io.shmd.Segments.Describe" => client.describe(key).map(drop),
        "io.shmd.Segments.Delete" => client.delete(key),
        method => panic!("this test does not know {method}"),
    }
}

fn try_case(vector: &Value, case: &Value) {
    let daemon = FakeDaemon::new();
    let client = Client::connect_to(daemon.path()).unwrap();
    let mut peer = daemon.accept();
    let text = match case.get("raw") {
        Some(raw) => raw.as_str().unwrap().to_owned(),
        None => changed(&vector["reply"], case).to_string(),
    };
    let count = case.get("fds").or_else(|| vector.get("fds")).map_or(0, |fds| fds.as_u64().unwrap());
    let (files, maps) = (open_files(), mappings());
    {
        let fds: Vec<OwnedFd> = (0..count).map(|_| memory(4097)).collect();
        peer.send_with(&text, &fds.iter().map(AsFd::as_fd).collect::<Vec<_>>());
    }
    let outcome = call(&client, &vector["call"]);
    let sent = peer.receive().unwrap();
    assert_eq!(sent["method"], vector["call"]["method"]);
    for (name, value) in vector["call"]["parameters"].as_object().unwrap() {
        assert_eq!(&sent["parameters"][name.as_str()], value);
    }
    match case["outcome"].as_str().unwrap() {
        "value" => outcome.unwrap(),
        "error" => assert_eq!(outcome.unwrap_err().name(), case["error"].as_str().unwrap()),
        "broken" => {
            let error = outcome.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{error:?}");
            assert_eq!(error.name(), "");
            peer.expect_end();
        }
        other => panic!("{other}"),
    }
    assert_eq!((open_files(), mappings()), (files, maps));
}

#[test]
fn every_reply_for_clients_has_its_outcome_and_leaves_nothing_open() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protocol/vectors/client");
    let mut count = 0;
    for file in fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        let vector: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for case in vector["cases"].as_array().unwrap() {
            println!("{}: {}", path.display(), case["description"]);
            // By itself, so that what is open can be counted.
            assert!(in_child(|| try_case(&vector, case)), "{}: {}", path.display(), case["description"]);
            count += 1;
        }
    }
    assert!(count > 50);
}

/// What a client makes of an answer to its Open, and whether it hung up.
fn opened(answer: impl FnOnce(&crate::support::fake::Peer)) -> Result<()> {
    let daemon = FakeDaemon::new();
    let client = Client::connect_to(daemon.path()).unwrap();
    let mut peer = daemon.accept();
    answer(&peer);
    let outcome = client.open("key").map(drop);
    peer.expect("Open");
    if matches!(&outcome, Err(error) if matches!(error.kind(), ErrorKind::Protocol(_))) {
        peer.expect_end();
    }
    outcome
}

fn is_broken(outcome: Result<()>) {
    let error = outcome.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{error:?}");
}

#[test]
fn memory_that_is_not_as_it_is_said_to_be_is_not_mapped() {
    use crate::support::fake::grant;
    let with = |memory: &OwnedFd, reply: Value| opened(|peer| peer.send_with(&reply.to_string(), &[memory.as_fd()]));
    with(&memory(10), grant(10, 9)).unwrap();
    is_broken(with(&memory(9), grant(10, 9)));
    is_broken(with(&memory(5000), grant(10, 9)));
    is_broken(with(&memory_that_may_shrink(10), grant(10, 9)));
    is_broken(with(&fs::File::open("/dev/null").unwrap().into(), grant(10, 9)));
    is_broken(with(&fs::File::open("/proc/self/exe").unwrap().into(), grant(10, 9)));
    let mut larger = grant(10, 9);
    larger["parameters"]["segment"]["sizeBytes"] = json!(11);
    is_broken(with(&memory(10), larger));
}

#[test]
fn a_segment_is_not_sealed_by_the_daemons_word_alone() {
    let daemon = FakeDaemon::new();
    let client = Client::connect_to(daemon.path()).unwrap();
    let mut peer = daemon.accept();
    peer.grant(10, 9);
    let error = client.open_sealed("key").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotSealed { .. }));
    assert_eq!(peer.expect("Open")["sealed"], true);
    assert_eq!(peer.expect("Detach"), json!({"attachment": 9}));
}

#[test]
fn messages_come_byte_by_byte_and_two_in_one_are_one_too_many() {
    let reply = format!("{}\0", json!({"parameters": {"segment": segment(10)}}));
    let daemon = FakeDaemon::new();
    let client = Client::connect_to(daemon.path()).unwrap();
    let mut peer = daemon.accept();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            peer.expect("Describe");
            reply.as_bytes().iter().for_each(|byte| peer.send_bytes(&[*byte]));
        });
        client.describe("key").unwrap();
    });
    peer.send_bytes(format!("{reply}{reply}").as_bytes());
    let error = client.describe("key").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{error:?}");
    peer.expect("Describe");
    peer.expect_end();
}

#[test]
fn lists_end_with_the_reply_that_does_not_continue() {
    let daemon = FakeDaemon::new();
    let client = Client::connect_to(daemon.path()).unwrap();
    let mut peer = daemon.accept();
    let one = |continues: bool| json!({"parameters": {"segment": segment(10)}, "continues": continues});
    peer.send(&one(true));
    peer.send(&one(false));
    assert_eq!(client.list("").unwrap().len(), 2);
    assert_eq!(peer.receive().unwrap()["more"], true);
    peer.send(&json!({"parameters": {"segment": null}}));
    assert_eq!(client.list("").unwrap(), []);
    peer.receive().unwrap();
    peer.send(&one(false));
    peer.send(&one(false));
    assert!(matches!(client.list("").unwrap_err().kind(), ErrorKind::Protocol(_)));
    peer.receive().unwrap();
    peer.expect_end();
}

#[test]
fn what_a_call_sends_is_what_was_set() {
    let daemon = FakeDaemon::new();
    let client = Client::connect_to(daemon.path()).unwrap();
    let mut peer = daemon.accept();
    peer.grant(10, 9);
    let staged = NewSegment::new(7, 10).mode(0o640).create_staged(&client).unwrap();
    assert_eq!(
        peer.expect("Create"),
        json!({"key": "sysv:0x00000007", "sizeBytes": 10, "mode": 0o640, "staged": true})
    );
    peer.send(&json!({"parameters": {"segment": segment(10)}}));
    let published = staged.replace_as("other").unwrap();
    assert_eq!(peer.expect("Publish"), json!({"attachment": 9, "key": "other", "replace": true}));
    drop(published);
    assert_eq!(
        peer.receive().unwrap(),
        json!({
            "method": "io.shmd.Segments.Detach", "parameters": {"attachment": 9}, "oneway": true
        })
    );
}
