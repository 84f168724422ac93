//! Bytes and descriptors on a socket: one message and its NUL goes out, messages come in. Knows nothing of what they say.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendFlags, Shutdown,
    SocketAddrUnix, SocketFlags, SocketType,
};

/// Descriptors with one message: SCM_MAX_FD in the kernel.
const MESSAGE_FDS: usize = 253;
/// No daemon sends more in one message.
const MESSAGE_BYTES: usize = 16 << 20;
const READ_CHUNK: usize = 4096;
/// What a connection keeps for the next message.
const KEPT: usize = 1 << 16;

/// A connected socket. A child after fork(2) may close its copy, once, without any lock.
#[derive(Debug)]
pub(crate) struct Socket(AtomicI32);

const CLOSED: RawFd = -1;

impl Socket {
    pub(crate) fn connect(path: &Path) -> Result<Self, Errno> {
        let address = SocketAddrUnix::new(path)?;
        let fd = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        loop {
            match net::connect(&fd, &address) {
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error),
                Ok(()) => return Ok(Socket(AtomicI32::new(fd.into_raw_fd()))),
            }
        }
    }

    /// Closes this process's copy and leaves the connection as it is for others who have it.
    pub(crate) fn close(&self) {
        let fd = self.0.swap(CLOSED, Ordering::Relaxed);
        if fd != CLOSED {
            // SAFETY: the descriptor was ours, and the swap gave it to nobody else. Only a child after fork(2), which has
            // one thread then, and the destructor come here, so nobody has it borrowed.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }

    /// Ends the connection for all who have it.
    pub(crate) fn shutdown(&self) {
        let _ = net::shutdown(self, Shutdown::Both);
    }

    /// All of it; the error is EPIPE or ECONNRESET when the daemon has gone.
    pub(crate) fn send(&self, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            match net::send(self, bytes, SendFlags::NOSIGNAL) {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A short message, if the kernel takes it at once: a stream of local sockets takes all of it or nothing (EAGAIN).
    pub(crate) fn send_at_once(&self, bytes: &[u8]) -> Result<(), Errno> {
        loop {
            match net::send(self, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Err(Errno::INTR) => {}
                outcome => return outcome.map(drop),
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: open as long as this object, except for a child after fork(2) that has closed it: calls on a connection
        // look first whether it is this process's. Linux answers EBADF to one that came so far all the same.
        unsafe { BorrowedFd::borrow_raw(self.as_raw_fd()) }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        match self.0.load(Ordering::Relaxed) {
            // No descriptor that can be borrowed is -1; this number is none that is open.
            CLOSED => RawFd::MAX,
            fd => fd,
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.close();
    }
}

/// What came of a read.
#[derive(Debug)]
pub(crate) enum Received {
    Something,
    WouldBlock,
    Closed,
    TooLarge,
}

/// Messages out of a stream, and the descriptors that came with them, in one queue: the kernel may credit a descriptor to
/// an earlier message, so only their order counts.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    buffer: Vec<u8>,
    begin: usize,
    scanned: usize,
    fds: VecDeque<OwnedFd>,
    lost_fds: bool,
}

impl Reader {
    pub(crate) fn read_from(&mut self, socket: &Socket, flags: RecvFlags) -> Result<Received, Errno> {
        self.buffer.drain(..self.begin);
        self.scanned -= self.begin;
        self.begin = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT {
            self.buffer = Vec::new();
        }
        let old_size = self.buffer.len();
        // Grows with the message, so that a large one costs few calls.
        self.buffer.resize(old_size + old_size.clamp(READ_CHUNK, 1 << 18), 0);

        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MESSAGE_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut bytes = [IoSliceMut::new(&mut self.buffer[old_size..])];
            match net::recvmsg(socket, &mut bytes, &mut control, flags | RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::INTR) => continue,
                received => break received,
            }
        };
        let count = received.as_ref().map_or(0, |received| received.bytes);
        self.buffer.truncate(old_size + count);
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                self.fds.extend(fds);
            }
        }
        match received {
            Err(Errno::AGAIN) => return Ok(Received::WouldBlock),
            Err(Errno::CONNRESET) => return Ok(Received::Closed),
            Err(error) => return Err(error),
            Ok(received) if received.flags.contains(ReturnFlags::CTRUNC) => self.lost_fds = true,
            Ok(_) => {}
        }
        if count == 0 {
            return Ok(Received::Closed);
        }
        // Many more than one reply names.
        let too_large = self.buffer.len() > MESSAGE_BYTES && !self.buffer[self.scanned..].contains(&0);
        Ok(if too_large || self.fds.len() > 4 * MESSAGE_FDS { Received::TooLarge } else { Received::Something })
    }

    /// The next whole message, without its NUL.
    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        match self.buffer[self.scanned..].iter().position(|byte| *byte == 0) {
            Some(length) => {
                let end = self.scanned + length;
                let message = self.buffer[self.begin..end].to_vec();
                self.begin = end + 1;
                self.scanned = self.begin;
                Some(message)
            }
            None => {
                self.scanned = self.buffer.len();
                None
            }
        }
    }

    /// Whether more has come than the messages that were taken.
    pub(crate) fn has_more(&self) -> bool {
        self.begin < self.buffer.len()
    }

    /// All descriptors that have come.
    pub(crate) fn take_fds(&mut self) -> Vec<OwnedFd> {
        self.fds.drain(..).collect()
    }

    /// The kernel dropped some, as it does when this process may open no more files.
    pub(crate) fn lost_fds(&self) -> bool {
        self.lost_fds
    }
}

/// The error that a call of the system gave, as the standard library has it.
pub(crate) fn io_error(error: Errno) -> io::Error {
    error.into()
}
