//! The public interface of the crate, against the real daemon and against sockets that play one.
#[path = "../support/mod.rs"]
mod support;

use shmd::Client;
