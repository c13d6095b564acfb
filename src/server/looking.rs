//! What can be read of a server from outside while it lives, and after: the options it has and its statistics as text. It changes
//! nothing, and the loop does not notice it.

use super::latch::lock;
use super::{Server, StartError};
use crate::config::Config;
use crate::stats::Numbers;
use crate::stats::export::{MAX_EXPORT, prometheus};
use std::sync::atomic::Ordering;

impl Server {
    /// What it runs with, or would if it were started now.
    ///
    /// # Errors
    /// None that its creation or a later change of an option would not have had.
    pub fn config(&self) -> Result<Config, StartError> {
        Ok(lock(&self.options).config()?)
    }

    /// The statistics in the text format of Prometheus, as the status path has them.
    #[must_use]
    pub fn prometheus(&self) -> String {
        let numbers = Numbers::from(&self.snapshot());
        let mut memory = vec![0; MAX_EXPORT];
        let draining = self.drain_wanted.load(Ordering::Acquire);
        // It always fits, as the tests of the export show with the largest numbers.
        let length = prometheus(&numbers, self.uptime().as_secs_f64(), draining, &mut memory).unwrap_or(0);
        memory.truncate(length);
        String::from_utf8(memory).unwrap_or_default()
    }
}
