//! Segments that are not yet published, and what is left when a call does not make another segment of one.

use std::fmt;
use std::ops::Deref;

use serde_json::json;

use crate::error::Error;
use crate::grant::{Grant, ReadWrite, Sealed};
use crate::key::Key;
use crate::message::object;
use crate::open::Open;
use crate::segment::Segment;

/// A segment that is made and not yet published: only this client finds it, and it goes with this object unless it is
/// published. Dereferences to the segment, to be filled.
///
/// ```
/// # fn main() -> shmd::Result<()> {
/// # let client = shmd::Client::connect()?;
/// use shmd::NewSegment;
/// let next = NewSegment::new("doc/table", 4096).mode(0o644).create_staged(&client)?;
/// next.write_at(0, b"all of it, or nothing")?;
/// let table = next.seal()?.replace()?; // takes the key over; immutable from here on
/// assert_eq!(&table[..3], b"all");
/// # client.delete("doc/table")
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a staged segment goes when it is dropped"]
pub struct Staged<G: Grant>(Segment<G>);

impl<G: Grant> Staged<G> {
    pub(crate) fn new(open: Open) -> Self {
        Staged(Segment::new(open))
    }

    pub(crate) fn of(segment: Segment<G>) -> Self {
        Staged(segment)
    }

    /// Gives it the key that was named when it was created, and makes it visible with all that was written before.
    ///
    /// # Errors
    /// [`Refused`], with the segment: `SegmentExists`, `PermissionDenied`.
    pub fn publish(self) -> std::result::Result<Segment<G>, Refused<Self>> {
        self.publish_under(None, false)
    }

    /// The same, under this key.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), and `InvalidKey`.
    pub fn publish_as(self, key: impl Into<Key>) -> std::result::Result<Segment<G>, Refused<Self>> {
        self.publish_under(Some(key.into()), false)
    }

    /// As [`publish`](Self::publish), and takes the key over from the segment that has it, if there is one: those who have
    /// that one open keep its memory.
    ///
    /// # Errors
    /// [`Refused`], with the segment: `PermissionDenied` when the other one may not be deleted.
    pub fn replace(self) -> std::result::Result<Segment<G>, Refused<Self>> {
        self.publish_under(None, true)
    }

    /// The same, under this key.
    ///
    /// # Errors
    /// As [`replace`](Self::replace), and `InvalidKey`.
    pub fn replace_as(self, key: impl Into<Key>) -> std::result::Result<Segment<G>, Refused<Self>> {
        self.publish_under(Some(key.into()), true)
    }

    fn publish_under(self, key: Option<Key>, replace: bool) -> std::result::Result<Segment<G>, Refused<Self>> {
        let mut parameters = object(json!({ "attachment": self.0.attachment() }));
        if let Some(key) = &key {
            parameters.insert("key".into(), key.as_str().into());
        }
        if replace {
            parameters.insert("replace".into(), true.into());
        }
        match self.0.open.change("Publish", parameters) {
            Ok(_) => Ok(self.0),
            Err(error) => {
                let error = error.trying(|| match key {
                    Some(key) => format!("publish '{key}'"),
                    None => format!("publish {}", self.0.open.by_id()),
                });
                Err(Refused::new(error, Some(self)))
            }
        }
    }

    /// The segment as one that is open, to be kept as it is: unpublished.
    pub fn into_segment(self) -> Segment<G> {
        self.0
    }
}

impl Staged<ReadWrite> {
    /// Makes the content immutable before it is published.
    ///
    /// # Errors
    /// As [`Segment::seal`].
    pub fn seal(self) -> std::result::Result<Staged<Sealed>, Refused<Self>> {
        let sealed = self.0.seal().map_err(|refused| {
            let (error, segment) = refused.into_parts();
            Refused::new(error, segment.map(Staged))
        })?;
        Ok(Staged(sealed))
    }
}

impl<G: Grant> Deref for Staged<G> {
    type Target = Segment<G>;

    fn deref(&self) -> &Segment<G> {
        &self.0
    }
}

/// The error of a call that would have made another segment of this one, and the segment as it was. `?` makes an [`Error`] of
/// it and drops the segment.
#[derive(Debug)]
pub struct Refused<S> {
    error: Error,
    segment: Option<Box<S>>,
}

impl<S> Refused<S> {
    pub(crate) fn new(error: Error, segment: Option<S>) -> Self {
        Refused { error, segment: segment.map(Box::new) }
    }

    /// Why.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The segment as it was. None when sealing it was in vain and it could not be opened for writing again: then it is
    /// closed.
    pub fn into_segment(self) -> Option<S> {
        self.segment.map(|segment| *segment)
    }

    /// Both.
    pub fn into_parts(self) -> (Error, Option<S>) {
        (self.error, self.segment.map(|segment| *segment))
    }
}

impl<S> fmt::Display for Refused<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<S: fmt::Debug> std::error::Error for Refused<S> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl<S> From<Refused<S>> for Error {
    fn from(refused: Refused<S>) -> Self {
        refused.error
    }
}
