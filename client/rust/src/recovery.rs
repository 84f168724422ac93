//! Asks the daemon to look after the locks of a segment, for who has waited long. Never waits for the daemon itself: what is
//! waited for may come from another process at any moment, and the time to wait may be over.

use serde_json::json;

use crate::connection::Link;
use crate::error::{ErrorKind, Result};
use crate::message::{object, segments_call, Wants};

/// One attachment, and the connection that has it.
pub(crate) struct Recovery {
    link: Link,
    attachment: u32,
    message: Vec<u8>,
    /// To a daemon that has not answered yet, after the end of the connection.
    probe: Option<Link>,
    /// How often no daemon was there.
    missed: u32,
}

/// A daemon that is not there may be about to come back.
const MOST_MISSED: u32 = 4;

impl Recovery {
    pub(crate) fn new(link: Link, attachment: u32) -> Self {
        let message = segments_call("RecoverLocks", object(json!({ "attachment": attachment })), Wants::Nothing);
        Recovery { link, attachment, message, probe: None, missed: 0 }
    }

    /// Sends the call, on a new connection if the old one has ended. Should that need more time, the next time does it.
    ///
    /// # Errors
    /// `GrantEnded`, `NoDaemon` and whatever else keeps this process from the daemon.
    pub(crate) fn ask(&mut self) -> Result<()> {
        loop {
            if !self.link.holds(self.attachment) {
                return Err(ErrorKind::GrantEnded.into());
            }
            if self.link.notify_at_once(&self.message) {
                self.missed = 0;
                return Ok(());
            }
            match self.link.successor_at_once(&mut self.probe) {
                Ok(Some(next)) => self.link = next,
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.missed += 1;
                    let may_come_back = matches!(error.kind(), ErrorKind::NoDaemon(_)) && self.missed < MOST_MISSED;
                    return if may_come_back { Ok(()) } else { Err(error) };
                }
            }
        }
    }
}
