//! What happens to segments, as it happens.

use std::fmt;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::Path;
use std::time::Duration;

use crate::connection::{Connection, Link};
use crate::error::{ErrorKind, Result};
use crate::fields::{Decoded, Fields, Object};
use crate::info::{named, Info};
use crate::message::listed;

named! {
    /// What happened.
    #[non_exhaustive]
    EventKind {
        /// The segment was there already.
        Present = "present",
        /// All that were there have been told.
        Ready = "ready",
        /// It is live now, by its creation.
        Created = "created",
        /// It is live now, and was staged before.
        Published = "published",
        /// Its key went to another segment.
        Replaced = "replaced",
        /// Its content is immutable now.
        Sealed = "sealed",
        /// It has another size.
        Resized = "resized",
        /// Its owner, mode, labels, lifetime or entries changed.
        Changed = "changed",
        /// Somebody opened it.
        Attached = "attached",
        /// A grant ended.
        Detached = "detached",
        /// Its key is free; the info still tells which it was.
        Deleted = "deleted",
        /// Its lifetime or lease is over, and its key is free.
        Expired = "expired",
        /// It was dropped for want of memory, and its key is free.
        Evicted = "evicted",
        /// This watch was read too slowly and events are left out; what is there now follows as `Present`, and `Ready`.
        Lost = "lost",
    }
}

/// Something that happened to a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The segment as it was then; none for `Ready` and `Lost`.
    pub segment: Option<Info>,
}

fn decode(parameters: &Object) -> Decoded<Event> {
    let kind = Fields(parameters).name("event", EventKind::from_name)?;
    Ok(Event { kind, segment: listed(parameters)? })
}

/// Tells first every segment that is there ([`EventKind::Present`]), then [`EventKind::Ready`], then everything as it
/// happens. Made by [`Client::watch`](crate::Client::watch).
///
/// An iterator without an end: `next` waits for the next event. It gives one error, `Disconnected` when the daemon has gone,
/// and then nothing more: make another watch. [`next_timeout`](Self::next_timeout) waits no longer than it is told.
///
/// ```
/// # fn main() -> shmd::Result<()> {
/// # let client = shmd::Client::connect()?;
/// use shmd::EventKind;
/// let events = client.watch("doc/watched")?;
/// client.create("doc/watched", 10)?;
/// for event in events {
///     let event = event?;
///     if event.kind == EventKind::Created {
///         assert_eq!(event.segment.unwrap().size_bytes, 10);
///         break;
///     }
/// }
/// # client.delete("doc/watched")
/// # }
/// ```
///
/// **Event loops.** Its descriptor, by [`AsFd`] and [`AsRawFd`], is readable when more has come. After opening, and whenever
/// it is readable, call `next_timeout(Duration::ZERO)` until it gives `None`.
pub struct Watch {
    link: Link,
    first: Option<Event>,
    over: bool,
}

impl Watch {
    pub(crate) fn open(path: &Path, message: &[u8]) -> Result<Self> {
        let link = Connection::open(path)?;
        let first = Some(link.start_stream(message, decode)?);
        Ok(Watch { link, first, over: false })
    }

    /// The next event, or `None` when none has come in this time.
    ///
    /// # Errors
    /// `Disconnected` when the daemon has gone, `Protocol`, `Inherited`.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Event>> {
        self.wait(Some(timeout))
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Result<Option<Event>> {
        if !self.link.is_ours() {
            self.over = true;
            return Err(ErrorKind::Inherited.into());
        }
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let next = self.link.next_of_stream(timeout, decode);
        self.over |= next.is_err();
        next.map_err(|error| error.trying(|| "watch segments".into()))
    }
}

impl Iterator for Watch {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        self.wait(None).transpose()
    }
}

impl std::iter::FusedIterator for Watch {}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.socket().as_fd()
    }
}

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.link.socket().as_raw_fd()
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("fd", &self.as_raw_fd()).field("over", &self.over).finish()
    }
}
