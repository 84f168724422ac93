//! The public interface of the crate, against the real daemon and against sockets that play one.
#[path = "../support/mod.rs"]
mod support;

mod access;
mod errors;
mod forks;
mod life;
mod many;
mod reconnect;
mod replies;
mod restart;
mod threads;
mod users;
mod watches;

use shmd::Client;
