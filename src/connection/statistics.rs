//! What the server tells of itself over HTTP: its statistics and its health.
//!
//! The statistics tell of other connections too. A connection sees no other, so the table writes them, between two of its steps.

use super::answering::Failure;
use super::content::Reply;
use super::core::Core;
use super::replying::Varies;
use super::{Connection, Table, recent};
use crate::http::Status;
use crate::http::request_line::Method;
use crate::stats::export::{self, MAX_EXPORT, Pools};
use crate::trace::Event;
use std::time::Duration;

impl<F> Table<F> {
    /// Answers with the statistics, as JSON or as Prometheus reads them. There is room for [`MAX_EXPORT`] bytes and a head.
    #[cold]
    pub(super) fn reply_with_statistics(&mut self, slot: u32) {
        // The connections are read meanwhile, this one too, so what is written to is taken from it. Nothing is no heap.
        let lease = self.connections[slot as usize].lease.as_mut();
        let mut send = lease.map(|lease| std::mem::take(&mut lease.send)).unwrap_or_default();
        let (core, asking) = (&self.core, &self.connections[slot as usize]);
        let is_prometheus = asking.query_has(b"format=prometheus");
        let uptime = Duration::from_nanos(core.now.time.0).as_secs_f64();
        // The content is written first, behind the room for its head, which tells its length.
        let start = asking.output_end + core.longest_head;
        let end = send.len().min(start + MAX_EXPORT);
        let memory = send.get_mut(start..end).unwrap_or_default();
        let (written, media_type) = if is_prometheus {
            (export::prometheus(&core.counters, uptime, core.draining, memory), export::PROMETHEUS_TYPE)
        } else {
            let (total, size) = (self.connections.len(), core.limits.pool_size);
            let pools = Pools { total, in_use: core.leases.held(), size };
            let told = core.recent.iter().flat_map(|all| recent::told(all, &self.connections, slot, core.now.time));
            (export::json(&core.counters, uptime, core.draining, pools, told, memory), "application/json")
        };
        let connection = &mut self.connections[slot as usize];
        if let Some(lease) = &mut connection.lease {
            lease.send = send;
        }
        connection.begin_statistics(&mut self.core, written, media_type);
    }
}

impl<F> Connection<F> {
    /// The statistics, so many bytes, lie behind the room for their head.
    fn begin_statistics(&mut self, core: &mut Core, written: Option<usize>, media_type: &str) {
        let persistent = self.may_persist(core);
        let start = self.output_end + core.longest_head;
        let Some(length) = written else {
            // The options make sure of a send buffer that is large enough.
            return self.fail(core, Failure::of(Status::InternalServerError));
        };
        self.write_head(core, Status::Ok, persistent, Varies::No, |head, _| {
            head.field("Content-Type", media_type.as_bytes());
            head.number_field("Content-Length", length as u64);
            head.field("Cache-Control", b"no-store");
        });
        let sent = if self.request.line.method == Method::Head { 0 } else { length };
        if let Some(lease) = &mut self.lease {
            lease.send.copy_within(start..start + sent, self.output_end);
        }
        self.output_end += sent;
        self.begin_reply(core, Reply::of_buffered(Status::Ok, persistent, sent as u64));
        self.record(core, Event::Answering(Status::Ok));
    }

    /// Whether a balancer may send more requests here.
    pub(super) fn reply_with_health(&mut self, core: &mut Core) {
        let (status, content) = if core.draining || core.stopping {
            (Status::ServiceUnavailable, "draining\n")
        } else {
            (Status::Ok, "ok\n")
        };
        self.reply_short(core, status, content, true);
    }
}
