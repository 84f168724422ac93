//! A position within a segment.

use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::grant::{Grant, ReadWrite};
use crate::segment::Segment;

/// Reads, writes and seeks within a segment, of its present size. Made by [`Segment::cursor`]; borrows the segment. Copies as
/// [`Segment::read_at`] and [`Segment::write_at`] do.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let client = shmd::Client::connect()?;
/// use std::io::{Read, Seek, SeekFrom, Write};
/// let notes = client.create("doc/notes", 64)?;
/// write!(notes.cursor(), "{} lines", 12)?;
/// let mut text = [0; 8];
/// notes.cursor().read_exact(&mut text)?;
/// assert_eq!(&text, b"12 lines");
/// assert_eq!(notes.cursor().seek(SeekFrom::End(0))?, 64);
/// # client.delete("doc/notes")?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Cursor<'a, G: Grant> {
    segment: &'a Segment<G>,
    position: u64,
}

impl<'a, G: Grant> Cursor<'a, G> {
    pub(crate) fn new(segment: &'a Segment<G>) -> Self {
        Cursor { segment, position: 0 }
    }

    /// Bytes from the beginning of the segment.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Goes there, which may be beyond the end.
    pub fn set_position(&mut self, position: u64) {
        self.position = position;
    }

    /// Where an access of so many bytes begins, and how many there are.
    fn next(&self, wanted: usize) -> (usize, usize) {
        let size = self.segment.len();
        let begin = usize::try_from(self.position).unwrap_or(usize::MAX).min(size);
        (begin, wanted.min(size - begin))
    }
}

impl<G: Grant> Read for Cursor<'_, G> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let (begin, count) = self.next(to.len());
        self.segment.read_at(begin, &mut to[..count])?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Write for Cursor<'_, ReadWrite> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let (begin, count) = self.next(from.len());
        self.segment.write_at(begin, &from[..count])?;
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<G: Grant> Seek for Cursor<'_, G> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, offset) = match to {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::End(offset) => (self.segment.len() as u64, offset),
            SeekFrom::Current(offset) => (self.position, offset),
        };
        let magnitude = offset.unsigned_abs();
        let position = if offset < 0 { base.checked_sub(magnitude) } else { base.checked_add(magnitude) };
        self.position = position
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "cannot seek to before the first byte"))?;
        Ok(self.position)
    }
}
