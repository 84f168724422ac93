//! What goes wrong in a call.

use std::fmt;
use std::io;

use serde_json::Value;

use crate::fields::{Decoded, Fields, Object};
use crate::info::Holder;
use crate::key::SegmentId;

/// The result of the calls of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed: what was tried, and the [`ErrorKind`].
///
/// ```
/// # fn main() -> shmd::Result<()> {
/// # let client = shmd::Client::connect()?;
/// use shmd::ErrorKind;
/// let error = client.open("doc/nobody-has-this").unwrap_err();
/// assert!(matches!(error.kind(), ErrorKind::NoSuchSegment { .. }));
/// assert_eq!(error.name(), "io.shmd.Segments.NoSuchSegment");
/// assert_eq!(error.parameters()["key"], "doc/nobody-has-this");
/// assert_eq!(
///     error.to_string(),
///     "cannot open segment 'doc/nobody-has-this' for reading: no segment has this key"
/// );
/// # Ok(())
/// # }
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    tried: Option<String>,
    name: String,
    parameters: Object,
    lost: Lost,
}

/// Whether the connection ended under a call, and how far the call had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    No,
    /// The daemon has not seen the whole request: it did nothing.
    Unsent,
    /// The request may have been carried out.
    Unanswered,
}

/// What went wrong. The first ones are the daemon's errors with their parameters; those from [`NoDaemon`] on arise in this
/// process.
///
/// [`NoDaemon`]: ErrorKind::NoDaemon
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No segment has this key or id, or the time to wait for it is over.
    NoSuchSegment {
        /// As asked for.
        key: Option<String>,
        /// As asked for.
        id: Option<SegmentId>,
    },
    /// The key is taken.
    SegmentExists {
        /// The key.
        key: String,
    },
    /// The existing segment is smaller than asked for.
    SizeMismatch {
        /// The size that it has.
        size_bytes: u64,
    },
    /// The key does not follow the grammar of keys.
    InvalidKey {
        /// The key, cut if it is very long.
        key: String,
    },
    /// A limit is reached.
    QuotaExceeded {
        /// `bytes`, `stagedBytes`, `segments`, `attachments`, `connections`, `watches`, `fileDescriptors`, `messageBytes`.
        resource: String,
        /// The limit.
        limit: u64,
    },
    /// The machine has not this much memory to give.
    OutOfMemory {
        /// What was asked for.
        size_bytes: u64,
    },
    /// The content is immutable.
    SegmentSealed {
        /// As asked for.
        key: Option<String>,
        /// As asked for.
        id: Option<SegmentId>,
    },
    /// The segment can still be written, and one was asked for that cannot.
    NotSealed {
        /// As asked for.
        key: Option<String>,
        /// As asked for.
        id: Option<SegmentId>,
    },
    /// The segment was created so that it can never be sealed.
    NotSealable {
        /// As asked for.
        key: Option<String>,
        /// As asked for.
        id: Option<SegmentId>,
    },
    /// Somebody else has the segment open: for writing, when it is to be sealed; at all, when it is to be made smaller.
    SegmentBusy {
        /// Their grants. None when the segment is being resized, or only mapped by processes that have detached.
        holders: Vec<Holder>,
    },
    /// The segment has no lease to renew.
    NoLease {
        /// As asked for.
        key: Option<String>,
        /// As asked for.
        id: Option<SegmentId>,
    },
    /// The segment cannot grow so far.
    CapacityExceeded {
        /// How far it can.
        capacity_bytes: u64,
    },
    /// The machine has no such huge pages or NUMA binding to give now.
    PlacementUnavailable {
        /// The file or call that decides it.
        setting: String,
    },
    /// The daemon makes no new segments.
    Draining,
    /// Mode and entries of the segment, or the administrator's policy for the key, do not allow it.
    PermissionDenied,
    /// The daemon does not accept a parameter.
    InvalidParameter {
        /// Its name in the interface description.
        parameter: String,
    },
    /// The daemon has no such interface at this socket.
    InterfaceNotFound {
        /// Its name.
        interface: String,
    },
    /// The daemon has no such method: it is an older one.
    MethodNotFound {
        /// Its name.
        method: String,
    },
    /// The daemon has the method, but not for a call of this kind.
    MethodNotImplemented {
        /// Its name.
        method: String,
    },
    /// The method answers more than once.
    ExpectedMore,
    /// An error of the daemon that this version does not know: [`Error::name`] and [`Error::parameters`] tell it.
    Other,

    /// No daemon answers: the socket is not there, or nobody listens.
    NoDaemon(io::Error),
    /// Only a user instance is left to try, and its directory belongs to another user or others may write to it.
    UntrustedDirectory(std::path::PathBuf),
    /// The daemon went away before it answered: the request may or may not have been carried out.
    Disconnected,
    /// The grant has ended with its connection, as by a restart of a daemon that keeps nothing. The mapping stays.
    GrantEnded,
    /// The segment, the guard or the watch belongs to the process that this one was forked from.
    Inherited,
    /// The time to wait is over.
    TimedOut,
    /// This process does not hold the lock (any more): its attachment has ended, or somebody has overwritten the sync area.
    NotLocked,
    /// A writer died in its write section, and nobody has called the content consistent since: it is half written.
    OwnerDied,
    /// The daemon's answer makes no sense. The connection is closed. Also: the sync area has a format that is not known.
    Protocol(String),
    /// This process may open no more files.
    TooManyFiles,
    /// Not within the segment.
    OutOfRange {
        /// Where the access was to begin.
        offset: usize,
        /// How many bytes it was to have.
        length: usize,
        /// How many bytes the segment has.
        size: usize,
    },
    /// An argument that cannot be.
    InvalidArgument(&'static str),
    /// A system call failed.
    System(io::Error),
}

impl ErrorKind {
    /// Its own name, such as `NoSuchSegment`.
    pub fn as_str(&self) -> &'static str {
        use ErrorKind::*;
        match self {
            NoSuchSegment { .. } => "NoSuchSegment",
            SegmentExists { .. } => "SegmentExists",
            SizeMismatch { .. } => "SizeMismatch",
            InvalidKey { .. } => "InvalidKey",
            QuotaExceeded { .. } => "QuotaExceeded",
            OutOfMemory { .. } => "OutOfMemory",
            SegmentSealed { .. } => "SegmentSealed",
            NotSealed { .. } => "NotSealed",
            NotSealable { .. } => "NotSealable",
            SegmentBusy { .. } => "SegmentBusy",
            NoLease { .. } => "NoLease",
            CapacityExceeded { .. } => "CapacityExceeded",
            PlacementUnavailable { .. } => "PlacementUnavailable",
            Draining => "Draining",
            PermissionDenied => "PermissionDenied",
            InvalidParameter { .. } => "InvalidParameter",
            InterfaceNotFound { .. } => "InterfaceNotFound",
            MethodNotFound { .. } => "MethodNotFound",
            MethodNotImplemented { .. } => "MethodNotImplemented",
            ExpectedMore => "ExpectedMore",
            Other => "Other",
            NoDaemon(_) => "NoDaemon",
            UntrustedDirectory(_) => "UntrustedDirectory",
            Disconnected => "Disconnected",
            GrantEnded => "GrantEnded",
            Inherited => "Inherited",
            TimedOut => "TimedOut",
            NotLocked => "NotLocked",
            OwnerDied => "OwnerDied",
            Protocol(_) => "Protocol",
            TooManyFiles => "TooManyFiles",
            OutOfRange { .. } => "OutOfRange",
            InvalidArgument(_) => "InvalidArgument",
            System(_) => "System",
        }
    }

    /// The typed form of an error reply; `Other` when it is none that we know, or not as it should be.
    fn of(name: &str, parameters: &Object) -> ErrorKind {
        Self::decode(name, &Fields(parameters)).unwrap_or(ErrorKind::Other)
    }

    fn decode(name: &str, fields: &Fields<'_>) -> Decoded<ErrorKind> {
        use ErrorKind::*;
        let text = |field| fields.text(field).map(str::to_owned);
        let key = || fields.opt_text("key").map(|key| key.map(str::to_owned));
        let id = || fields.opt_number("id").map(|id| id.map(SegmentId));
        Ok(match name {
            "io.shmd.Segments.NoSuchSegment" => NoSuchSegment { key: key()?, id: id()? },
            "io.shmd.Segments.SegmentExists" => SegmentExists { key: text("key")? },
            "io.shmd.Segments.SizeMismatch" => SizeMismatch { size_bytes: fields.number("sizeBytes")? },
            "io.shmd.Segments.InvalidKey" => InvalidKey { key: text("key")? },
            "io.shmd.Segments.QuotaExceeded" => {
                QuotaExceeded { resource: text("resource")?, limit: fields.number("limit")? }
            }
            "io.shmd.Segments.OutOfMemory" => OutOfMemory { size_bytes: fields.number("sizeBytes")? },
            "io.shmd.Segments.SegmentSealed" => SegmentSealed { key: key()?, id: id()? },
            "io.shmd.Segments.NotSealed" => NotSealed { key: key()?, id: id()? },
            "io.shmd.Segments.NotSealable" => NotSealable { key: key()?, id: id()? },
            "io.shmd.Segments.SegmentBusy" => {
                let holders = fields.array("holders")?;
                SegmentBusy { holders: holders.iter().map(Holder::decode).collect::<Decoded<_>>()? }
            }
            "io.shmd.Segments.NoLease" => NoLease { key: key()?, id: id()? },
            "io.shmd.Segments.CapacityExceeded" => CapacityExceeded { capacity_bytes: fields.number("capacityBytes")? },
            "io.shmd.Segments.PlacementUnavailable" => PlacementUnavailable { setting: text("setting")? },
            "io.shmd.Segments.Draining" => Draining,
            "org.varlink.service.PermissionDenied" => PermissionDenied,
            "org.varlink.service.InvalidParameter" => InvalidParameter { parameter: text("parameter")? },
            "org.varlink.service.InterfaceNotFound" => InterfaceNotFound { interface: text("interface")? },
            "org.varlink.service.MethodNotFound" => MethodNotFound { method: text("method")? },
            "org.varlink.service.MethodNotImplemented" => MethodNotImplemented { method: text("method")? },
            "org.varlink.service.ExpectedMore" => ExpectedMore,
            _ => Other,
        })
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Error(Box::new(Inner { kind, tried: None, name: String::new(), parameters: Object::new(), lost: Lost::No }))
    }

    /// An error reply.
    pub(crate) fn from_reply(name: String, parameters: Object) -> Self {
        let mut error = Error::new(ErrorKind::of(&name, &parameters));
        error.0.name = name;
        error.0.parameters = parameters;
        error
    }

    /// An answer that makes no sense.
    pub(crate) fn nonsense(why: impl Into<String>) -> Self {
        Error::new(ErrorKind::Protocol(why.into()))
    }

    pub(crate) fn lost(lost: Lost) -> Self {
        let mut error = Error::new(ErrorKind::Disconnected);
        error.0.lost = lost;
        error
    }

    /// Says what was tried: "open segment 'a'".
    pub(crate) fn trying(mut self, tried: impl FnOnce() -> String) -> Self {
        self.0.tried.get_or_insert_with(tried);
        self
    }

    pub(crate) fn how_far(&self) -> Lost {
        self.0.lost
    }

    /// What went wrong, to be matched on.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The same, to be taken apart.
    pub fn into_kind(self) -> ErrorKind {
        self.0.kind
    }

    /// The name of the Varlink error, such as `io.shmd.Segments.NoSuchSegment`; empty when it arose in this process.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The parameters of the Varlink error as they came; empty when it arose in this process.
    pub fn parameters(&self) -> &serde_json::Map<String, Value> {
        &self.0.parameters
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Error::new(kind)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        use io::ErrorKind as Io;
        let kind = match error.kind() {
            ErrorKind::NoSuchSegment { .. } => Io::NotFound,
            ErrorKind::SegmentExists { .. } => Io::AlreadyExists,
            ErrorKind::InvalidKey { .. } | ErrorKind::InvalidParameter { .. } => Io::InvalidInput,
            ErrorKind::InvalidArgument(_) | ErrorKind::OutOfRange { .. } => Io::InvalidInput,
            ErrorKind::PermissionDenied | ErrorKind::UntrustedDirectory(_) => Io::PermissionDenied,
            ErrorKind::OutOfMemory { .. } => Io::OutOfMemory,
            ErrorKind::NoDaemon(_) => Io::ConnectionRefused,
            ErrorKind::Disconnected | ErrorKind::GrantEnded => Io::ConnectionReset,
            ErrorKind::TimedOut => Io::TimedOut,
            ErrorKind::Protocol(_) => Io::InvalidData,
            ErrorKind::System(cause) => cause.kind(),
            _ => Io::Other,
        };
        io::Error::new(kind, error)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("tried", &self.0.tried)
            .field("name", &self.0.name)
            .field("parameters", &self.0.parameters)
            .finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tried) = &self.0.tried {
            write!(f, "cannot {tried}: ")?;
        }
        match &self.0.kind {
            ErrorKind::Other => {
                let parameters = Value::Object(self.0.parameters.clone());
                write!(f, "the daemon answered {} {parameters}", self.0.name)
            }
            kind => kind.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.kind {
            ErrorKind::NoDaemon(cause) | ErrorKind::System(cause) => Some(cause),
            _ => None,
        }
    }
}
