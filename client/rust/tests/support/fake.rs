//! A socket that plays the daemon.

use std::io::{IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::unix::io::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fs::{fcntl_add_seals, ftruncate, memfd_create, MemfdFlags, SealFlags};
use rustix::net::{sendmsg, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use serde_json::{json, Value};

use super::{TempDir, PATIENCE};

pub struct FakeDaemon {
    directory: TempDir,
    listener: UnixListener,
}

impl FakeDaemon {
    pub fn new() -> Self {
        let directory = TempDir::new();
        let listener = UnixListener::bind(directory.path().join("socket")).unwrap();
        FakeDaemon { directory, listener }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    pub fn accept(&self) -> Peer {
        let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
        let come = poll(&mut [PollFd::new(&self.listener, PollFlags::IN)], Some(&patience)).unwrap();
        assert_eq!(come, 1, "no client has come");
        let (stream, _) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Peer { stream, buffer: Vec::new() }
    }

    pub fn has_connection_waiting(&self) -> bool {
        self.listener.set_nonblocking(true).unwrap();
        let waiting = self.listener.accept().is_ok();
        self.listener.set_nonblocking(false).unwrap();
        waiting
    }
}

/// The daemon's end of a connection.
pub struct Peer {
    stream: UnixStream,
    buffer: Vec<u8>,
}

impl Peer {
    /// The next call; none when the client has closed.
    pub fn receive(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == 0) {
                let message: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&message[..end]).unwrap());
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(count) => self.buffer.extend(&chunk[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("the client neither called nor closed: {error}"),
            }
        }
    }

    /// The next call, which is of this method: its parameters.
    pub fn expect(&mut self, method: &str) -> Value {
        let call = self.receive().expect("a call");
        assert_eq!(call["method"], format!("io.shmd.Segments.{method}"), "{call}");
        call["parameters"].clone()
    }

    pub fn expect_end(&mut self) {
        let call = self.receive();
        assert!(call.is_none(), "{call:?}");
    }

    /// Text and its NUL, with descriptors.
    pub fn send_with(&self, text: &str, fds: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
        }
        let bytes = [text.as_bytes(), &[0]].concat();
        let sent = sendmsg(&self.stream, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL).unwrap();
        assert_eq!(sent, bytes.len());
    }

    pub fn send_bytes(&self, bytes: &[u8]) {
        rustix::net::send(&self.stream, bytes, SendFlags::NOSIGNAL).unwrap();
    }

    pub fn send(&self, reply: &Value) {
        self.send_with(&reply.to_string(), &[]);
    }

    pub fn send_error(&self, name: &str, parameters: Value) {
        self.send(&json!({ "error": name, "parameters": parameters }));
    }

    pub fn no_such_segment(&self) {
        self.send_error("io.shmd.Segments.NoSuchSegment", json!({"key": "key"}));
    }

    /// Answers with a grant of so many bytes.
    pub fn grant(&self, size: usize, attachment: u32) {
        let memory = memory(size);
        self.send_with(&grant(size, attachment).to_string(), &[memory.as_fd()]);
    }

    /// Whether the client has closed already.
    pub fn has_ended(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let ended =
            !matches!((&self.stream).read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
        self.stream.set_nonblocking(false).unwrap();
        ended
    }

    /// Reads what comes until the client has gone.
    pub fn until_end(mut self) {
        while self.receive().is_some() {}
    }

    /// Sends no more, and still reads.
    pub fn hang_up(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
}

/// Memory as the daemon makes it.
pub fn memory(size: usize) -> OwnedFd {
    let memory = memory_that_may_shrink(size);
    fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW).unwrap();
    memory
}

pub fn memory_that_may_shrink(size: usize) -> OwnedFd {
    let memory = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&memory, size as u64).unwrap();
    memory
}

pub fn segment(size: usize) -> Value {
    json!({
        "id": 7, "key": "key", "sizeBytes": size, "mode": 0o600, "ownerUid": 0, "ownerGid": 0, "creatorUid": 0,
        "creatorGid": 0, "creatorPid": 1, "state": "live", "sealed": false, "attachments": 1, "createdUsec": 1,
        "attachedUsec": 1, "detachedUsec": null, "changedUsec": 1, "expiresUsec": null, "evictable": false, "labels": {},
        "lifetime": "persistent", "leaseUsec": null, "acl": null, "capacityBytes": size, "hugePages": "none",
        "numaNodes": null
    })
}

pub fn grant(size: usize, attachment: u32) -> Value {
    json!({"parameters": {
        "segment": segment(size), "created": false, "attachment": attachment, "fileDescriptor": 0
    }})
}
