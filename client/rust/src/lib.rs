//! Shared memory segments by key, from the shmd service of this machine.
//!
//! A [`Client`] is a connection to the daemon, a [`Segment`] one piece of memory mapped into this process. After opening, the
//! memory is plain memory: no call, no copy, no daemon.
//!
//! ```
//! # fn main() -> shmd::Result<()> {
//! let client = shmd::Client::connect()?;
//! let table = client.create("doc/greeting", 4096)?; // bytes of zeros, open for writing
//! table.write_at(0, b"hello")?;
//! // Another process, at the same time:
//! let view = client.open("doc/greeting")?; // open for reading, and the kernel sees to it
//! assert_eq!(view.read_vec(0, 5)?, b"hello");
//! # client.delete("doc/greeting")?;
//! # Ok(())
//! # }
//! ```
//!
//! - [`NewSegment`] has the options of a new segment, [`Attributes`] those that can be changed later.
//! - [`Client::open`], [`open_write`](Client::open_write), [`open_sealed`](Client::open_sealed),
//!   [`open_wait`](Client::open_wait), [`open_many`](Client::open_many): what a segment is open for is its type.
//! - [`Staged`] is a segment that nobody else finds until it is published, whole.
//! - [`Watch`] tells what happens to segments.
//! - [`Segment::lock`] and its neighbours are locks between processes, [`Segment::snapshot`] copies without one, and
//!   [`Segment::wait`] waits for what [`Segment::notify`] tells.
//! - A key is text or an integer: see [`Key`]. A [`SegmentId`] names one segment for ever.
//! - An [`Error`] has the daemon's error as a typed [`ErrorKind`], and its name and parameters as they came.
//!
//! Everything here may be used by many threads. How it goes together with fork(2), changes of the user and restarts of the
//! daemon is told at [`Client`]; why there is no `&[u8]` of memory that others may write, at [`Segment`].
#![warn(missing_docs, missing_debug_implementations)]
#![cfg(target_os = "linux")]

mod area;
mod client;
mod connection;
mod copy;
mod current;
mod cursor;
mod error;
mod fields;
mod forked;
mod frame;
mod grant;
mod info;
mod key;
mod locking;
mod locks;
mod mapping;
mod message;
mod open;
mod options;
mod paths;
mod recovery;
mod segment;
mod shared;
mod snapshot;
mod staged;
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod testing;
#[cfg(test)]
mod vectors;
mod version;
mod version_watch;
mod waiting;
mod watch;
mod words;

/// For the parameters of [`Client::call`] and [`Error::parameters`].
pub use serde_json;

pub use client::Client;
pub use cursor::Cursor;
pub use error::{Error, ErrorKind, Result};
pub use grant::{Grant, ReadOnly, ReadWrite, Sealed};
pub use info::{Access, AclEntry, Holder, HugePages, Info, Lifetime, Principal, Reserve, State};
pub use key::{Key, SegmentId, Target};
pub use locks::{Guard, ReadGuard, WriteGuard, WriteSection};
pub use options::{Attributes, NewSegment};
pub use segment::{close_many, Segment};
pub use staged::{Refused, Staged};
pub use version_watch::VersionWatch;
pub use watch::{Event, EventKind, Watch};

/// The version of this crate, such as "0.1.0".
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The examples of the README are run too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
