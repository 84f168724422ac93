//! Copies that no write section tears.

use std::sync::atomic::{fence, Ordering};
use std::time::Duration;

use crate::area::{holder, peek, Area, OWNER_DIED};
use crate::copy;
use crate::error::{ErrorKind, Result};
use crate::grant::Grant;
use crate::segment::Segment;
use crate::waiting::Wait;

const SHORTEST_NAP: Duration = Duration::from_micros(10);
const LONGEST_NAP: Duration = Duration::from_millis(1);

impl<G: Grant> Segment<G> {
    /// Copies bytes out of the segment as they were at one moment, with regard to write sections
    /// ([`write_section`](Segment::write_section)): all of what one wrote, or nothing. Takes no lock and holds nobody up; while
    /// somebody writes, it copies again. timeout: for how long; `None` is without an end, and zero tries once.
    ///
    /// # Errors
    /// [`TimedOut`](ErrorKind::TimedOut); [`OwnerDied`](ErrorKind::OwnerDied) when a writer died in its section: the content is
    /// half written until somebody has repaired it and called it consistent. [`OutOfRange`](ErrorKind::OutOfRange) as for
    /// [`read_at`](Self::read_at). `to` has anything then. Those of the [locks](Segment::lock), too.
    pub fn snapshot(&self, offset: usize, to: &mut [u8], timeout: impl Into<Option<Duration>>) -> Result<()> {
        self.check(offset, to.len())?;
        let mut wait = Wait::new(&self.open, timeout.into().into());
        // SAFETY: within what is mapped, which lasts as long as the borrow of self.
        let copy = || unsafe { copy::load(self.as_ptr().add(offset), to) };
        let copied = self.open.area().and_then(|area| area.consistently(&mut wait, copy));
        match copied {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.in_context(ErrorKind::TimedOut.into(), "read a snapshot of")),
            Err(error) => Err(self.in_context(error, "read a snapshot of")),
        }
    }
}

impl Area {
    /// Runs it until no section was under way meanwhile. False when the time is over.
    fn consistently(&self, wait: &mut Wait<'_>, mut look: impl FnMut()) -> Result<bool> {
        loop {
            let sequence = match self.begin_read(wait)? {
                Some(sequence) => sequence,
                None => return Ok(false),
            };
            look();
            // The loads of the copy come before the one of the sequence.
            fence(Ordering::Acquire);
            if peek(self.sequence()) == sequence {
                return Ok(true);
            }
            if wait.is_over() {
                return Ok(false);
            }
        }
    }

    /// An even sequence. None when the time is over.
    fn begin_read(&self, wait: &mut Wait<'_>) -> Result<Option<u64>> {
        let mut nap = SHORTEST_NAP;
        loop {
            let sequence = peek(self.sequence());
            if sequence % 2 == 0 {
                return Ok(Some(sequence));
            }
            let mutex = peek(self.mutex());
            let abandoned = holder(mutex) == 0 && mutex & OWNER_DIED != 0;
            // Somebody may have repaired it meanwhile.
            if abandoned && peek(self.sequence()) == sequence {
                return Err(ErrorKind::OwnerDied.into());
            }
            if wait.is_now() {
                return Ok(None);
            }
            if wait.spin() {
                continue;
            }
            if !wait.nap(nap)? {
                return Ok(None);
            }
            nap = LONGEST_NAP.min(nap * 2);
        }
    }
}
