//! Sockets: listening, the event loop, and what happens to newcomers that cannot be served. No HTTP rule is here.

mod event_loop;
mod listener;
mod refusal;

pub(crate) use event_loop::close_listener;
pub use event_loop::{EventLoop, Stop};
pub use listener::listen;
