//! What a new segment shall be, and what is to be changed of one.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::fields::{Object, MAX_INTEGER};
use crate::grant::{Grant, ReadOnly, ReadWrite};
use crate::info::{Access, AclEntry, HugePages, Lifetime, Reserve};
use crate::key::Key;
use crate::segment::Segment;
use crate::staged::Staged;

/// A segment to be created. What is not set has the daemon's default.
///
/// ```
/// # fn main() -> shmd::Result<()> {
/// # let client = shmd::Client::connect()?;
/// use shmd::NewSegment;
/// use std::time::Duration;
/// let log = NewSegment::new("doc/log", 1 << 20)
///     .capacity(64 << 20)
///     .mode(0o640)
///     .label("team", "billing")
///     .lease(Duration::from_secs(7200))
///     .create(&client)?;
/// log.resize(8 << 20)?;
/// assert_eq!(log.len(), 8 << 20);
/// # client.delete("doc/log")
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is created yet"]
pub struct NewSegment {
    parameters: Object,
}

/// Whether a key that is taken is an error, or that segment is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum If {
    New,
    Any,
}

impl NewSegment {
    /// One of so many bytes of zeros, 1 to 2^53-1, under this key.
    pub fn new(key: impl Into<Key>, size: u64) -> Self {
        let mut new = NewSegment::unnamed(size);
        new.parameters.insert("key".into(), key.into().as_str().into());
        new
    }

    /// One under a key that the daemon makes up and nobody can guess.
    pub fn unnamed(size: u64) -> Self {
        let mut parameters = Object::new();
        parameters.insert("sizeBytes".into(), size.into());
        NewSegment { parameters }
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.parameters.insert(name.into(), value.into());
        self
    }

    /// Permission bits as in chmod(2), 0 to 0o777, for all later opens. Default 0o600, or what the daemon's policy says.
    pub fn mode(self, bits: u32) -> Self {
        self.with("mode", bits)
    }

    /// How much of the memory is there at once. Default [`Reserve::Allocate`].
    pub fn reserve(self, reserve: Reserve) -> Self {
        self.with("reserve", reserve.as_str())
    }

    /// How long it lasts. Default [`Lifetime::Persistent`]. For [`Lifetime::Lease`] use [`lease`](Self::lease).
    pub fn lifetime(self, lifetime: Lifetime) -> Self {
        self.with("lifetime", lifetime.as_str())
    }

    /// It lasts until nobody has [renewed](Client::renew) it for so long: at least a second.
    pub fn lease(self, length: Duration) -> Self {
        self.lifetime(Lifetime::Lease).with("leaseUsec", microseconds(length))
    }

    /// It may be dropped when memory runs short and nobody has it open. Default false.
    pub fn evictable(self, evictable: bool) -> Self {
        self.with("evictable", evictable)
    }

    /// False: nobody can ever make it immutable. Default true.
    pub fn sealable(self, sealable: bool) -> Self {
        self.with("sealable", sealable)
    }

    /// How far it can grow; all of it counts against the quota. Default: not at all.
    pub fn capacity(self, bytes: u64) -> Self {
        self.with("capacityBytes", bytes)
    }

    /// A name and a text that travel with it: 1 to 63 and up to 1024 bytes; 32 labels of 4096 bytes in all.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        add_label(&mut self.parameters, name.into(), value.into());
        self
    }

    /// Access beyond what the mode allows, for one more user or group.
    pub fn allow(mut self, entry: AclEntry) -> Self {
        add_to_array(&mut self.parameters, "acl", entry.to_json());
        self
    }

    /// Pages of which its memory is made. Default [`HugePages::None`].
    pub fn huge_pages(self, pages: HugePages) -> Self {
        self.with("hugePages", pages.as_str())
    }

    /// Its memory comes from these NUMA nodes alone.
    pub fn numa_nodes(self, nodes: impl IntoIterator<Item = u32>) -> Self {
        self.with("numaNodes", nodes.into_iter().collect::<Vec<_>>())
    }

    /// True: do without huge pages or nodes that the machine cannot give. Default false: `PlacementUnavailable`.
    pub fn placement_fallback(self, fallback: bool) -> Self {
        self.with("placementFallback", fallback)
    }

    /// Creates it.
    ///
    /// # Errors
    /// `SegmentExists`, `InvalidKey`, `InvalidParameter`, `PermissionDenied`, `QuotaExceeded`, `OutOfMemory`,
    /// `PlacementUnavailable`, `Draining`.
    pub fn create(&self, client: &Client) -> Result<Segment<ReadWrite>> {
        self.made_by(client, If::New)
    }

    /// Creates it, open for reading only. Whoever may write it opens it anew.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_read_only(&self, client: &Client) -> Result<Segment<ReadOnly>> {
        self.made_by(client, If::New)
    }

    /// Creates it, or opens the segment that has the key, with everything that it has: [`Segment::was_created`] tells which,
    /// and [`Segment::len`] the size.
    ///
    /// # Errors
    /// As [`create`](Self::create) but for `SegmentExists`, and `SizeMismatch` when the existing one is smaller.
    pub fn open_or_create(&self, client: &Client) -> Result<Segment<ReadWrite>> {
        self.made_by(client, If::Any)
    }

    /// The same, open for reading only.
    ///
    /// # Errors
    /// As [`open_or_create`](Self::open_or_create).
    pub fn open_or_create_read_only(&self, client: &Client) -> Result<Segment<ReadOnly>> {
        self.made_by(client, If::Any)
    }

    /// Creates it without its key: it is found under it when it is published.
    ///
    /// # Errors
    /// As [`create`](Self::create) but for `SegmentExists`.
    pub fn create_staged(&self, client: &Client) -> Result<Staged<ReadWrite>> {
        client.create_as(self.clone().with("staged", true).parameters, false, ReadWrite::ACCESS).map(Staged::new)
    }

    fn made_by<G: Grant>(&self, client: &Client, existing: If) -> Result<Segment<G>> {
        let any = existing == If::Any;
        let mut parameters = self.for_batch(G::ACCESS);
        if any {
            parameters.insert("createMode".into(), "any".into());
        }
        client.create_as(parameters, any, G::ACCESS).map(Segment::new)
    }

    /// Its parameters, as one of many.
    pub(crate) fn for_batch(&self, access: Access) -> Object {
        let mut parameters = self.parameters.clone();
        if access == Access::Read {
            parameters.insert("access".into(), access.as_str().into());
        }
        parameters
    }
}

/// What is to be changed of a segment: see [`Client::set_attributes`]. What is not set stays.
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is changed yet"]
pub struct Attributes {
    parameters: Object,
}

impl Attributes {
    /// No change yet.
    pub fn new() -> Self {
        Attributes::default()
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.parameters.insert(name.into(), value.into());
        self
    }

    /// Permission bits as in chmod(2), 0 to 0o777.
    pub fn mode(self, bits: u32) -> Self {
        self.with("mode", bits)
    }

    /// The owner's user. The memory stays on the account of the user who reserved it.
    pub fn owner_uid(self, uid: u32) -> Self {
        self.with("ownerUid", uid)
    }

    /// The owner's group.
    pub fn owner_gid(self, gid: u32) -> Self {
        self.with("ownerGid", gid)
    }

    /// How long it lasts. For [`Lifetime::Lease`] use [`lease`](Self::lease).
    pub fn lifetime(self, lifetime: Lifetime) -> Self {
        self.with("lifetime", lifetime.as_str())
    }

    /// It lasts until nobody has renewed it for so long, from now on.
    pub fn lease(self, length: Duration) -> Self {
        self.lifetime(Lifetime::Lease).with("leaseUsec", microseconds(length))
    }

    /// Whether it may be dropped when memory runs short and nobody has it open.
    pub fn evictable(self, evictable: bool) -> Self {
        self.with("evictable", evictable)
    }

    /// A label to be added, or changed where the name is there.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        add_label(&mut self.parameters, name.into(), value.into());
        self
    }

    /// The name of a label to be taken away, if it is there.
    pub fn remove_label(mut self, name: impl Into<String>) -> Self {
        add_to_array(&mut self.parameters, "removeLabels", name.into().into());
        self
    }

    /// Entries that take the place of all that there are.
    pub fn acl(self, entries: impl IntoIterator<Item = AclEntry>) -> Self {
        self.with("acl", entries.into_iter().map(AclEntry::to_json).collect::<Vec<_>>())
    }

    pub(crate) fn parameters(&self) -> &Object {
        &self.parameters
    }
}

fn add_label(parameters: &mut Object, name: String, value: String) {
    let labels = parameters.entry("labels").or_insert_with(|| Value::Object(Map::new()));
    if let Some(labels) = labels.as_object_mut() {
        labels.insert(name, value.into());
    }
}

fn add_to_array(parameters: &mut Object, field: &str, value: Value) {
    let array = parameters.entry(field).or_insert_with(|| Value::Array(Vec::new()));
    if let Some(array) = array.as_array_mut() {
        array.push(value);
    }
}

/// As the wire has it. What is longer than it can say is as long as it can.
pub(crate) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(MAX_INTEGER).min(MAX_INTEGER)
}

/// What a Create is called in an error.
pub(crate) fn creating(parameters: &Object, error: Error) -> Error {
    error.trying(|| {
        let size = &parameters["sizeBytes"];
        match parameters.get("key").and_then(Value::as_str) {
            Some(key) => format!("create segment '{key}' of {size} bytes"),
            None => format!("create a segment of {size} bytes"),
        }
    })
}
