//! An open segment of whatever type. In Rust what it is open for is its type, so here is one for all of them.

use serde_json::Value;
use shmd::{Client, Error, ErrorKind, Grant, Key, ReadOnly, ReadWrite, Refused, Sealed, Segment, Staged};

use crate::failure::Failure;

pub enum Handle {
    Reader(Segment<ReadOnly>),
    Writer(Segment<ReadWrite>),
    Sealed(Segment<Sealed>),
    StagedReader(Staged<ReadOnly>),
    StagedWriter(Staged<ReadWrite>),
    StagedSealed(Staged<Sealed>),
}

impl From<Segment<ReadOnly>> for Handle {
    fn from(segment: Segment<ReadOnly>) -> Self {
        segment.into_staged().map_or_else(Handle::Reader, Handle::StagedReader)
    }
}

impl From<Segment<ReadWrite>> for Handle {
    fn from(segment: Segment<ReadWrite>) -> Self {
        segment.into_staged().map_or_else(Handle::Writer, Handle::StagedWriter)
    }
}

impl From<Segment<Sealed>> for Handle {
    fn from(segment: Segment<Sealed>) -> Self {
        segment.into_staged().map_or_else(Handle::Sealed, Handle::StagedSealed)
    }
}

/// The same expression for each type of segment.
macro_rules! each {
    ($handle:expr, $segment:ident => $body:expr) => {
        match $handle {
            Handle::Reader($segment) => $body,
            Handle::Writer($segment) => $body,
            Handle::Sealed($segment) => $body,
            Handle::StagedReader($segment) => $body,
            Handle::StagedWriter($segment) => $body,
            Handle::StagedSealed($segment) => $body,
        }
    };
}

/// A handle after a call that would have made another of it, and how that went. None: it is closed.
pub type Changed = (Option<Handle>, Result<(), Failure>);

impl Handle {
    pub fn segment(&self) -> Value {
        each!(self, segment => segment.info().to_json())
    }

    pub fn was_created(&self) -> bool {
        each!(self, segment => segment.was_created())
    }

    pub fn read(&self, offset: usize, length: usize) -> Result<Vec<u8>, Failure> {
        let of = |bytes: &[u8]| match offset.checked_add(length).and_then(|end| bytes.get(offset..end)) {
            Some(part) => Ok(part.to_vec()),
            None => Err(Error::from(ErrorKind::OutOfRange { offset, length, size: bytes.len() })),
        };
        let bytes = match self {
            Handle::Sealed(segment) => of(segment),
            Handle::StagedSealed(segment) => of(segment.as_bytes()),
            Handle::Reader(segment) => segment.read_vec(offset, length),
            Handle::Writer(segment) => segment.read_vec(offset, length),
            Handle::StagedReader(segment) => segment.read_vec(offset, length),
            Handle::StagedWriter(segment) => segment.read_vec(offset, length),
        };
        Ok(bytes?)
    }

    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Handle::Writer(segment) => Ok(segment.write_at(offset, bytes)?),
            Handle::StagedWriter(segment) => Ok(segment.write_at(offset, bytes)?),
            _ => Err(Failure::does_not_compile("ReadOnly", "write_at is a method of Segment<ReadWrite> alone")),
        }
    }

    pub fn publish(self, key: Option<Key>, replace: bool) -> Changed {
        match self {
            Handle::StagedReader(staged) => published(staged, key, replace),
            Handle::StagedWriter(staged) => published(staged, key, replace),
            Handle::StagedSealed(staged) => published(staged, key, replace),
            other => (Some(other), Err(Failure::does_not_compile("NotStaged", "publish is a method of Staged alone"))),
        }
    }

    pub fn seal(self, client: &Client) -> Changed {
        match self {
            Handle::Writer(segment) => done(segment.seal(), Handle::Sealed, Handle::Writer),
            Handle::StagedWriter(staged) => done(staged.seal(), Handle::StagedSealed, Handle::StagedWriter),
            other => {
                let id = each!(&other, segment => segment.id());
                let sealed = client.seal(id).map_err(Failure::from).and_then(|_| other.remap());
                (Some(other), sealed)
            }
        }
    }

    pub fn resize(&self, size: u64, client: &Client) -> Result<(), Failure> {
        match self {
            Handle::Writer(segment) => drop(segment.resize(size)?),
            Handle::StagedWriter(staged) => drop(staged.resize(size)?),
            other => {
                client.resize(each!(other, segment => segment.id()), size)?;
                other.remap()?;
            }
        }
        Ok(())
    }

    pub fn remap(&self) -> Result<(), Failure> {
        each!(self, segment => segment.remap())?;
        Ok(())
    }
}

fn published<G: Grant>(staged: Staged<G>, key: Option<Key>, replace: bool) -> Changed
where
    Handle: From<Segment<G>>,
{
    let outcome = match (key, replace) {
        (None, false) => staged.publish(),
        (None, true) => staged.replace(),
        (Some(key), false) => staged.publish_as(key),
        (Some(key), true) => staged.replace_as(key),
    };
    done(outcome, Handle::from, |staged| Handle::from(staged.into_segment()))
}

fn done<N, S>(outcome: Result<N, Refused<S>>, new: impl FnOnce(N) -> Handle, old: impl FnOnce(S) -> Handle) -> Changed {
    match outcome {
        Ok(made) => (Some(new(made)), Ok(())),
        Err(refused) => {
            let (error, segment) = refused.into_parts();
            (segment.map(old), Err(error.into()))
        }
    }
}
