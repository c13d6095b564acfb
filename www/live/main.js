// The page: takes what the worker tells, keeps the last two minutes of it, and draws.

import { Attack } from "./attack.js";
import { Histogram, Lines, SPAN, Stack } from "./charts.js";
import { forgetConnections, showConnections } from "./connections.js";
import { bytes, count, lasting, latency, rate } from "./format.js";
import { bucketsSince, gauges, isRestart, percentile, rates } from "./statistics.js";

const STATES = ["READING_REQUEST_LINE", "READING_HEADERS", "READING_CONTENT", "PROCESSING", "SENDING_RESPONSE", "CLOSING"];
/** How far back the recent latencies reach, in milliseconds. */
const RECENT = 60_000;
const TOTALS = [
  ["total_requests", "answers", count], ["total_connections", "connections", count], ["bytes_received", "received", count],
  ["bytes_sent", "sent", count], ["connections_refused", "refused connections", count],
  ["connections_reclaimed", "reclaimed connections", count], ["file_cache_hits", "answers from memory", count],
  ["file_cache_misses", "files opened", count], ["invariant_checks_passed", "invariant checks", count],
  ["log_records_dropped", "log records dropped", count],
];

const by = (id) => document.getElementById(id);
const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module", name: "live" });
const attack = new Attack(worker);
const charts = {
  states: new Stack(by("states-chart"), STATES.map((name) => name.toLowerCase())),
  requests: new Lines(by("requests-chart"), ["requests"]),
  bytes: new Lines(by("bytes-chart"), ["received", "sent"]),
  latency: new Histogram(by("latency-chart")),
};

/** The last two minutes: times, gauges and rates, and gaps where the server was away. */
let samples = [];
/** A sample as it is to be shown: with this page's own polls or without them. */
const view = (sample) => sample.views[Number(countsOwn)];
/** The answers of the last minute, the oldest first, for what changed since. */
let answers = [];
let countsOwn = false;

function set(id, text) {
  const element = by(id);
  if (element.textContent !== text) element.textContent = text;
}

function phase(name, text) {
  by("main").dataset.phase = name;
  by("missing").hidden = name !== "missing";
  by("away").hidden = name !== "away";
  set("phase", text);
}

function swatch(className) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  svg.setAttribute("class", "swatch");
  svg.setAttribute("aria-hidden", "true");
  for (const [name, value] of [["class", className], ["width", "100%"], ["height", "100%"]]) rect.setAttribute(name, value);
  svg.append(rect);
  return svg;
}

for (const name of STATES) {
  const item = document.createElement("li");
  const figure = Object.assign(document.createElement("span"), { id: `state-${name}`, className: "figure", textContent: "–" });
  item.append(swatch(name.toLowerCase()), Object.assign(document.createElement("span"), { textContent: name }), figure);
  by("states").append(item);
}

for (const [name, title] of TOTALS) {
  const pair = document.createElement("div");
  const term = Object.assign(document.createElement("dt"), { textContent: title });
  pair.append(term, Object.assign(document.createElement("dd"), { id: `total-${name}`, textContent: "–" }));
  by("totals").append(pair);
}

/** A list of names with a bar each, the longest for the most. */
function showBars(list, entries, none) {
  const most = Math.max(1, ...entries.map(([, times]) => times));
  list.replaceChildren(...entries.map(([name, times]) => {
    const item = document.createElement("li");
    const bar = Object.assign(document.createElement("span"), { className: "length" });
    bar.style.inlineSize = `${(100 * times) / most}%`;
    item.dataset.name = name;
    item.append(
      Object.assign(document.createElement("span"), { className: "name", textContent: name.replaceAll("_", " ") }),
      bar, Object.assign(document.createElement("span"), { className: "times", textContent: count(times) }),
    );
    item.classList.toggle("refused", Number(name) >= 400);
    return item;
  }));
  if (entries.length === 0) list.append(Object.assign(document.createElement("li"), { className: "none", textContent: none }));
}

function showLatencies(row, buckets) {
  const cells = by(row).querySelectorAll("td");
  [0.5, 0.9, 0.99].forEach((part, index) => { cells[index].textContent = latency(percentile(buckets, part)); });
  cells[3].textContent = count(buckets.reduce((sum, [, , times]) => sum + times, 0));
}

const part = (value, whole) => `${whole > 0 ? Math.min(100, (100 * value) / whole) : 0}%`;

/** Everything that the last answer tells. */
function show() {
  const last = answers.at(-1);
  if (!last) return;
  const { document: told } = last;
  const { gauges: now, rates } = view(samples.at(-1));
  set("request-rate", rates ? rate(rates.requests) : "–");
  set("sent-rate", rates ? bytes(rates.sent) : "–");
  set("sent-now", rates ? `${bytes(rates.sent)}/s` : "–");
  set("received-now", rates ? `${bytes(rates.received)}/s` : "–");
  set("connections-open", count(now.open));
  set("connections-most", count(told.pools.total));
  set("pools-in-use", count(now.poolsInUse));
  set("pools-total", count(told.pools.total));
  set("heap-calls", count(told.malloc_calls + told.free_calls));
  set("violations", count(told.invariant_violations));
  by("heap-calls").classList.toggle("bad", told.malloc_calls + told.free_calls > 0);
  by("violations").classList.toggle("bad", told.invariant_violations > 0);
  for (const name of STATES) set(`state-${name}`, count(now.states[name]));

  const average = told.pool_resets > 0 ? Math.floor(told.pool_usage_total / told.pool_resets) : 0;
  set("pools-now", `${count(now.poolsInUse)} of ${count(told.pools.total)}`);
  set("pool-peak", `${count(told.peak_pool_usage)} of ${count(told.pools.size)} bytes`);
  set("pool-average", `${count(average)} bytes`);
  by("pools-bar").style.inlineSize = part(now.poolsInUse, told.pools.total);
  by("peak-bar").style.inlineSize = part(told.peak_pool_usage, told.pools.size);
  by("average-bar").style.inlineSize = part(average, told.pools.size);
  set("pool-overflows", count(told.pool_overflows));
  set("peak-connections", count(told.peak_connections));

  const recent = bucketsSince(answers[0] === last ? null : answers[0].document.latency, told.latency);
  showLatencies("latency-recent", recent);
  showLatencies("latency-all", told.latency);
  set("median", latency(percentile(recent, 0.5)));
  set("most", latency(percentile(recent, 0.99)));
  charts.latency.draw(recent);

  showBars(by("responses"), Object.entries(told.responses), "no answers yet");
  showBars(by("rejects"), Object.entries(told.rejects).sort(([, one], [, other]) => other - one).slice(0, 8), "nothing yet");
  for (const [name, , format] of TOTALS) set(`total-${name}`, format(told[name]));
  showConnections(told.connections, by("show-own").checked);
  drawTimes(last.at[1]);
}

function drawTimes(now) {
  charts.states.draw(samples, now, (one) => STATES.map((name) => view(one).gauges.states[name]), count);
  const withRates = samples.map((one) => (one.gap || !view(one).rates ? { time: one.time, gap: true } : one));
  charts.requests.draw(withRates, now, (one) => [view(one).rates.requests], count);
  charts.bytes.draw(withRates, now, (one) => [view(one).rates.received, view(one).rates.sent], bytes);
}

/** What is kept of an answer. Rates need the one before it. */
const sampleOf = (answer, before) => ({
  time: answer.at[1],
  views: [false, true].map((own) => ({
    gauges: gauges(answer.document, own),
    rates: before ? rates(before, answer, own) : null,
  })),
});

function take(answer) {
  const before = answers.at(-1);
  const restarted = before && isRestart(before, answer);
  if (restarted) {
    answers = [];
    forgetConnections();
  }
  const isNew = restarted || !before;
  if (isNew || by("main").dataset.phase !== "live") samples.push({ gap: true, time: answer.at[1] });
  samples.push(sampleOf(answer, isNew ? null : before));
  answers.push(answer);
  // The oldest that is kept is the last one that is too old: what changed since is what the time spans.
  samples = samples.filter((sample) => sample.time >= answer.at[1] - SPAN);
  while (answers.length > 2 && answers[1].at[1] < answer.at[1] - RECENT) answers.shift();
  const { version, uptime, draining } = answer.document;
  const source = `${location.origin}${answer.path}`;
  if (by("source").href !== source) {
    by("source").href = source;
    by("source").firstElementChild.textContent = answer.path;
  }
  by("up").hidden = false;
  by("uptime").textContent = lasting(uptime * 1000);
  phase("live", `${draining ? "Draining" : "Live"}: pooled_httpd ${version}${restarts(restarted)}`);
  show();
}

let restartCount = 0;

function restarts(again) {
  if (again) restartCount += 1;
  return restartCount === 0 ? "" : `, begun anew ${restartCount === 1 ? "once" : `${restartCount} times`}`;
}

const MESSAGES = {
  sample: take,
  away({ reason, wait }) {
    phase("away", "The server is away");
    set("away-reason", `${reason} The next attempt is in ${lasting(wait)}.`);
  },
  missing({ tried }) {
    phase("missing", "No statistics");
    set("tried", tried.join(" and "));
  },
  progress: (message) => attack.progress(message),
  attacked: (message) => attack.end(message),
};

worker.addEventListener("message", ({ data }) => MESSAGES[data.type](data));

// What is asked for, and how often.

/** A path of this origin; what a browser would take for another host or a relative path is none. */
const isPath = (text) => text.startsWith("/") && new URL(location.origin + text).origin === location.origin && !text.includes("#");

function watch(paths) {
  worker.postMessage({ type: "watch", paths, root: new URL("../", document.baseURI).pathname });
}

by("choose").addEventListener("submit", (event) => {
  event.preventDefault();
  const path = by("path").value.trim();
  by("path-fault").textContent = isPath(path) ? "" : "A path begins with a slash, such as /status.";
  if (!isPath(path)) return;
  const here = new URL(location.href);
  here.searchParams.set("status", path);
  history.replaceState(null, "", here);
  watch([path]);
});

by("again").addEventListener("click", () => worker.postMessage({ type: "resume" }));

let isPaused = false;
by("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  by("pause").setAttribute("aria-pressed", String(isPaused));
  worker.postMessage({ type: isPaused ? "pause" : "resume" });
});

by("interval").addEventListener("change", () => worker.postMessage({ type: "interval", interval: Number(by("interval").value) }));

by("count-own").addEventListener("change", () => {
  countsOwn = by("count-own").checked;
  show();
});

by("show-own").addEventListener("change", show);

// Nobody looks: nobody asks. An attack that runs goes on.
document.addEventListener("visibilitychange", () => {
  if (!isPaused) worker.postMessage({ type: document.hidden ? "pause" : "resume" });
});

const wanted = new URLSearchParams(location.search).get("status");
if (wanted !== null) by("path").value = wanted;
watch([wanted !== null && isPath(wanted) ? wanted : "/status"]);
