//! A daemon that goes away, refuses, or comes back: what is asked again, on which connection, and what is not.

use serde_json::json;
use shmd::{Client, ErrorKind, NewSegment, ReadOnly};

use crate::support::fake::{FakeDaemon, Peer};

fn pair() -> (FakeDaemon, Client, Peer) {
    let daemon = FakeDaemon::new();
    let client = Client::connect_to(daemon.path()).unwrap();
    let peer = daemon.accept();
    (daemon, client, peer)
}

fn done(peer: &Peer) {
    peer.send(&json!({"parameters": {}}));
}

#[test]
fn what_can_do_harm_twice_is_not_asked_again() {
    let (daemon, client, mut peer) = pair();
    peer.hang_up();
    let error = client.delete("key").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Disconnected));
    assert!(error.to_string().contains("may or may not"), "{error}");
    peer.expect("Delete");
    assert!(!daemon.has_connection_waiting());

    let (daemon, client, peer) = pair();
    peer.hang_up();
    assert!(matches!(client.create("key", 1).unwrap_err().kind(), ErrorKind::Disconnected));
    assert!(!daemon.has_connection_waiting());

    // Without a key, `any` makes another segment each time.
    let (daemon, client, peer) = pair();
    peer.hang_up();
    let error = NewSegment::unnamed(1).open_or_create(&client).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Disconnected));
    assert!(!daemon.has_connection_waiting());
}

#[test]
fn what_does_no_harm_twice_is_asked_again_once() {
    for answers in [false, true] {
        let (daemon, client, peer) = pair();
        peer.hang_up();
        std::thread::scope(|scope| {
            let daemon = &daemon;
            scope.spawn(move || {
                let mut second = daemon.accept();
                second.expect("Create");
                if answers {
                    second.grant(10, 9);
                    second.until_end();
                }
            });
            let outcome = NewSegment::new("key", 10).open_or_create(&client);
            match outcome {
                Ok(segment) => assert!(answers && segment.len() == 10),
                Err(error) => assert!(!answers && matches!(error.kind(), ErrorKind::Disconnected), "{error:?}"),
            }
            drop(client);
        });
        assert!(!daemon.has_connection_waiting());
    }
}

#[test]
fn a_call_that_never_reached_a_daemon_is_made_again_whatever_it_is() {
    let (daemon, client, mut peer) = pair();
    done(&peer);
    client.delete("key").unwrap();
    peer.expect("Delete");
    drop(peer);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut second = daemon.accept();
            second.expect("Delete");
            done(&second);
            second.until_end();
        });
        client.delete("key").unwrap();
        drop(client);
    });
}

#[test]
fn a_connection_that_the_daemon_refuses_says_why_even_when_it_was_closed_before_the_first_call() {
    for closed_before in [false, true] {
        let (daemon, client, peer) = pair();
        peer.send_error("io.shmd.Segments.QuotaExceeded", json!({"resource": "connections", "limit": 5}));
        if closed_before {
            drop(peer);
        }
        let error = client.open("key").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::QuotaExceeded { resource, limit: 5 } if resource == "connections"));
        assert!(!daemon.has_connection_waiting());
    }
}

/// Answers the first connection that there is no such key, and hangs up on that many waits. Then the key is there.
fn hang_up_on_waits(daemon: &FakeDaemon, waits: usize) {
    let mut main = daemon.accept();
    for _ in 0..waits {
        if main.receive().is_none() {
            return;
        }
        main.no_such_segment();
        let mut waiting = daemon.accept();
        assert!(waiting.expect("Open")["waitUsec"].as_u64().is_some());
    }
    if main.receive().is_some() {
        main.grant(10, 9);
    }
    main.until_end();
}

#[test]
fn a_wait_goes_on_after_the_daemons_restart_but_not_for_ever() {
    for waits in [1, 16, 17] {
        let daemon = FakeDaemon::new();
        let client = Client::connect_to(daemon.path()).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| hang_up_on_waits(&daemon, waits));
            let outcome = client.open_wait::<ReadOnly>("key", None);
            assert_eq!(outcome.is_ok(), waits <= 16, "{outcome:?}");
            drop((outcome, client));
        });
    }
}

#[test]
fn a_key_that_has_come_is_held_until_it_has_been_opened() {
    let daemon = FakeDaemon::new();
    let client = Client::connect_to(daemon.path()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut main = daemon.accept();
            main.expect("Open");
            main.no_such_segment();
            let mut waiting = daemon.accept();
            waiting.expect("Open");
            waiting.grant(10, 8);
            main.expect("Open");
            assert!(!waiting.has_ended());
            main.grant(10, 9);
            waiting.expect_end();
            main.until_end();
        });
        client.open_wait::<ReadOnly>("key", None).unwrap();
        drop(client);
    });
}

#[test]
fn grants_are_taken_up_by_the_next_connection_and_those_closed_meanwhile_are_let_go() {
    let (daemon, client, mut peer) = pair();
    let mut segments = Vec::new();
    for attachment in [3, 4, 5] {
        peer.grant(10, attachment);
        segments.push(client.open("key").unwrap());
        peer.expect("Open");
    }
    peer.hang_up();
    drop(peer);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = daemon.accept();
            assert_eq!(next.expect("Resume"), json!({"attachments": [3, 4, 5], "partial": false}));
            next.send(&json!({"parameters": {"attachments": [3, 5]}}));
            assert_eq!(next.expect("Describe"), json!({"id": 7}));
            next.send(&json!({"parameters": {"segment": crate::support::fake::segment(10)}}));
            assert_eq!(next.expect("Detach"), json!({"attachment": 3}));
            assert_eq!(next.expect("Detach"), json!({"attachment": 5}));
            next.until_end();
        });
        segments[0].remap().unwrap();
        assert!(matches!(segments[1].remap().unwrap_err().kind(), ErrorKind::GrantEnded));
        drop(segments);
        drop(client);
    });
    assert!(!daemon.has_connection_waiting());
}
