//! Whole connections: the input is a schedule of what peers, files and the clock do.
//!
//! Bytes below 0xF0 are what the current peer sends, so that plain requests are schedules too. Those from 0xF0 on are orders
//! ([`Order`]), some with a byte behind them. A first byte from 0x80 on chooses the options ([`setup`]).

use super::driver::Driver;
use crate::config::{Config, Cors, Options};
use std::time::Duration;

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The current peer sends this byte.
    Text(u8),
    /// What it sent arrives, and the loop has its turn.
    Turn,
    /// What it sent arrives apart from what follows.
    Cut,
    /// Time passes, in milliseconds.
    Time(u64),
    /// The kernel takes so many bytes of the current peer's response at a time; `None` for any number.
    Window(Option<usize>),
    HalfClose,
    Reset,
    /// Another peer connects, and is the current one.
    Connect,
    /// That peer is the current one.
    Switch(u8),
    /// What becomes of the next name that is looked up.
    Fault(u8),
    /// What answers `/r` from now on.
    Register(u8),
    /// So many steps of answering are a connection's turn.
    Budget(u8),
    /// The current peer's socket is said to be readable.
    Spurious,
    /// The next entry of a directory takes longer.
    ListingWaits,
    Abandon,
    Drain,
    Stop,
}

/// The orders of an input.
struct Orders<'a>(&'a [u8]);

impl Iterator for Orders<'_> {
    type Item = Order;

    fn next(&mut self) -> Option<Order> {
        let mut take = || {
            let (&first, rest) = self.0.split_first()?;
            self.0 = rest;
            Some(first)
        };
        let first = take()?;
        let mut argument = || take().unwrap_or(0);
        Some(match first {
            0xf0 => Order::Turn,
            0xf1 => Order::Cut,
            0xf2 => match u64::from(argument()) {
                milliseconds @ 0..128 => Order::Time(milliseconds),
                more => Order::Time((more - 127) * 500),
            },
            0xf3 => match argument() {
                255 => Order::Window(None),
                count => Order::Window(Some(count.into())),
            },
            0xf4 => Order::HalfClose,
            0xf5 => Order::Reset,
            0xf6 => Order::Connect,
            0xf7 => Order::Switch(argument()),
            0xf8 => match argument() {
                fault @ 0..128 => Order::Fault(fault),
                kind => Order::Register(kind & 0x7f),
            },
            0xf9 => Order::Budget(argument()),
            0xfa => Order::Spurious,
            0xfb => Order::ListingWaits,
            0xfc => Order::Abandon,
            0xfd => Order::Drain,
            0xfe => Order::Stop,
            0xff => Order::Text(argument()),
            text => Order::Text(text),
        })
    }
}

/// The options that the seven lower bits of a byte stand for.
fn setup(bits: u8) -> Config {
    let mut config = Options::new("www", "127.0.0.1").config().expect("the defaults agree with each other");
    let (limits, site) = (&mut config.limits, &mut config.site);
    let is = |bit: u8| bits & 1 << bit != 0;
    limits.max_connections = 3;
    limits.content_timeout = Duration::from_secs(10);
    limits.send_timeout = Duration::from_secs(5);
    if is(0) {
        limits.max_connections = 2;
        limits.buffer_size = 2048;
        limits.pool_size = 320;
        limits.max_request_line = 200;
        limits.max_field_lines = 10;
        limits.max_content = 40;
    }
    site.listing = is(1) && !is(0);
    site.precompressed = is(2);
    site.hidden = is(2);
    site.error_pages = is(3);
    site.spa = is(3);
    if is(4) {
        site.cors = Cors::Origins([b"null".as_slice().into()].into());
        site.status_name = (!is(0)).then(|| b"status".as_slice().into());
    }
    if is(5) {
        limits.max_requests_per_connection = Some(2);
        site.cache_control = b"no-cache".as_slice().into();
    }
    if is(6) {
        limits.keep_alive = false;
        site.fields = b"X-Frame-Options: DENY\r\n".as_slice().into();
    }
    config
}

/// Checks a schedule.
pub fn connection(bytes: &[u8]) {
    let (bits, schedule) = match bytes.split_first() {
        Some((first, rest)) if *first >= 0x80 => (first & 0x7f, rest),
        _ => (0, bytes),
    };
    let mut driver = Driver::new(setup(bits));
    for order in Orders(schedule) {
        driver.carry_out(order);
    }
    driver.finish();
}
