//! The calls of io.shmd.Segments, each on the connection that fits. What a granted segment is in this process is `open`'s.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use crate::connection::{Connection, Link};
use crate::current::Current;
use crate::error::{Error, ErrorKind, Lost, Result};
use crate::fields::{Object, MAX_INTEGER};
use crate::grant::{Grant, ReadOnly, ReadWrite, Sealed};
use crate::info::{Access, Info};
use crate::key::{Key, Target};
use crate::message::{self, encode, object, segments_call, target_parameters, Wants};
use crate::open::Open;
use crate::options::{creating, microseconds, Attributes, NewSegment};
use crate::paths::{find_socket, Endpoint};
use crate::segment::Segment;
use crate::staged::Staged;
use crate::watch::Watch;

/// Segments in one CreateMany or OpenMany.
const BATCH: usize = 250;

/// How often a wait for a key outlives the end of its connection, as a restart of the daemon is one. A bound, lest a daemon
/// that hangs up on every such call be called for ever.
const MAX_LOST_WAITS: u32 = 16;

/// A client of the daemon. Cheap to clone: all clones are the same client. May be used by many threads at once; calls wait
/// for each other, except [`open_wait`](Client::open_wait) and [`watch`](Client::watch), which have connections of their own.
///
/// **fork(2).** A child may use what it inherits: its first call connects anew. Grants stay with the process that got them, so
/// an inherited segment can be read and written, but not published, sealed or resized ([`ErrorKind::Inherited`]).
///
/// **Users.** After a change of the effective user or group the next call connects anew, as that user.
///
/// **Restarts.** When the daemon was restarted, the next call connects anew, and takes up the grants of this process where a
/// service manager keeps segments: an open segment then goes on as if nothing had happened. Elsewhere its grant has ended
/// with the daemon ([`ErrorKind::GrantEnded`]). A call that was under way is made again, once, if the daemon did not get it or
/// if that changes nothing more; any other is [`ErrorKind::Disconnected`]. Mapped memory stays mapped throughout.
#[derive(Clone)]
pub struct Client(Arc<Current>);

/// What a call does when it is carried out twice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeated {
    TheSame,
    SomethingElse,
}

impl Client {
    /// Connects to the daemon of this machine: `$SHMD_SOCKET`, the system instance at `/run/shmd/io.shmd.Segments` if that is
    /// there, the user instance below `$XDG_RUNTIME_DIR` or `/tmp`.
    ///
    /// # Errors
    /// `NoDaemon`, `UntrustedDirectory`, or `System` when the socket's permissions forbid it. A daemon that takes no more
    /// connections says so at the first call: `QuotaExceeded`.
    pub fn connect() -> Result<Client> {
        Client::connect_to(find_socket(Endpoint::Segments)?)
    }

    /// Connects to the daemon at this path. The same path serves whenever the client connects anew.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_to(path: impl AsRef<Path>) -> Result<Client> {
        let client = Client(Arc::new(Current::new(path.as_ref().to_owned())));
        client.0.connection()?;
        Ok(client)
    }

    /// Connects to the control socket, for [`call`](Self::call) and [`call_many`](Self::call_many):
    /// `$SHMD_CONTROL_SOCKET`, the one that belongs to `$SHMD_SOCKET`, the system or the user instance's.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_control() -> Result<Client> {
        Client::connect_to(find_socket(Endpoint::Control)?)
    }

    /// The path of the daemon's socket.
    pub fn socket_path(&self) -> &Path {
        self.0.path()
    }

    /// Runs an attempt on a connection, and once more on a new one when the first one ended under it and nothing is done
    /// twice by that.
    fn carry_out<T>(&self, repeated: Repeated, attempt: impl Fn(&Link) -> Result<T>) -> Result<T> {
        let first = attempt(&self.0.connection()?);
        match &first {
            Err(error) if error.how_far() == Lost::Unsent => {}
            Err(error) if error.how_far() == Lost::Unanswered && repeated == Repeated::TheSame => {}
            _ => return first,
        }
        attempt(&self.0.connection()?)
    }

    /// Creates a segment of so many bytes of zeros and opens it for writing. [`NewSegment`] has all the options.
    ///
    /// # Errors
    /// As [`NewSegment::create`].
    pub fn create(&self, key: impl Into<Key>, size: u64) -> Result<Segment<ReadWrite>> {
        NewSegment::new(key, size).create(self)
    }

    pub(crate) fn create_as(&self, parameters: Object, any: bool, access: Access) -> Result<Open> {
        let opens = any && parameters.contains_key("key");
        let repeated = if opens { Repeated::TheSame } else { Repeated::SomethingElse };
        let message = segments_call("Create", parameters.clone(), Wants::One);
        self.carry_out(repeated, |link| Open::map(link, link.call_for_grant(&message)?, access, false))
            .map_err(|error| creating(&parameters, error))
    }

    /// Creates 1 to 250 segments in one trip to the daemon, or none of them. No key twice.
    ///
    /// # Errors
    /// As [`NewSegment::create`], for the first that cannot be made.
    pub fn create_many<'a>(&self, new: impl IntoIterator<Item = &'a NewSegment>) -> Result<Vec<Segment<ReadWrite>>> {
        let all = new.into_iter().map(|new| new.for_batch(Access::Write)).collect();
        Ok(self.create_all(all)?.into_iter().map(Segment::new).collect())
    }

    /// The same, staged: each to be filled and published.
    ///
    /// # Errors
    /// As [`create_many`](Self::create_many).
    pub fn create_many_staged<'a>(
        &self,
        new: impl IntoIterator<Item = &'a NewSegment>,
    ) -> Result<Vec<Staged<ReadWrite>>> {
        let staged = |new: &NewSegment| {
            let mut parameters = new.for_batch(Access::Write);
            parameters.insert("staged".into(), true.into());
            parameters
        };
        Ok(self.create_all(new.into_iter().map(staged).collect())?.into_iter().map(Staged::new).collect())
    }

    fn create_all(&self, new: Vec<Object>) -> Result<Vec<Open>> {
        let count = new.len();
        let message = segments_call("CreateMany", object(json!({ "segments": new })), Wants::One);
        self.carry_out(Repeated::SomethingElse, |link| {
            let grants = link.call_for_grants(&message, count)?;
            let made: Vec<_> = grants.into_iter().map(|grant| Open::map(link, grant, Access::Write, false)).collect();
            if made.iter().any(Result::is_err) {
                made.iter().flatten().filter(|open| open.was_created()).for_each(Open::delete_unasked);
            }
            made.into_iter().collect()
        })
        .map_err(|error| error.trying(|| format!("create {count} segments")))
    }

    /// Opens the segment that has this key or id for reading.
    ///
    /// # Errors
    /// `NoSuchSegment`, `PermissionDenied`, `InvalidKey`, `QuotaExceeded`.
    pub fn open(&self, target: impl Into<Target>) -> Result<Segment<ReadOnly>> {
        self.open_as(target)
    }

    /// Opens it for reading and writing.
    ///
    /// # Errors
    /// As [`open`](Self::open), and `SegmentSealed`.
    pub fn open_write(&self, target: impl Into<Target>) -> Result<Segment<ReadWrite>> {
        self.open_as(target)
    }

    /// Opens it for reading if it is sealed: nobody can write it any more, so it needs no lock and no second look.
    ///
    /// # Errors
    /// As [`open`](Self::open), and `NotSealed`.
    pub fn open_sealed(&self, target: impl Into<Target>) -> Result<Segment<Sealed>> {
        self.open_as(target)
    }

    /// Opens it for what the type says: `client.open_as::<ReadWrite>("key")`, for generic code.
    ///
    /// # Errors
    /// As the one of the three above that it stands for.
    pub fn open_as<G: Grant>(&self, target: impl Into<Target>) -> Result<Segment<G>> {
        let target = target.into();
        self.open_target(&target).map_err(|error| error.trying(|| opening::<G>(&target)))
    }

    fn open_target<G: Grant>(&self, target: &Target) -> Result<Segment<G>> {
        let message = open_call::<G>(target, None);
        self.carry_out(Repeated::TheSame, |link| Open::map(link, link.call_for_grant(&message)?, G::ACCESS, G::SEALED))
            .map(Segment::new)
    }

    /// As [`open_as`](Self::open_as), but waits so long for the key to appear; `None` waits without an end. Other calls go on
    /// meanwhile: the wait has a connection of its own, which counts as one. Restarts of the daemon do not end it, as long
    /// as its socket stays, as it does under systemd.
    ///
    /// ```
    /// # fn main() -> shmd::Result<()> {
    /// # let client = shmd::Client::connect()?;
    /// use shmd::ReadOnly;
    /// use std::time::Duration;
    /// let creator = client.clone();
    /// let thread = std::thread::spawn(move || creator.create("doc/awaited", 10));
    /// let awaited = client.open_wait::<ReadOnly>("doc/awaited", Duration::from_secs(10))?;
    /// # thread.join().unwrap()?;
    /// # client.delete("doc/awaited")
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`open_as`](Self::open_as): `NoSuchSegment` when the time is over.
    pub fn open_wait<G: Grant>(&self, key: impl Into<Key>, timeout: impl Into<Option<Duration>>) -> Result<Segment<G>> {
        let target = Target::Key(key.into());
        // Beyond what the clock can tell is without an end.
        let deadline = timeout.into().and_then(|timeout| Instant::now().checked_add(timeout));
        self.wait_for(&target, deadline).map_err(|error| error.trying(|| opening::<G>(&target)))
    }

    fn wait_for<G: Grant>(&self, target: &Target, deadline: Option<Instant>) -> Result<Segment<G>> {
        let mut lost_waits = 0;
        let mut _waited = None; // keeps the segment that has come until we have opened it
        loop {
            let opened = self.open_target(target);
            if !matches!(&opened, Err(error) if matches!(error.kind(), ErrorKind::NoSuchSegment { .. })) {
                return opened;
            }
            let left = deadline
                .map_or(MAX_INTEGER, |deadline| microseconds(deadline.saturating_duration_since(Instant::now())));
            if left == 0 {
                return opened;
            }
            let waiting = Connection::open(self.0.path())?;
            match waiting.call(&open_call::<G>(target, Some(left)), message::grant) {
                Ok(_) => _waited = Some(waiting),
                Err(error) if error.how_far() == Lost::No || lost_waits == MAX_LOST_WAITS => return Err(error),
                Err(_) => lost_waits += 1,
            }
        }
    }

    /// Opens many segments, 250 in one trip to the daemon. One result for each, in their order.
    ///
    /// ```
    /// # fn main() -> shmd::Result<()> {
    /// # let client = shmd::Client::connect()?;
    /// use shmd::{NewSegment, ReadOnly};
    /// let made = client.create_many(&[NewSegment::new("doc/1", 10), NewSegment::new("doc/2", 10)])?;
    /// let opened = client.open_many::<ReadOnly>(["doc/1", "doc/nobody-has-this", "doc/2"])?;
    /// assert!(opened[0].is_ok() && opened[1].is_err() && opened[2].is_ok());
    /// # client.delete("doc/1")?;
    /// # client.delete("doc/2")
    /// # }
    /// ```
    ///
    /// # Errors
    /// What is wrong with all of them, such as `NoDaemon`.
    pub fn open_many<G: Grant>(
        &self,
        targets: impl IntoIterator<Item = impl Into<Target>>,
    ) -> Result<Vec<Result<Segment<G>>>> {
        let targets: Vec<Target> = targets.into_iter().map(Into::into).collect();
        let mut all = Vec::with_capacity(targets.len());
        for some in targets.chunks(BATCH) {
            let named: Vec<Object> = some.iter().map(target_parameters).collect();
            let parameters = object(json!({ "targets": named, "access": G::ACCESS.as_str() }));
            let message = segments_call("OpenMany", parameters, Wants::One);
            let opened = self.carry_out(Repeated::TheSame, |link| {
                let results = link.call_for_results(&message, some.len())?;
                let map = |grant| Open::map(link, grant, G::ACCESS, G::SEALED).map(Segment::new);
                Ok(results.into_iter().map(|result| result.and_then(map)).collect::<Vec<_>>())
            });
            let opened = opened.map_err(|error| error.trying(|| "open segments".into()))?;
            let told = |(outcome, target): (Result<Segment<G>>, &Target)| {
                outcome.map_err(|error| error.trying(|| opening::<G>(target)))
            };
            all.extend(opened.into_iter().zip(some).map(told));
        }
        Ok(all)
    }

    /// A call that answers with the segment. All of these may be carried out twice: the second time changes nothing more.
    fn segment(&self, method: &str, tried: &str, target: Target, more: Object) -> Result<Info> {
        let mut parameters = target_parameters(&target);
        parameters.extend(more);
        let message = segments_call(method, parameters, Wants::One);
        self.carry_out(Repeated::TheSame, |link| link.call(&message, message::segment))
            .map_err(|error| error.trying(|| format!("{tried} {target}")))
    }

    /// Describes the segment that has this key or id.
    ///
    /// # Errors
    /// `NoSuchSegment`, `PermissionDenied`, `InvalidKey`.
    pub fn describe(&self, target: impl Into<Target>) -> Result<Info> {
        self.segment("Describe", "describe", target.into(), Object::new())
    }

    /// Changes mode, owner, lifetime, labels or entries. Only the owner, the creator and root may.
    ///
    /// # Errors
    /// `NoSuchSegment`, `PermissionDenied`, `InvalidParameter`.
    pub fn set_attributes(&self, target: impl Into<Target>, attributes: &Attributes) -> Result<Info> {
        self.segment("SetAttributes", "change", target.into(), attributes.parameters().clone())
    }

    /// Begins the segment's lease anew, for its full length from now on. Whoever may read the segment may.
    ///
    /// # Errors
    /// `NoSuchSegment`, `PermissionDenied`, `NoLease`.
    pub fn renew(&self, target: impl Into<Target>) -> Result<Info> {
        self.segment("Renew", "renew the lease of", target.into(), Object::new())
    }

    /// Makes the content immutable for ever, by the kernel. Needs the permission to write, and that nobody has it open for
    /// writing, this process included: [`Segment::seal`] is for one that has.
    ///
    /// # Errors
    /// `NoSuchSegment`, `PermissionDenied`, `SegmentBusy`, `NotSealable`.
    pub fn seal(&self, target: impl Into<Target>) -> Result<Info> {
        self.segment("Seal", "seal", target.into(), Object::new())
    }

    /// Changes a segment's size, within its capacity. Needs the permission to write.
    ///
    /// # Errors
    /// As [`Segment::resize`].
    pub fn resize(&self, target: impl Into<Target>, size: u64) -> Result<Info> {
        self.segment("Resize", "resize", target.into(), object(json!({ "sizeBytes": size })))
    }

    /// Deletes a segment. The key is free at once; whoever has it mapped keeps the memory. Only its owner, its creator and
    /// root may.
    ///
    /// # Errors
    /// `NoSuchSegment`, `PermissionDenied`.
    pub fn delete(&self, target: impl Into<Target>) -> Result<()> {
        let target = target.into();
        let message = segments_call("Delete", target_parameters(&target), Wants::One);
        self.carry_out(Repeated::SomethingElse, |link| link.call(&message, |_| Ok(())))
            .map_err(|error| error.trying(|| format!("delete {target}")))
    }

    /// Lists the live segments that this user may describe and whose key begins with the prefix, in the order of their
    /// creation. An empty prefix lists all.
    ///
    /// # Errors
    /// `InvalidParameter` when no key can begin so.
    pub fn list(&self, prefix: &str) -> Result<Vec<Info>> {
        let message = segments_call("List", prefixed(prefix), Wants::Many);
        self.carry_out(Repeated::TheSame, |link| link.call_for_many(&message, message::listed))
            .map_err(|error| error.trying(|| "list segments".into()))
    }

    /// Tells what happens to the live segments that this user may describe and whose key begins with the prefix; an empty one
    /// means all. Has a connection of its own, which counts as one.
    ///
    /// # Errors
    /// `InvalidParameter` when no key can begin so, `QuotaExceeded`.
    pub fn watch(&self, prefix: &str) -> Result<Watch> {
        let message = segments_call("Watch", prefixed(prefix), Wants::Many);
        Watch::open(self.0.path(), &message).map_err(|error| error.trying(|| "watch segments".into()))
    }

    /// Any Varlink call that answers once and passes no descriptors, for methods that this crate has no function for.
    /// parameters: an object, or null. Gives the reply's parameters.
    ///
    /// ```
    /// # fn main() -> shmd::Result<()> {
    /// # let client = shmd::Client::connect()?;
    /// use serde_json::json;
    /// let info = client.call("org.varlink.service.GetInfo", json!({}))?;
    /// assert_eq!(info["product"], "shmd");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Whatever the method has.
    pub fn call(&self, method: &str, parameters: Value) -> Result<serde_json::Map<String, Value>> {
        let message = encode(method, parameters_of(parameters)?, Wants::One);
        self.carry_out(Repeated::SomethingElse, |link| link.call(&message, |answer| Ok(answer.parameters)))
            .map_err(|error| error.trying(|| format!("call {method}")))
    }

    /// The same for a call that answers many times, as lists do. Not for calls that never end.
    ///
    /// # Errors
    /// Whatever the method has.
    pub fn call_many(&self, method: &str, parameters: Value) -> Result<Vec<serde_json::Map<String, Value>>> {
        let message = encode(method, parameters_of(parameters)?, Wants::Many);
        self.carry_out(Repeated::SomethingElse, |link| link.call_for_many(&message, |reply| Ok(Some(reply.clone()))))
            .map_err(|error| error.trying(|| format!("call {method}")))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("socket_path", &self.0.path()).finish()
    }
}

fn open_call<G: Grant>(target: &Target, wait_usec: Option<u64>) -> Vec<u8> {
    let mut parameters = target_parameters(target);
    parameters.insert("access".into(), G::ACCESS.as_str().into());
    if G::SEALED {
        parameters.insert("sealed".into(), true.into());
    }
    if let Some(wait) = wait_usec {
        parameters.insert("waitUsec".into(), wait.into());
    }
    segments_call("Open", parameters, Wants::One)
}

fn opening<G: Grant>(target: &Target) -> String {
    match (G::ACCESS, G::SEALED) {
        (Access::Write, _) => format!("open {target} for writing"),
        (_, true) => format!("open {target} sealed"),
        (_, false) => format!("open {target} for reading"),
    }
}

fn prefixed(prefix: &str) -> Object {
    let mut parameters = Object::new();
    if !prefix.is_empty() {
        parameters.insert("prefix".into(), prefix.into());
    }
    parameters
}

fn parameters_of(value: Value) -> Result<Object> {
    match value {
        Value::Object(parameters) => Ok(parameters),
        Value::Null => Ok(Object::new()),
        _ => Err(Error::new(ErrorKind::InvalidArgument("the parameters of a call are a JSON object"))),
    }
}
