//! What names a segment: a key, or an id.

use std::fmt;

/// A key: 1 to 255 bytes of `A-Z a-z 0-9 . _ : / @ + = -`, the first one a letter or a digit.
///
/// Made of text, or of an integer, which means the System V key of that number. The grammar is checked by the daemon,
/// whose answer to a key that breaks it is [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey).
///
/// ```
/// use shmd::Key;
/// assert_eq!(Key::from("app/table").as_str(), "app/table");
/// assert_eq!(Key::from(0xff3).as_str(), "sysv:0x00000ff3");
/// assert_eq!(Key::from(-1), Key::from(0xffff_ffff_u32));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Key(text.to_owned())
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Key(text)
    }
}

impl From<&String> for Key {
    fn from(text: &String) -> Self {
        Key(text.clone())
    }
}

impl From<&Key> for Key {
    fn from(key: &Key) -> Self {
        key.clone()
    }
}

/// The System V key of this number.
impl From<i32> for Key {
    fn from(number: i32) -> Self {
        Key(format!("sysv:0x{number:08x}"))
    }
}

/// The System V key with these 32 bits.
impl From<u32> for Key {
    fn from(number: u32) -> Self {
        Key(format!("sysv:0x{number:08x}"))
    }
}

/// Identifies one segment for ever. Never reused: a segment that was deleted and made again under its key has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub i64);

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which segment a call is about. Everything that makes a [`Key`] makes one, and so does a [`SegmentId`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The live segment that has this key.
    Key(Key),
    /// The segment of this id, in whatever state.
    Id(SegmentId),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Key(key) => write!(f, "segment '{key}'"),
            Target::Id(id) => write!(f, "segment {id}"),
        }
    }
}

impl From<SegmentId> for Target {
    fn from(id: SegmentId) -> Self {
        Target::Id(id)
    }
}

impl From<&Target> for Target {
    fn from(target: &Target) -> Self {
        target.clone()
    }
}

macro_rules! target_from {
    ($($t:ty),*) => {$(
        impl From<$t> for Target {
            fn from(key: $t) -> Self {
                Target::Key(Key::from(key))
            }
        }
    )*};
}
target_from!(&str, String, &String, &Key, i32, u32);

impl From<Key> for Target {
    fn from(key: Key) -> Self {
        Target::Key(key)
    }
}
