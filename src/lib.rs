//! `pooled_httpd`: an HTTP/1.1 static-file server that allocates nothing while it serves, and is made to be attacked.
//!
//! Bytes go one way: accept, receive, parse, resolve, respond, send, reset. Dependencies point one way too: `python` and `cli` →
//! `server` → `net` → `connection` → `http`, with `file` beside `net`. [`http`] is pure functions over bytes; [`connection`] is a
//! state machine without I/O; only [`net`] touches sockets and only [`file`] touches files.

pub mod alloc;
pub mod canned;
pub mod capture;
pub mod cli;
pub mod config;
pub mod connection;
pub mod file;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod http;
pub mod net;
#[cfg(feature = "python")]
mod python;
pub mod server;
#[cfg(test)]
mod sim;
pub mod stats;
mod sync;
pub mod trace;
