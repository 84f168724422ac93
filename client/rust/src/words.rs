//! What went wrong, in words for people.

use std::fmt;

use crate::error::ErrorKind;
use crate::info::Holder;

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ErrorKind::*;
        match self {
            NoSuchSegment { key: Some(_), .. } => write!(f, "no segment has this key"),
            NoSuchSegment { .. } => write!(f, "no segment has this id"),
            SegmentExists { key } => write!(f, "the key '{key}' is taken: open that segment, or choose another key"),
            SizeMismatch { size_bytes } => write!(f, "the existing segment has only {size_bytes} bytes"),
            InvalidKey { key } => write!(
                f,
                "'{key}' is not a key: 1 to 255 bytes of A-Z a-z 0-9 . _ : / @ + = -, the first one a letter or a digit"
            ),
            QuotaExceeded { resource, limit } => write!(
                f,
                "the limit of {limit} on {resource} is reached: close or delete something, or have the limit raised"
            ),
            OutOfMemory { size_bytes } => write!(f, "this machine has not {size_bytes} bytes of memory to give"),
            SegmentSealed { .. } => write!(f, "it is sealed: its content cannot be changed any more"),
            NotSealed { .. } => write!(f, "it is not sealed: its content may still change"),
            NotSealable { .. } => write!(f, "it was created so that it can never be sealed"),
            SegmentBusy { holders } => busy(holders, f),
            NoLease { .. } => write!(f, "it has no lease"),
            CapacityExceeded { capacity_bytes } => {
                write!(f, "its capacity is {capacity_bytes} bytes, and it cannot grow further")
            }
            PlacementUnavailable { setting } => {
                write!(f, "this machine has no such memory to give now; {setting} decides that")
            }
            Draining => write!(f, "the daemon is being drained and makes no new segments"),
            PermissionDenied => write!(
                f,
                "user {} is not allowed to: the segment's owner and mode decide",
                rustix::process::geteuid().as_raw()
            ),
            InvalidParameter { parameter } => write!(f, "the daemon does not accept the parameter '{parameter}'"),
            InterfaceNotFound { interface } => write!(f, "the daemon has no interface '{interface}' at this socket"),
            MethodNotFound { method } | MethodNotImplemented { method } => {
                write!(f, "the daemon has no method '{method}'")
            }
            ExpectedMore => write!(f, "the method answers more than once"),
            Other => write!(f, "the daemon refused"),
            NoDaemon(cause) => write!(f, "no daemon answers ({cause}): start shmd, or name its socket in $SHMD_SOCKET"),
            UntrustedDirectory(path) => write!(
                f,
                "there is no system instance of shmd, and {} is not trusted: another user owns it or may write to it",
                path.display()
            ),
            Disconnected => write!(f, "the daemon went away before it answered: this may or may not have been done"),
            GrantEnded => {
                write!(f, "the connection that it was granted on has ended, and it with it: open or create it again")
            }
            Inherited => write!(f, "it belongs to the process that this one was forked from"),
            TimedOut => write!(f, "the time to wait for it is over"),
            NotLocked => write!(f, "this process does not hold the lock (any more)"),
            OwnerDied => {
                write!(f, "a writer died while it was writing: lock it, make the content whole, and call it consistent")
            }
            Protocol(why) => write!(f, "the daemon's answer makes no sense: {why}"),
            TooManyFiles => write!(f, "this process may open no more files: close some, or raise its limit"),
            OutOfRange { offset, length, size } => {
                write!(f, "{length} bytes at {offset} are not within its {size} bytes")
            }
            InvalidArgument(what) => write!(f, "{what}"),
            System(cause) => cause.fmt(f),
        }
    }
}

fn busy(holders: &[Holder], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if holders.is_empty() {
        return write!(f, "somebody is resizing it, or has it mapped for writing though detached from it");
    }
    write!(f, "it is open in")?;
    for (i, holder) in holders.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        write!(f, "{comma} process {} of user {}", holder.pid, holder.uid)?;
    }
    Ok(())
}
