//! A segment that this process has open, whatever for: its memory, the grant that it came with, and the end of both. What
//! may be done with the memory is `segment`'s.

use std::os::unix::io::{AsFd, OwnedFd};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use rustix::process::{getpid, Pid};
use serde_json::json;

use crate::area::Area;
use crate::connection::{lock, Link};
use crate::error::{Error, ErrorKind, Lost, Result};
use crate::fields::Object;
use crate::info::{Access, Info};
use crate::key::Target;
use crate::mapping::{is_immutable, Mapping};
use crate::message::{self, detach, object, segments_call, target_parameters, Grant, Wants};
use crate::recovery::Recovery;
use crate::shared::Shared;

/// Dropping it unmaps, and ends the grant if it is this process's.
pub(crate) struct Open {
    mapping: Option<Mapping>,
    process: Pid,
    /// None once the daemon has been told of the end.
    link: Mutex<Option<Link>>,
    attachment: u32,
    created: bool,
    info: Shared<Info>,
    size: AtomicUsize,
    /// Of an Arc; null until it is needed.
    area: AtomicPtr<Area>,
}

impl Open {
    /// Maps what a Create or an Open on this connection was answered with, which holds the grant. A grant that cannot be mapped is given back, and a
    /// segment that was created for it is deleted.
    pub(crate) fn map(link: &Link, grant: Grant, access: Access, sealed: bool) -> Result<Self> {
        let mapping = mapped(&grant, access).and_then(|mapping| match &grant.memory {
            Some(memory) if sealed && !is_immutable(memory.as_fd()) => Err(not_sealed(&grant.info)),
            _ => Ok(mapping),
        });
        match mapping {
            Ok(mapping) => Ok(Open {
                mapping: Some(mapping),
                process: getpid(),
                link: Mutex::new(Some(link.clone())),
                attachment: grant.attachment,
                created: grant.created,
                size: AtomicUsize::new(size_of(&grant.info)),
                info: Shared::new(grant.info),
                area: AtomicPtr::default(),
            }),
            Err(error) => {
                link.let_go(grant.attachment);
                if matches!(error.kind(), ErrorKind::Protocol(_)) {
                    link.give_up();
                } else {
                    let mut calls = Vec::new();
                    if grant.created {
                        calls = delete(&grant.info);
                    }
                    calls.extend(detach(grant.attachment));
                    link.notify(&calls);
                }
                Err(error)
            }
        }
    }

    /// The first byte. The mapping is there from the beginning to the end of this object.
    pub(crate) fn data(&self) -> *mut u8 {
        match &self.mapping {
            Some(mapping) => mapping.data().as_ptr(),
            None => std::ptr::NonNull::dangling().as_ptr(),
        }
    }

    /// As this process last heard of it; no more than is mapped.
    pub(crate) fn size(&self) -> usize {
        self.size.load(Ordering::Acquire)
    }

    pub(crate) fn attachment(&self) -> u32 {
        self.attachment
    }

    pub(crate) fn was_created(&self) -> bool {
        self.created
    }

    pub(crate) fn info(&self) -> Arc<Info> {
        self.info.get()
    }

    pub(crate) fn by_id(&self) -> Target {
        Target::Id(self.info().id)
    }

    /// Deletes the segment without waiting for the daemon.
    pub(crate) fn delete_unasked(&self) {
        if let Ok(link) = self.link() {
            link.notify(&delete(&self.info()));
        }
    }

    /// The connection that has the grant: the one that gave it, or one that took it up after a restart of the daemon.
    fn link(&self) -> Result<Link> {
        if self.process != getpid() {
            return Err(ErrorKind::Inherited.into());
        }
        let mut kept = lock(&self.link);
        let mut link = kept.clone().ok_or_else(|| Error::new(ErrorKind::GrantEnded))?;
        while link.has_ended() {
            let next = link.successor()?;
            if !next.holds(self.attachment) {
                return Err(ErrorKind::GrantEnded.into());
            }
            link = next;
            // The old one is dropped afterwards: a child that is made meanwhile finds one or the other.
            let _old = kept.replace(link.clone());
        }
        Ok(link)
    }

    /// The sync area, as this process has it: opened by the first call.
    pub(crate) fn area(&self) -> Result<&Area> {
        let found = self.area.load(Ordering::Acquire);
        // SAFETY: what is there stays until the end of this object, or until somebody has it exclusively.
        let area = if found.is_null() { self.open_area()? } else { unsafe { &*found } };
        area.check_ours()?;
        Ok(area)
    }

    /// The same if it has been opened by this process and may be written: for who has no time.
    #[inline]
    pub(crate) fn area_at_once(&self) -> Option<&Area> {
        let found = self.area.load(Ordering::Acquire);
        // SAFETY: null, or as in area().
        unsafe { found.as_ref() }.filter(|area| area.is_writable() && area.is_ours())
    }

    /// The one of a lock that is held: it has been opened.
    #[inline]
    pub(crate) fn area_in_use(&self) -> &Area {
        let found = self.area.load(Ordering::Acquire);
        debug_assert!(!found.is_null());
        // SAFETY: as in area(); a guard borrows the segment, so nobody has had this object exclusively since.
        unsafe { &*found }
    }

    /// The same for who writes there.
    pub(crate) fn writable_area(&self) -> Result<&Area> {
        let area = self.area()?;
        if area.is_writable() {
            Ok(area)
        } else {
            Err(Error::nonsense("its sync area cannot be written, and the segment can"))
        }
    }

    /// A share of it.
    pub(crate) fn shared_area(&self) -> Result<Arc<Area>> {
        let area: *const Area = self.area()?;
        // SAFETY: it came from an Arc, of which this object keeps a share.
        unsafe {
            Arc::increment_strong_count(area);
            Ok(Arc::from_raw(area))
        }
    }

    fn open_area(&self) -> Result<&Area> {
        let parameters = object(json!({ "attachment": self.attachment }));
        let message = segments_call("OpenSyncArea", parameters, Wants::One);
        let mut outcome = self.link()?.call(&message, message::sync_area);
        // Asked twice, it is the same.
        if matches!(&outcome, Err(error) if error.how_far() != Lost::No) {
            outcome = self.link()?.call(&message, message::sync_area);
        }
        let memory = outcome?.ok_or_else(|| Error::new(ErrorKind::TooManyFiles))?;
        let new = Arc::into_raw(Arc::new(Area::map(memory.as_fd(), self.attachment)?)) as *mut Area;
        match self.area.compare_exchange(null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: as in area().
            Ok(_) => Ok(unsafe { &*new }),
            Err(theirs) => {
                // SAFETY: `new` came from an Arc, and nobody has seen it; `theirs` as in area().
                unsafe {
                    drop(Arc::from_raw(new));
                    Ok(&*theirs)
                }
            }
        }
    }

    fn drop_area(&mut self) {
        let area = std::mem::replace(self.area.get_mut(), null_mut());
        if !area.is_null() {
            // SAFETY: it came from an Arc, whose share is given back here.
            drop(unsafe { Arc::from_raw(area) });
        }
    }

    /// To ask the daemon about this segment's locks. None while another thread waits for a daemon.
    pub(crate) fn recovery(&self) -> Result<Option<Recovery>> {
        if self.process != getpid() {
            return Err(ErrorKind::Inherited.into());
        }
        let link = match self.link.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Poisoned(link)) => link.into_inner().clone(),
            Ok(link) => link.clone(),
        };
        let link = link.ok_or_else(|| Error::new(ErrorKind::GrantEnded))?;
        Ok(Some(Recovery::new(link, self.attachment)))
    }

    /// The same, once a daemon is there.
    pub(crate) fn own_recovery(&self) -> Result<Recovery> {
        Ok(Recovery::new(self.link()?, self.attachment))
    }

    fn take(&self, info: Info) -> Arc<Info> {
        self.size.store(size_of(&info), Ordering::Release);
        let info = Arc::new(info);
        self.info.set(info.clone());
        info
    }

    /// A call that answers with what the segment is then. One that has not reached a daemon is made again, once.
    pub(crate) fn change(&self, method: &str, parameters: Object) -> Result<Arc<Info>> {
        let message = segments_call(method, parameters, Wants::One);
        let mut outcome = self.link()?.call(&message, message::segment);
        if matches!(&outcome, Err(error) if error.how_far() == Lost::Unsent) {
            outcome = self.link()?.call(&message, message::segment);
        }
        let info = outcome?;
        let known = self.info();
        if info.id != known.id || info.capacity_bytes != known.capacity_bytes {
            self.link()?.give_up();
            return Err(Error::nonsense("it describes another segment"));
        }
        Ok(self.take(info))
    }

    /// Learns of its present size.
    pub(crate) fn remap(&self) -> Result<Arc<Info>> {
        self.change("Describe", target_parameters(&self.by_id()))
    }

    /// Makes the content immutable, by this process that has it open for writing. The kernel counts every mapping made from
    /// a descriptor for writing as one that writes, so ours goes first. When that is in vain it comes back: true if it has.
    pub(crate) fn seal(&mut self) -> Result<(), (Error, bool)> {
        // Also finds out whether the connection has ended.
        let reader = self.remap().and_then(|_| self.exchange_for(Access::Read)).map_err(|error| (error, true))?;
        let sealed = self.change("Seal", target_parameters(&self.by_id())).and_then(|info| {
            if !info.sealed || !is_immutable(reader.as_fd()) {
                return Err(Error::nonsense("it says that the segment is sealed, and the kernel that it is not"));
            }
            Ok(())
        });
        drop(reader);
        sealed.map_err(|error| {
            let back = self.exchange_for(Access::Write).is_ok();
            (error, back)
        })
    }

    /// Takes a grant of this access in place of the one there is, at another address. On failure nothing changes.
    fn exchange_for(&mut self, access: Access) -> Result<OwnedFd> {
        let link = self.link()?;
        let mut parameters = target_parameters(&self.by_id());
        parameters.insert("access".into(), access.as_str().into());
        let mut grant = link.call_for_grant(&segments_call("Open", parameters, Wants::One))?;
        let mapping = mapped(&grant, access);
        let (mapping, memory) = match (mapping, grant.memory.take()) {
            (Ok(mapping), Some(memory)) => (mapping, memory),
            (failed, _) => {
                link.let_go(grant.attachment);
                link.notify(&detach(grant.attachment));
                return Err(failed.err().unwrap_or_else(|| ErrorKind::TooManyFiles.into()));
            }
        };
        link.let_go(self.attachment);
        self.mapping = Some(mapping);
        self.drop_area(); // the other attachment's
        link.notify(&detach(std::mem::replace(&mut self.attachment, grant.attachment)));
        Ok(memory)
    }

    /// Unmaps, and hands out what is left to do: to tell the daemon of this connection. None in a child after fork(2).
    fn unmap(&mut self) -> Option<Link> {
        self.mapping = None;
        self.drop_area();
        // A child's copy of the connection closes its socket and does nothing else.
        let link = self.link.get_mut().unwrap_or_else(PoisonError::into_inner).take()?;
        (self.process == getpid()).then_some(link)
    }

    /// Ends them as dropping them would, but tells the daemon what it is to hear of one connection's in one go.
    pub(crate) fn end(mut all: Vec<Open>) {
        const AT_ONCE: usize = 250;
        let mut told: Vec<(Link, Vec<u32>)> = Vec::new();
        for open in &mut all {
            if let Some(link) = open.unmap() {
                match told.last_mut() {
                    Some((last, attachments)) if last.is(&link) && attachments.len() < AT_ONCE => {
                        attachments.push(open.attachment);
                    }
                    _ => told.push((link, vec![open.attachment])),
                }
            }
        }
        for (link, attachments) in told {
            let calls: Vec<u8> = attachments.iter().flat_map(|attachment| detach(*attachment)).collect();
            if link.notify(&calls) {
                attachments.iter().for_each(|attachment| link.let_go(*attachment));
            } else {
                attachments.iter().for_each(|attachment| end_grant(link.clone(), *attachment));
            }
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(link) = self.unmap() {
            end_grant(link, self.attachment);
        }
    }
}

fn end_grant(mut link: Link, attachment: u32) {
    let message = detach(attachment);
    while !link.notify(&message) {
        let mut next = link.present_successor();
        let late = next.is_none();
        link.let_go(attachment);
        if late {
            // One that another thread has begun to make since may or may not have seen that this is let go.
            next = link.present_successor();
        }
        match next {
            Some(next) if next.holds(attachment) => link = next,
            _ => {
                if late {
                    link.give_back(attachment);
                }
                return;
            }
        }
    }
    link.let_go(attachment);
}

fn mapped(grant: &Grant, access: Access) -> Result<Mapping> {
    match &grant.memory {
        Some(memory) => Mapping::of(memory.as_fd(), &grant.info, access),
        None => Err(ErrorKind::TooManyFiles.into()),
    }
}

// What is mapped fits into an isize, so its size does too.
fn size_of(info: &Info) -> usize {
    usize::try_from(info.size_bytes).unwrap_or(0)
}

fn delete(info: &Info) -> Vec<u8> {
    segments_call("Delete", target_parameters(&Target::Id(info.id)), Wants::Nothing)
}

/// The daemon's own error, for what it was not asked to check.
fn not_sealed(info: &Info) -> Error {
    Error::from_reply("io.shmd.Segments.NotSealed".into(), object(json!({ "id": info.id.0 })))
}
