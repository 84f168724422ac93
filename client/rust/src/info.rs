//! What the daemon tells of a segment, and the words that it does so with.

use std::collections::BTreeMap;

use serde_json::{json, Value};

use crate::fields::{numbers, Decoded, Fields, Malformed};
use crate::key::SegmentId;

/// An enum of the interface description, and its names there.
macro_rules! named {
    ($(#[$meta:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type { $($(#[$doc])* $variant),* }

        impl $type {
            /// Its name in the interface description.
            pub fn as_str(self) -> &'static str {
                match self { $($type::$variant => $name),* }
            }

            #[allow(dead_code)] // not all of them are read
            pub(crate) fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some($type::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use named;

named! {
    /// What is granted. The kernel enforces it.
    Access {
        /// To read.
        Read = "read",
        /// To read and to write.
        Write = "write",
    }
}

named! {
    /// How much of the memory is there when a segment has been created.
    #[non_exhaustive]
    Reserve {
        /// Nothing yet: pages come when they are first touched, if the machine has some then.
        Lazy = "lazy",
        /// All of it is reserved. The default.
        Allocate = "allocate",
        /// All of it is reserved and zeroed, so that the first access costs no more than mapping it.
        Populate = "populate",
    }
}

named! {
    /// Where a segment is in its life.
    State {
        /// Made and not yet published: it has no key.
        Staged = "staged",
        /// Open to all whom its mode allows.
        Live = "live",
        /// Its key is gone; the memory lasts as long as somebody is attached or has it mapped.
        Deleted = "deleted",
    }
}

named! {
    /// How long a segment lasts.
    #[non_exhaustive]
    Lifetime {
        /// Until it is deleted. The default.
        Persistent = "persistent",
        /// Until its last attachment ends.
        Attached = "attached",
        /// Until the process that created it is gone.
        Creator = "creator",
        /// Until its lease runs out.
        Lease = "lease",
    }
}

named! {
    /// Pages of which memory is made.
    #[non_exhaustive]
    HugePages {
        /// The usual ones. The default.
        None = "none",
        /// Huge ones where the kernel finds them.
        Transparent = "transparent",
        /// Those of 2 MiB alone, from the pool that the administrator has set aside.
        Huge2M = "huge2M",
        /// Those of 1 GiB alone, from that pool.
        Huge1G = "huge1G",
    }
}

/// A user or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// The user with this uid.
    User(u32),
    /// The group with this gid.
    Group(u32),
}

/// Access beyond what the mode allows. At most 32 for a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AclEntry {
    /// For whom.
    pub who: Principal,
    /// For what.
    pub access: Access,
}

impl AclEntry {
    /// An entry for a user.
    pub fn user(uid: u32, access: Access) -> Self {
        AclEntry { who: Principal::User(uid), access }
    }

    /// An entry for a group.
    pub fn group(gid: u32, access: Access) -> Self {
        AclEntry { who: Principal::Group(gid), access }
    }

    pub(crate) fn to_json(self) -> Value {
        match self.who {
            Principal::User(uid) => json!({"uid": uid, "access": self.access.as_str()}),
            Principal::Group(gid) => json!({"gid": gid, "access": self.access.as_str()}),
        }
    }

    fn decode(value: &Value) -> Decoded<Self> {
        let fields = Fields::of(value, "an entry")?;
        let who = match (fields.opt_number("uid")?, fields.opt_number("gid")?) {
            (Some(uid), None) => Principal::User(uid),
            (None, Some(gid)) => Principal::Group(gid),
            _ => return Err(Malformed("an entry is not for exactly one of a user and a group".into())),
        };
        Ok(AclEntry { who, access: fields.name("access", Access::from_name)? })
    }
}

/// One grant and the process that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Holder {
    /// 0 when the daemon cannot see the process.
    pub pid: i32,
    /// Its effective user.
    pub uid: u32,
    /// The number of the grant.
    pub attachment: u32,
    /// What is granted.
    pub access: Access,
}

impl Holder {
    pub(crate) fn decode(value: &Value) -> Decoded<Self> {
        let fields = Fields::of(value, "a holder")?;
        Ok(Holder {
            pid: fields.number("pid")?,
            uid: fields.number("uid")?,
            attachment: fields.number("attachment")?,
            access: fields.name("access", Access::from_name)?,
        })
    }
}

/// A segment as the daemon sees it. Sizes are bytes, times microseconds of `CLOCK_REALTIME` since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// Never reused.
    pub id: SegmentId,
    /// None while staged, and once deleted or replaced by another segment under the same key.
    pub key: Option<String>,
    /// Exactly what was asked for, by its creation or the last resize.
    pub size_bytes: u64,
    /// Permission bits as in chmod(2), 0 to 0o777. Only the r and w bits count.
    pub mode: u32,
    /// The owner's user.
    pub owner_uid: u32,
    /// The owner's group.
    pub owner_gid: u32,
    /// The user that created it.
    pub creator_uid: u32,
    /// The group that created it.
    pub creator_gid: u32,
    /// The process that created it, as seen by the daemon.
    pub creator_pid: i32,
    /// Where it is in its life.
    pub state: State,
    /// True when the kernel refuses every further write.
    pub sealed: bool,
    /// The number of grants that have not ended.
    pub attachments: u64,
    /// When it was created.
    pub created_usec: i64,
    /// The last grant.
    pub attached_usec: Option<i64>,
    /// The last end of a grant.
    pub detached_usec: Option<i64>,
    /// The last change of owner, mode, key, state or labels.
    pub changed_usec: i64,
    /// When its lease runs out, should the clock not be set meanwhile.
    pub expires_usec: Option<i64>,
    /// May be dropped when memory runs short and nobody is attached.
    pub evictable: bool,
    /// Names and texts that travel with it.
    pub labels: BTreeMap<String, String>,
    /// How long it lasts.
    pub lifetime: Lifetime,
    /// The length of its lease.
    pub lease_usec: Option<i64>,
    /// Access beyond what the mode allows.
    pub acl: Vec<AclEntry>,
    /// How far it can grow.
    pub capacity_bytes: u64,
    /// Pages of which its memory is made.
    pub huge_pages: HugePages,
    /// The nodes that its memory is bound to; empty when it is bound to none.
    pub numa_nodes: Vec<u32>,
}

impl Info {
    pub(crate) fn decode(fields: &Fields<'_>) -> Decoded<Self> {
        let info = Info {
            id: SegmentId(fields.number("id")?),
            key: fields.opt_text("key")?.map(str::to_owned),
            size_bytes: fields.number("sizeBytes")?,
            mode: fields.number("mode")?,
            owner_uid: fields.number("ownerUid")?,
            owner_gid: fields.number("ownerGid")?,
            creator_uid: fields.number("creatorUid")?,
            creator_gid: fields.number("creatorGid")?,
            creator_pid: fields.number("creatorPid")?,
            state: fields.name("state", State::from_name)?,
            sealed: fields.boolean("sealed")?,
            attachments: fields.number("attachments")?,
            created_usec: fields.number("createdUsec")?,
            attached_usec: fields.opt_int("attachedUsec")?,
            detached_usec: fields.opt_int("detachedUsec")?,
            changed_usec: fields.number("changedUsec")?,
            expires_usec: fields.opt_int("expiresUsec")?,
            evictable: fields.boolean("evictable")?,
            labels: fields.texts("labels")?,
            lifetime: fields.name("lifetime", Lifetime::from_name)?,
            lease_usec: fields.opt_int("leaseUsec")?,
            acl: fields.opt_array("acl")?.unwrap_or_default().iter().map(AclEntry::decode).collect::<Decoded<_>>()?,
            capacity_bytes: fields.number("capacityBytes")?,
            huge_pages: fields.name("hugePages", HugePages::from_name)?,
            numa_nodes: numbers(fields.opt_array("numaNodes")?.unwrap_or_default())?,
        };
        if info.size_bytes == 0 || info.size_bytes > info.capacity_bytes {
            return Err(Malformed(format!("it tells of {} of {} bytes", info.size_bytes, info.capacity_bytes)));
        }
        Ok(info)
    }

    /// The same as JSON, with the field names of the interface description.
    pub fn to_json(&self) -> Value {
        let acl: Vec<_> = self.acl.iter().map(|entry| entry.to_json()).collect();
        json!({
            "id": self.id.0,
            "key": self.key,
            "sizeBytes": self.size_bytes,
            "mode": self.mode,
            "ownerUid": self.owner_uid,
            "ownerGid": self.owner_gid,
            "creatorUid": self.creator_uid,
            "creatorGid": self.creator_gid,
            "creatorPid": self.creator_pid,
            "state": self.state.as_str(),
            "sealed": self.sealed,
            "attachments": self.attachments,
            "createdUsec": self.created_usec,
            "attachedUsec": self.attached_usec,
            "detachedUsec": self.detached_usec,
            "changedUsec": self.changed_usec,
            "expiresUsec": self.expires_usec,
            "evictable": self.evictable,
            "labels": self.labels,
            "lifetime": self.lifetime.as_str(),
            "leaseUsec": self.lease_usec,
            "acl": if acl.is_empty() { Value::Null } else { acl.into() },
            "capacityBytes": self.capacity_bytes,
            "hugePages": self.huge_pages.as_str(),
            "numaNodes": if self.numa_nodes.is_empty() { Value::Null } else { self.numa_nodes.clone().into() },
        })
    }
}
