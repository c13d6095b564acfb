// Asks for the statistics, again and again, and sends the hostile requests. It is a worker because a browser writes every failed
// request and every 4xx of a page into the page's console, where they would hide what is really wrong.

import { attack } from "./attacks.js";

/** How long an answer may take, and the waits between attempts while there is none, in milliseconds. */
const PATIENCE = 5000;
const WAITS = [500, 1000, 2000, 4000, 8000];

let paths = [];
/** The path that answered, and where to look again once it does not. */
let path = null;
let root = "";
let interval = 1000;
let isPaused = false;
let failures = 0;
/** Changes with what is to be watched, so that an answer about something else is known as such. */
let watch = 0;
let timer = 0;
let isAsking = false;
let attacker = null;

/** An answer of the status path, or why there is none. */
async function ask(where) {
  const began = performance.now();
  let response;
  try {
    response = await fetch(location.origin + where, {
      cache: "no-store", credentials: "same-origin", redirect: "error", signal: AbortSignal.timeout(PATIENCE),
    });
    const content = await response.text();
    const at = [began, performance.now()];
    if (response.status === 503) return { away: "It has no room for another connection (503)." };
    const document = response.ok ? JSON.parse(content) : null;
    if (document?.pools && Array.isArray(document.connections) && "invariant_violations" in document) {
      return { sample: { document, at, contentBytes: new TextEncoder().encode(content).length } };
    }
  } catch (error) {
    if (error.name === "TimeoutError") return { away: `It did not answer within ${PATIENCE / 1000} seconds.` };
    // A redirect is an error too, and so no server that is away.
    if (!response) return { away: "Nothing answers at its address." };
  }
  return {};
}

/** Looks at the path that answered last, or at each that may be it. */
async function look() {
  let away = null;
  for (const candidate of path ? [path] : paths) {
    const found = await ask(candidate);
    if (found.sample) {
      path = candidate;
      return { type: "sample", path, ...found.sample };
    }
    away ??= found.away;
  }
  return away ? { type: "away", reason: away } : { type: "missing", tried: path ? [path] : paths };
}

function plan(wait) {
  clearTimeout(timer);
  timer = setTimeout(poll, wait);
}

async function poll() {
  if (isPaused || isAsking) return;
  const began = performance.now();
  const asked = watch;
  isAsking = true;
  const told = await look();
  isAsking = false;
  if (asked !== watch) {
    path = null;
    plan(0);
    return;
  }
  if (told.type === "sample") {
    failures = 0;
    postMessage(told);
    if (!isPaused) plan(Math.max(50, interval - (performance.now() - began)));
    return;
  }
  const wait = WAITS[Math.min(failures, WAITS.length - 1)];
  failures += 1;
  // Whatever answers next may be started otherwise.
  if (told.type === "missing") path = null;
  postMessage({ ...told, wait });
  if (!isPaused) plan(wait);
}

/** The statistics before and after an attack; those after it once what it left behind is over, or a second has passed. */
async function settled() {
  let told = await look();
  for (let tries = 0; tries < 20; tries += 1) {
    const { states } = told.document ?? {};
    if (!states || states.CLOSING + states.SENDING_RESPONSE + states.READING_CONTENT + states.READING_HEADERS === 0) break;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
    told = await look();
  }
  return told;
}

async function run({ kinds, count }) {
  attacker = new AbortController();
  const before = await look();
  const began = performance.now();
  const results = await attack(kinds, count, root, attacker.signal, (sent, all) => postMessage({ type: "progress", sent, all }));
  const milliseconds = performance.now() - began;
  const after = await settled();
  attacker = null;
  postMessage({ type: "attacked", results, milliseconds, before, after });
}

const COMMANDS = {
  watch(message) {
    ({ paths, root } = message);
    watch += 1;
    path = null;
    failures = 0;
    plan(0);
  },
  interval(message) {
    ({ interval } = message);
    plan(0);
  },
  pause() {
    isPaused = true;
    clearTimeout(timer);
  },
  resume() {
    isPaused = false;
    failures = 0;
    plan(0);
  },
  attack: run,
  stop() {
    attacker?.abort();
  },
};

addEventListener("message", ({ data }) => COMMANDS[data.type](data));
