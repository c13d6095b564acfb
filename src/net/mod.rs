//! Sockets: listening, the event loop, and what happens to newcomers that cannot be served. No HTTP rule is here.

mod address;
mod event_loop;
mod inherited;
mod listener;
mod orders;
mod refusal;
mod socket_options;
mod stop;
mod unix;

pub use address::Address;
pub use event_loop::EventLoop;
pub(crate) use inherited::{examine, take_over};
pub use listener::{ListenError, Listener, listen};
pub use orders::Order;
pub use stop::Stop;
