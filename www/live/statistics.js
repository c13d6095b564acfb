// From one answer of the status path to the next: what changed between them, and whether it is the same server still.
// Nothing here touches the page.

/** What never gets less while a server runs. */
const COUNTERS = [
  "total_requests", "total_connections", "bytes_received", "bytes_sent", "pool_resets", "pool_usage_total", "pool_overflows",
  "connections_refused", "connections_reclaimed", "files_truncated", "file_cache_hits", "file_cache_misses",
  "log_records_dropped", "malloc_calls", "free_calls", "invariant_checks_passed", "invariant_violations", "peak_connections",
  "peak_pool_usage",
];

/** How much slower than our own clock a server's may be before it counts as a new server: a part, and seconds. */
const DRIFT = 0.02;
const SLACK = 0.5;

/** The connection that asked, as the answer tells of it. */
export const asking = (document) => document.connections.find((connection) => connection.asking);

/**
 * Whether the later answer comes from another run of the server, or its statistics began anew: something went back, or the server
 * has been up for less time than has passed. `at` is when an answer was asked for and when it was there, in milliseconds.
 */
export function isRestart(earlier, later) {
  const [before, after] = [earlier.document, later.document];
  if (after.version !== before.version || after.uptime < before.uptime) return true;
  if (COUNTERS.some((name) => after[name] < before[name])) return true;
  const passed = (later.at[0] - earlier.at[1]) / 1000;
  return after.uptime - before.uptime < passed * (1 - DRIFT) - SLACK;
}

/** What a poll costs beside its content, until it has been seen: the head of the request and of the answer, in bytes. */
const OWN = { received: 450, head: 150 };

/**
 * What the page itself added between two answers: one request, which is the earlier one, and its bytes. They are exact where the
 * connection that asked had nothing else to do meanwhile.
 */
function ownBytes(earlier, later) {
  const [before, after] = [asking(earlier.document), asking(later.document)];
  if (before && after && before.number === after.number && after.requests - before.requests === 1) {
    const [received, sent] = [after.bytes_received - before.bytes_received, after.bytes_sent - before.bytes_sent];
    Object.assign(OWN, { received, head: sent - earlier.contentBytes });
    return { received, sent };
  }
  return { received: OWN.received, sent: OWN.head + earlier.contentBytes };
}

/** How often each thing happened a second between two answers of one run; with our own polls or without them. */
export function rates(earlier, later, countsOwn) {
  const [before, after] = [earlier.document, later.document];
  const seconds = after.uptime - before.uptime;
  if (seconds <= 0) return null;
  const own = countsOwn ? { requests: 0, received: 0, sent: 0 } : { requests: 1, ...ownBytes(earlier, later) };
  const rate = (name, mine) => Math.max(0, after[name] - before[name] - mine) / seconds;
  return {
    requests: rate("total_requests", own.requests),
    received: rate("bytes_received", own.received),
    sent: rate("bytes_sent", own.sent),
  };
}

/** The gauges; without our own connection, which is being answered while they are read, or with it. */
export function gauges(document, countsOwn) {
  const own = !countsOwn && asking(document) ? 1 : 0;
  const states = { ...document.states };
  states.PROCESSING = Math.max(0, states.PROCESSING - own);
  return {
    states,
    open: Math.max(0, document.active_connections - own),
    poolsInUse: Math.max(0, document.pools.in_use - own),
  };
}

/** Buckets without those that were there before. */
export function bucketsSince(earlier, later) {
  const before = new Map((earlier ?? []).map(([from, , answers]) => [from, answers]));
  return later.map(([from, to, answers]) => [from, to, answers - (before.get(from) ?? 0)]).filter(([, , answers]) => answers > 0);
}

/**
 * The latency within which so much of all answers came, in seconds; nothing without answers. Those of a bucket count as spread over
 * it evenly, as in Python's latency_percentile.
 */
export function percentile(buckets, part) {
  const all = buckets.reduce((sum, [, , answers]) => sum + answers, 0);
  if (all === 0) return null;
  const wanted = all * part;
  let seen = 0;
  for (const [from, to, answers] of buckets) {
    if (seen + answers >= wanted) return from + ((to - from) * Math.max(wanted - seen, 0)) / answers;
    seen += answers;
  }
  return buckets.at(-1)[1];
}
