//! The public interface of the crate, against the real daemon and against sockets that play one.
#[path = "../support/mod.rs"]
mod support;

mod access;
mod errors;
mod forks;
mod life;
mod locks;
mod locks_over_ends;
mod many;
mod reconnect;
mod replies;
mod restart;
mod rwlocks;
mod snapshots;
mod threads;
mod users;
mod versions;
mod watches;

use shmd::Client;
