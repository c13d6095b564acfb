//! What the server tells of itself over HTTP: its statistics and its health.

use super::Connection;
use super::answering::Failure;
use super::content::Reply;
use super::core::Core;
use super::replying::Varies;
use crate::http::Status;
use crate::http::request_line::Method;
use crate::stats::export;
use crate::trace::Event;
use std::time::Duration;

impl<F> Connection<F> {
    /// The statistics, as JSON or as Prometheus reads them. There is room for [`export::MAX_EXPORT`] bytes and a head.
    pub(super) fn reply_with_statistics(&mut self, core: &mut Core) {
        let persistent = self.may_persist(core);
        let is_prometheus = self.query_has(b"format=prometheus");
        let uptime = Duration::from_nanos(core.now.time.0).as_secs_f64();
        // The content is written first, behind the room for its head, which tells its length.
        let start = self.output_end + core.longest_head;
        let memory = self.lease.as_mut().and_then(|lease| lease.send.get_mut(start..)).unwrap_or_default();
        let (written, media_type) = if is_prometheus {
            (export::prometheus(&core.counters, uptime, core.draining, memory), export::PROMETHEUS_TYPE)
        } else {
            (export::json(&core.counters, uptime, core.draining, memory), "application/json")
        };
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
