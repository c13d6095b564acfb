//! What fuzzing checks: one function for each target, which takes any bytes and panics where a rule is broken.
//!
//! The rules are read anew here, by simpler means than the server's. The targets in `fuzz/fuzz_targets` only call these functions,
//! and so do the tests, with every input that fuzzing has kept. It must never be part of an ordinary build.

// A panic is how a check says no.
#![allow(clippy::panic)]

mod chunked;
mod connection;
mod differential;
mod driver;
mod fields;
mod files;
mod head;
mod peer;
mod reader;
#[cfg(test)]
mod replay;
mod statistics;
mod target;

pub use chunked::chunked;
pub use connection::connection;
pub use differential::against_httparse;
pub use fields::field_values;
pub use head::request_head;
pub use target::request_target;

/// A check of any bytes.
pub type Check = fn(&[u8]);

/// Every check by the name of its target.
pub const CHECKS: &[(&str, Check)] = &[
    ("chunked", chunked),
    ("connection", connection),
    ("field_values", field_values),
    ("httparse", against_httparse),
    ("request_head", request_head),
    ("request_target", request_target),
];

/// The places to cut `length` bytes at: every one where there are few, else those near both ends and some between.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    /// So many bytes are cut at every place.
    const FEW: usize = 160;
    let step = if length <= FEW { 1 } else { length / 40 };
    (0..=length).filter(move |cut| cut % step == 0 || *cut < 8 || *cut + 8 > length)
}
