//! What a segment is open for, as a type.

use crate::info::Access;

mod private {
    pub trait Closed {}
}

/// What a [`Segment`](crate::Segment) is open for: [`ReadOnly`], [`ReadWrite`] or [`Sealed`].
///
/// This trait is closed: no type outside of this crate implements it.
pub trait Grant: private::Closed + Sized + Send + Sync + 'static {
    #[doc(hidden)]
    const ACCESS: Access;
    #[doc(hidden)]
    const SEALED: bool;
}

/// Open for reading. Others may be writing.
#[derive(Debug)]
pub enum ReadOnly {}

/// Open for reading and writing. Others may be reading and writing.
#[derive(Debug)]
pub enum ReadWrite {}

/// Open for reading, and nobody can write any more: a slice of bytes like any other.
#[derive(Debug)]
pub enum Sealed {}

macro_rules! grant {
    ($type:ident, $access:expr, $sealed:expr) => {
        impl private::Closed for $type {}
        impl Grant for $type {
            const ACCESS: Access = $access;
            const SEALED: bool = $sealed;
        }
    };
}
grant!(ReadOnly, Access::Read, false);
grant!(ReadWrite, Access::Write, false);
grant!(Sealed, Access::Read, true);
