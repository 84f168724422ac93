//! One connection to the daemon: a call goes out, its answer comes back. Knows messages and descriptors; what they mean,
//! and when to connect anew, is the client's.

use std::collections::BTreeSet;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::process::{getegid, geteuid, getpid, Gid, Pid, Uid};
use serde_json::json;

use crate::error::{Error, ErrorKind, Lost, Result};
use crate::fields::{Decoded, Object};
use crate::frame::{io_error, Reader, Received, Socket};
use crate::message::{self, decode_reply, detach, encode, object, resumed, segments_call, Answer, Grant, Reply, Wants};

/// Attachments in one Resume.
const RESUMED: usize = 4096;

/// Who made a connection. To the daemon all its calls are theirs, whoever makes them later.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    process: Pid,
    user: Uid,
    group: Gid,
}

impl Identity {
    fn now() -> Self {
        Identity { process: getpid(), user: geteuid(), group: getegid() }
    }
}

/// A panic in another thread leaves nothing half done that matters here.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Receiving {
    reader: Reader,
    /// A reply has come: the daemon has accepted us.
    proven: bool,
}

/// Calls wait for each other; `notify` waits for no answer. Lives as long as somebody needs it: the client whose current one
/// it is, and every segment that was granted on it.
pub(crate) struct Connection {
    path: PathBuf,
    socket: Socket,
    identity: Identity,
    ended: AtomicBool,
    receiving: Mutex<Receiving>,
    /// Taken after `receiving`, or alone.
    sending: Mutex<()>,
    /// What this connection holds: the grants of open segments. A successor takes them up.
    grants: Mutex<BTreeSet<u32>>,
    /// Taken before all others.
    successor: Mutex<Option<Link>>,
}

/// Ends a connection that is left in the middle of an exchange, by whatever way.
struct Exchange<'a> {
    connection: &'a Connection,
    done: bool,
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.connection.give_up();
        }
    }
}

impl Connection {
    pub(crate) fn open(path: &Path) -> Result<Link> {
        if path.as_os_str().is_empty() {
            return Err(ErrorKind::InvalidArgument("the path of the daemon's socket is empty").into());
        }
        let socket = Socket::connect(path).map_err(|error| match error {
            Errno::CONNREFUSED | Errno::NOENT => ErrorKind::NoDaemon(io_error(error)),
            Errno::MFILE | Errno::NFILE => ErrorKind::TooManyFiles,
            Errno::NAMETOOLONG => ErrorKind::InvalidArgument("the path of the daemon's socket is too long"),
            _ => ErrorKind::System(io_error(error)),
        });
        let socket = socket.map_err(|kind| Error::new(kind).trying(|| format!("connect to {}", path.display())))?;
        Ok(Link::new(Connection {
            path: path.to_owned(),
            socket,
            identity: Identity::now(),
            ended: AtomicBool::new(false),
            receiving: Mutex::default(),
            sending: Mutex::default(),
            grants: Mutex::default(),
            successor: Mutex::default(),
        }))
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// True in the process that made it: its grants are this process's.
    pub(crate) fn is_ours(&self) -> bool {
        self.identity.process == getpid()
    }

    /// False once it has ended, and after a change of user: calls need a new one.
    pub(crate) fn is_usable(&self) -> bool {
        !self.has_ended() && self.identity == Identity::now()
    }

    /// True once calls on it are in vain.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Ends it for good; the daemon takes all its grants back.
    pub(crate) fn give_up(&self) {
        self.ended.store(true, Ordering::Release);
        self.socket.shutdown();
    }

    /// Sends a call and waits for its one reply.
    pub(crate) fn call<T>(&self, message: &[u8], decode: impl FnOnce(Answer) -> Decoded<T>) -> Result<T> {
        let mut receiving = lock(&self.receiving);
        let mut exchange = Exchange { connection: self, done: false };
        self.send(message, &mut receiving)?;
        let reply = self.receive(&mut receiving)?;
        if reply.continues || receiving.reader.has_more() {
            return Err(Error::nonsense("there is more than one reply"));
        }
        let (fds, lost_fds) = (receiving.reader.take_fds(), receiving.reader.lost_fds());
        let outcome = match reply.body {
            Ok(parameters) => match decode(Answer { parameters, fds, lost_fds }) {
                Ok(value) => Ok(value),
                Err(malformed) => return Err(Error::nonsense(malformed.0)),
            },
            Err(error) => Err(error),
        };
        exchange.done = true;
        receiving.proven = true;
        outcome
    }

    /// A call that is answered with a grant, which this connection holds from then on.
    pub(crate) fn call_for_grant(&self, message: &[u8]) -> Result<Grant> {
        self.call(message, |answer| {
            let grant = message::grant(answer)?;
            // Before another call may end: a successor takes up what is held then.
            self.hold(grant.attachment);
            Ok(grant)
        })
    }

    /// The same for CreateMany.
    pub(crate) fn call_for_grants(&self, message: &[u8], wanted: usize) -> Result<Vec<Grant>> {
        self.call(message, |answer| {
            let grants = message::grants(answer, wanted)?;
            grants.iter().for_each(|grant| self.hold(grant.attachment));
            Ok(grants)
        })
    }

    /// The same for OpenMany.
    pub(crate) fn call_for_results(&self, message: &[u8], wanted: usize) -> Result<Vec<Result<Grant>>> {
        self.call(message, |answer| {
            let results = message::open_results(answer, wanted)?;
            results.iter().flatten().for_each(|grant| self.hold(grant.attachment));
            Ok(results)
        })
    }

    /// Sends a call that wants `more`, and waits for all its replies.
    pub(crate) fn call_for_many<T>(
        &self,
        message: &[u8],
        decode: impl Fn(&Object) -> Decoded<Option<T>>,
    ) -> Result<Vec<T>> {
        let mut receiving = lock(&self.receiving);
        let mut exchange = Exchange { connection: self, done: false };
        self.send(message, &mut receiving)?;
        let mut all = Vec::new();
        loop {
            let reply = self.receive(&mut receiving)?;
            drop(receiving.reader.take_fds());
            if !reply.continues && receiving.reader.has_more() {
                return Err(Error::nonsense("there are replies after the last one"));
            }
            exchange.done = !reply.continues;
            receiving.proven |= !reply.continues;
            match reply.body {
                Err(error) => return Err(error),
                Ok(parameters) => match decode(&parameters) {
                    Ok(value) => all.extend(value),
                    Err(malformed) => {
                        exchange.done = false;
                        return Err(Error::nonsense(malformed.0));
                    }
                },
            }
            if !reply.continues {
                return Ok(all);
            }
        }
    }

    /// Sends a call that wants `more` and is answered without an end. From then on this connection is for
    /// `next_of_stream` alone. Waits for the first reply, which may be a refusal.
    pub(crate) fn start_stream<T>(&self, message: &[u8], decode: impl FnOnce(&Object) -> Decoded<T>) -> Result<T> {
        self.send(message, &mut lock(&self.receiving))?;
        match self.next_of_stream(None, decode)? {
            Some(first) => Ok(first),
            None => Err(Error::lost(Lost::Unanswered)),
        }
    }

    /// The next reply. None when none has come in this time; any failure ends the connection.
    pub(crate) fn next_of_stream<T>(
        &self,
        timeout: Option<Duration>,
        decode: impl FnOnce(&Object) -> Decoded<T>,
    ) -> Result<Option<T>> {
        let mut receiving = lock(&self.receiving);
        if self.has_ended() {
            return Err(Error::lost(Lost::No));
        }
        let mut exchange = Exchange { connection: self, done: false };
        let message = match self.receive_within(&mut receiving.reader, timeout)? {
            Some(message) => message,
            None => {
                exchange.done = true;
                return Ok(None);
            }
        };
        let reply = decode_reply(&message).map_err(|malformed| Error::nonsense(malformed.0))?;
        drop(receiving.reader.take_fds());
        let value = decode(&reply.body?).map_err(|malformed| Error::nonsense(malformed.0))?;
        exchange.done = true;
        receiving.proven = true;
        Ok(Some(value))
    }

    /// Sends oneway calls. False when the connection has ended; true does not say that they arrive.
    pub(crate) fn notify(&self, messages: &[u8]) -> bool {
        let _sending = lock(&self.sending);
        if self.has_ended() {
            return false;
        }
        let sent = self.socket.send(messages).is_ok();
        if !sent {
            self.give_up();
        }
        sent
    }

    /// The same for a short one, if it can be sent at once: what keeps it from that may have it left out.
    pub(crate) fn notify_at_once(&self, message: &[u8]) -> bool {
        let _sending = match self.sending.try_lock() {
            Err(TryLockError::WouldBlock) => return !self.has_ended(),
            Err(TryLockError::Poisoned(sending)) => sending.into_inner(),
            Ok(sending) => sending,
        };
        if self.has_ended() {
            return false;
        }
        let sent = matches!(self.socket.send_at_once(message), Ok(()) | Err(Errno::AGAIN));
        if !sent {
            self.give_up();
        }
        sent
    }

    fn hold(&self, attachment: u32) {
        lock(&self.grants).insert(attachment);
    }

    pub(crate) fn let_go(&self, attachment: u32) {
        lock(&self.grants).remove(&attachment);
    }

    pub(crate) fn holds(&self, attachment: u32) -> bool {
        lock(&self.grants).contains(&attachment)
    }

    /// The connection that takes this one's place once it has ended, as by a restart of the daemon: made at the first call,
    /// with those grants that the daemon has kept. It may have ended too.
    pub(crate) fn successor(&self) -> Result<Link> {
        let mut successor = lock(&self.successor);
        if let Some(made) = &*successor {
            return Ok(made.clone());
        }
        let made = Connection::open(&self.path)?;
        // After the calls that are under way: their grants may have come before the end. None of them waits for long.
        drop(lock(&self.receiving));
        let held: Vec<u32> = lock(&self.grants).iter().copied().collect();
        let calls = held.chunks(RESUMED).count();
        for (number, attachments) in held.chunks(RESUMED).enumerate() {
            let partial = number + 1 < calls;
            let parameters = object(json!({ "attachments": attachments, "partial": partial }));
            match made.call(&segments_call("Resume", parameters, Wants::One), resumed) {
                Ok(taken_up) => lock(&made.grants).extend(taken_up),
                Err(error) if error.how_far() != Lost::No => return Err(error),
                // A daemon that refuses, as an older one does, has kept nothing.
                Err(_) => break,
            }
        }
        *successor = Some(made.clone());
        // Those that were let go meanwhile.
        let unwanted: Vec<u32> = {
            let (ours, theirs) = (lock(&self.grants), lock(&made.grants));
            theirs.difference(&ours).copied().collect()
        };
        for attachment in unwanted {
            made.let_go(attachment);
            made.notify(&detach(attachment));
        }
        Ok(made)
    }

    /// The same if there is one already.
    pub(crate) fn present_successor(&self) -> Option<Link> {
        lock(&self.successor).clone()
    }

    /// The successor, made by this call only if the daemon is there to answer: none otherwise, or while another thread makes
    /// it. probe: kept from one call to the next. A Resume that is given up would end the grants that it names; this does not.
    pub(crate) fn successor_at_once(&self, probe: &mut Option<Link>) -> Result<Option<Link>> {
        match self.successor.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Ok(made) if made.is_some() => return Ok(made.clone()),
            _ => {}
        }
        let asked = match probe {
            Some(asked) => asked,
            None => {
                let asked = Connection::open(&self.path)?;
                asked.notify(&encode("org.varlink.service.GetInfo", Object::new(), Wants::One));
                probe.insert(asked)
            }
        };
        let answer = asked.next_of_stream(Some(Duration::ZERO), |_| Ok(()));
        if matches!(answer, Ok(None)) {
            return Ok(None);
        }
        *probe = None;
        match answer {
            Err(error) if matches!(error.kind(), ErrorKind::Disconnected) => Ok(None), // that one has gone, too
            _ => self.successor().map(Some),
        }
    }

    /// Ends a grant of this ended connection, which the daemon may have kept, without waiting for the daemon: taken up by a
    /// connection that ends at once, it ends with that.
    pub(crate) fn give_back(&self, attachment: u32) {
        if let Ok(brief) = Connection::open(&self.path) {
            let parameters = object(json!({ "attachments": [attachment], "partial": true }));
            brief.notify(&segments_call("Resume", parameters, Wants::Nothing));
        }
    }

    fn send(&self, message: &[u8], receiving: &mut Receiving) -> Result<()> {
        let sent = {
            let _sending = lock(&self.sending);
            if self.has_ended() {
                Err(Errno::PIPE)
            } else {
                self.socket.send(message)
            }
        };
        match sent {
            Ok(()) => Ok(()),
            Err(Errno::PIPE | Errno::CONNRESET) => {
                Err(self.refusal(receiving).unwrap_or_else(|| Error::lost(Lost::Unsent)))
            }
            Err(error) => Err(ErrorKind::System(io_error(error)).into()),
        }
    }

    /// A daemon that takes no more connections says why, unasked, and hangs up.
    fn refusal(&self, receiving: &mut Receiving) -> Option<Error> {
        while !receiving.proven {
            if let Some(message) = receiving.reader.next() {
                return decode_reply(&message).ok()?.body.err();
            }
            match receiving.reader.read_from(&self.socket, RecvFlags::DONTWAIT) {
                Ok(Received::Something) => {}
                _ => break,
            }
        }
        None
    }

    fn receive(&self, receiving: &mut Receiving) -> Result<Reply> {
        let message = loop {
            if let Some(message) = receiving.reader.next() {
                break message;
            }
            match receiving.reader.read_from(&self.socket, RecvFlags::empty()) {
                Ok(Received::Something | Received::WouldBlock) => {}
                Ok(Received::TooLarge) => return Err(Error::nonsense("it is too large")),
                Ok(Received::Closed) => return Err(Error::lost(Lost::Unanswered)),
                Err(error) => return Err(ErrorKind::System(io_error(error)).into()),
            }
        };
        decode_reply(&message).map_err(|malformed| Error::nonsense(malformed.0))
    }

    /// The next message, without blocking in recvmsg(2), which knows no such timeout.
    fn receive_within(&self, reader: &mut Reader, timeout: Option<Duration>) -> Result<Option<Vec<u8>>> {
        // Beyond what the clock can tell is without an end.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            if let Some(message) = reader.next() {
                return Ok(Some(message));
            }
            match reader.read_from(&self.socket, RecvFlags::DONTWAIT) {
                Ok(Received::Something) => continue,
                Ok(Received::WouldBlock) => {}
                Ok(Received::TooLarge) => return Err(Error::nonsense("it is too large")),
                Ok(Received::Closed) => return Err(Error::lost(Lost::No)),
                Err(error) => return Err(ErrorKind::System(io_error(error)).into()),
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(None);
            }
            let left = left.map(|left| Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            });
            // Whatever it says, the socket tells more.
            let _ = poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], left.as_ref());
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Others may have inherited the socket: closing it alone would not end the connection.
        self.socket.shutdown();
    }
}

/// A share of a connection. In a child after fork(2) another thread of the parent may have been changing the connection
/// when the child was made: there its socket is closed, and everything else stays as it is, for ever.
pub(crate) struct Link(ManuallyDrop<Arc<Connection>>);

impl Link {
    fn new(connection: Connection) -> Self {
        Link(ManuallyDrop::new(Arc::new(connection)))
    }

    /// Whether both are shares of the same connection.
    pub(crate) fn is(&self, other: &Link) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Clone for Link {
    fn clone(&self) -> Self {
        Link(self.0.clone())
    }
}

impl Deref for Link {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.is_ours() {
            // SAFETY: dropped here and never again: this is the destructor.
            unsafe { ManuallyDrop::drop(&mut self.0) }
        } else {
            self.socket.close();
        }
    }
}
