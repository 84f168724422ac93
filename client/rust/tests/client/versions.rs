//! The version of a segment, and waiting for it.

use std::time::{Duration, Instant};

use rustix::event::{epoll, poll, PollFd, PollFlags, Timespec};
use shmd::{ErrorKind, VersionWatch};

use crate::locks::{await_word, opened, say};
use crate::support::child::{in_child, open_files, threads, Child};
use crate::support::manager::Manager;
use crate::support::PATIENCE;

const ROUNDS: u64 = 200;

fn is_readable(watch: &VersionWatch, patience: Duration) -> bool {
    let patience = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: 0 };
    poll(&mut [PollFd::new(watch, PollFlags::IN)], Some(&patience)).unwrap() == 1
}

fn await_readable(watch: &VersionWatch) {
    assert!(is_readable(watch, PATIENCE), "waited in vain");
}

#[test]
fn a_version_goes_up_by_notify_alone() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let view = client.open("key").unwrap();
    assert_eq!(view.version().unwrap(), 0);
    assert_eq!(view.wait(0, Duration::ZERO).unwrap(), None);
    assert_eq!(view.wait(0, Duration::from_millis(20)).unwrap(), None);
    assert_eq!(segment.wait(0, Duration::from_millis(20)).unwrap(), None);
    drop(segment.write_section().unwrap());
    assert_eq!(segment.version().unwrap(), 0);
    assert_eq!(segment.notify().unwrap(), 1);
    assert_eq!(segment.notify().unwrap(), 2);
    assert_eq!(view.version().unwrap(), 2);
    assert_eq!(view.wait(0, Duration::ZERO).unwrap(), Some(2));
    assert_eq!(view.wait(1, None).unwrap(), Some(2));
    assert_eq!(segment.wait(2, Duration::ZERO).unwrap(), None);
    assert_eq!(segment.wait(u64::MAX, Duration::ZERO).unwrap(), None);
}

#[test]
fn processes_wake_each_other() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let other = Child::fork(|| {
        let own = client.open_write("key").unwrap();
        for round in 0..ROUNDS {
            assert_eq!(own.wait(2 * round, None).unwrap(), Some(2 * round + 1));
            own.notify().unwrap();
        }
    });
    let begin = Instant::now();
    for round in 0..ROUNDS {
        segment.notify().unwrap();
        assert_eq!(segment.wait(2 * round + 1, PATIENCE).unwrap(), Some(2 * round + 2));
    }
    assert!(other.ends_well());
    // Whoever is not woken sleeps for a second.
    assert!(begin.elapsed() < Duration::from_secs(ROUNDS / 4), "{:?}", begin.elapsed());
}

#[test]
fn who_may_only_read_is_woken_too() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let acknowledged = client.create("acknowledged", 100).unwrap();
    let reader = Child::fork(|| {
        let view = client.open("key").unwrap();
        let own = client.open_write("acknowledged").unwrap();
        for round in 0..ROUNDS {
            assert_eq!(view.wait(round, None).unwrap(), Some(round + 1));
            own.notify().unwrap();
        }
    });
    let begin = Instant::now();
    for round in 0..ROUNDS {
        segment.notify().unwrap();
        assert_eq!(acknowledged.wait(round, PATIENCE).unwrap(), Some(round + 1));
    }
    assert!(reader.ends_well());
    assert!(begin.elapsed() < Duration::from_secs(ROUNDS / 4), "{:?}", begin.elapsed());
}

#[test]
fn a_notify_wakes_all() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let view = client.open("key").unwrap();
    let wait = |writes: bool| {
        say(&segment, 0);
        let child = Child::fork(|| {
            let (own, view) = (opened(&client), client.open("key").unwrap());
            own.version().unwrap();
            view.version().unwrap();
            say(&segment, 1);
            let version = if writes { own.wait(0, None) } else { view.wait(0, None) };
            assert_eq!(version.unwrap(), Some(1));
        });
        await_word(&segment, 1);
        child.await_sleep();
        child
    };
    let waiters = [wait(false), wait(true), wait(true), wait(false)];
    assert_eq!(view.version().unwrap(), 0);
    segment.notify().unwrap();
    assert!(waiters.into_iter().all(Child::ends_well));
}

#[test]
fn a_descriptor_is_readable_when_the_version_has_moved_on() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    assert!(in_child(|| {
        let segment = client.create("key", 100).unwrap();
        let view = client.open("key").unwrap();
        segment.version().unwrap();
        view.version().unwrap();
        let (files, before) = (open_files(), threads());
        for mut watch in [segment.watch_version(0).unwrap(), view.watch_version(0).unwrap()] {
            let begun = segment.version().unwrap();
            if begun > 0 {
                await_readable(&watch);
                assert_eq!(watch.take().unwrap(), Some(begun));
            }
            assert!(!is_readable(&watch, Duration::ZERO));
            assert_eq!(watch.take().unwrap(), None);
            for _ in 0..ROUNDS {
                let version = segment.notify().unwrap();
                await_readable(&watch);
                assert_eq!(watch.take().unwrap(), Some(version));
                assert!(!is_readable(&watch, Duration::ZERO));
            }
            segment.notify().unwrap();
            let last = segment.notify().unwrap();
            assert_eq!(watch.take().unwrap(), Some(last));
            assert_eq!(watch.take().unwrap(), None);
            assert!(!is_readable(&watch, Duration::ZERO));
            segment.notify().unwrap();
            await_readable(&watch);
        }
        assert_eq!((open_files(), threads()), (files, before));
    }));
}

#[test]
fn event_loops_that_are_told_of_edges_are_told_of_each_version() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let segment = client.create("key", 100).unwrap();
    let view = client.open("key").unwrap();
    let mut watch = view.watch_version(0).unwrap();
    let events = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
    epoll::add(&events, &watch, epoll::EventData::new_u64(7), flags).unwrap();
    let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    let mut seen = 0;
    while seen < ROUNDS {
        segment.notify().unwrap();
        let mut ready = Vec::with_capacity(4);
        assert_eq!(epoll::wait(&events, rustix::buffer::spare_capacity(&mut ready), Some(&patience)).unwrap(), 1);
        seen = watch.take().unwrap().unwrap();
        assert_eq!(watch.take().unwrap(), None);
    }
}

#[test]
fn watching_ends_at_once_also_while_nothing_happens() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    client.create("key", 100).unwrap();
    let view = client.open("key").unwrap();
    let begin = Instant::now();
    for _ in 0..100 {
        drop(view.watch_version(0).unwrap());
    }
    // One that waits for its next look takes up to a second.
    assert!(begin.elapsed() < Duration::from_secs(25), "{:?}", begin.elapsed());
}

#[test]
fn a_kernel_that_cannot_wait_for_two_words_is_no_obstacle() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    client.create("key", 100).unwrap();
    for error in [libc::ENOSYS, libc::EPERM] {
        assert!(in_child(|| {
            refuse_futex_waitv(error);
            let own = client.open_write("key").unwrap();
            let view = client.open("key").unwrap();
            let mut watch = view.watch_version(view.version().unwrap()).unwrap();
            for _ in 0..10 {
                let version = own.notify().unwrap();
                await_readable(&watch);
                assert_eq!(watch.take().unwrap(), Some(version));
            }
            drop(watch);
            assert_eq!(threads(), 1);
        }));
    }
}

#[test]
fn a_watch_ends_with_the_segment() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    client.create("key", 100).unwrap();
    let mut watch = client.open("key").unwrap().watch_version(0).unwrap();
    await_readable(&watch);
    for _ in 0..2 {
        let error = watch.take().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::GrantEnded), "{error:?}");
        await_readable(&watch);
    }
}

/// From here on, for this process.
fn refuse_futex_waitv(error: i32) {
    const FUTEX_WAITV: u32 = 449; // on every architecture
    let statement = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, FUTEX_WAITV),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | error as u32),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: a program that is read while these run.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program), 0);
    }
}
