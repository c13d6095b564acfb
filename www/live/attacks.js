// What a browser can send and no client should, and what a strict server answers. Every request goes to this origin, and there
// are no more of them, and they take no longer, than is said here.

/**
 * The most requests of one run, how many at a time, and how long all of it may take in milliseconds. A browser gives a page six
 * connections to a server, and the statistics want one of them.
 */
export const LIMITS = { requests: 200, atATime: 4, time: 30_000 };

const LARGE = "downloads/one-mebibyte.txt";
const turn = (list) => (index) => list[index % list.length];
const at = (...paths) => (index) => ({ url: location.origin + turn(paths)(index) });
const withField = (...fields) => (index, root) => ({ url: root + LARGE, headers: turn(fields)(index) });

/** Each with a name, a sentence, the outcomes that are right, and a request by its index. */
export const KINDS = [
  {
    name: "encoding", title: "Broken percent-encoding", expected: [400],
    text: "%zz, a lone %, an encoded NUL",
    request: at("/%zz", "/%", "/a%2", "/%00", "/index.html%00.png", "/%c"),
  },
  {
    name: "climbing", title: "Ways out of the root", expected: [400],
    text: "encoded slashes and backslashes before ..",
    request: at("/..%2f..%2fetc/passwd", "/%2e%2e%5c%2e%2e%5cwindows", "/a/..%2F..%2F", "/.%2e%2f.%2e%2fetc/shadow"),
  },
  {
    name: "hidden", title: "Names that scanners try", expected: [404],
    text: ".git/config, .env, wp-login.php",
    request: at("/.git/config", "/.env", "/wp-login.php", "/admin/.htpasswd", "/cgi-bin/test.cgi"),
  },
  {
    name: "methods", title: "Methods that are none", expected: [405, 501],
    text: "BREW, patch in small letters, DELETE",
    request: (index, root) => ({ url: root, method: turn(["BREW", "patch", "DELETE", "PROPFIND", "PUT"])(index) }),
  },
  {
    name: "target", title: "Endless targets", expected: [414],
    text: "a path or a query of 20,000 characters",
    request: (index, root) => ({ url: `${root}${index % 2 ? "?" : ""}${"a".repeat(20_000)}` }),
  },
  {
    name: "fields", title: "Huge heads", expected: [431],
    text: "a field of 20,000 bytes, or 120 fields",
    request: (index, root) => ({
      url: root,
      headers: index % 2
        ? Object.fromEntries(Array.from({ length: 120 }, (_, field) => [`X-${field}`, "a"]))
        : { "X-Large": "a".repeat(20_000) },
    }),
  },
  {
    name: "content", title: "Contents that nobody wants", expected: [405, 413, "closed"],
    text: "a byte over a mebibyte, and a little one",
    request: (index, root) => ({ url: root, method: "POST", body: new Uint8Array(index % 2 ? 10 : (1 << 20) + 1) }),
  },
  {
    name: "ranges", title: "Ranges by the dozen", expected: [200, 206, 416],
    text: "overlapping, backwards, beyond the end",
    request: withField(
      { Range: `bytes=${Array.from({ length: 40 }, (_, part) => `${part * 3}-${part * 3 + 1}`).join(",")}` },
      { Range: "bytes=0-,0-,0-,0-,0-,0-" },
      { Range: "bytes=5-1" },
      { Range: "bytes=99999999-" },
      { Range: "bytes=-1" },
      { Range: "bytes=0-99999999999999999999" },
    ),
  },
  {
    name: "conditions", title: "Conditions that make no sense", expected: [200, 206, 304, 412],
    text: "If-Match beside If-None-Match, dates that are none",
    request: withField(
      { "If-Match": '"nothing"', "If-None-Match": "*" },
      { "If-None-Match": "*" },
      { "If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT" },
      { "If-Modified-Since": "yesterday, more or less" },
      { "If-Range": '"nothing"', Range: "bytes=0-0" },
      { "If-None-Match": 'W/"', "If-Match": "*" },
    ),
  },
  {
    name: "aborts", title: "Answers broken off", expected: ["broken off"],
    text: "a mebibyte asked for, and gone after the first bytes",
    request: (index, root) => ({ url: root + LARGE, breaksOff: true }),
  },
];

/** Sends one request. Returns the status, or what became of it where there is none. */
async function send({ url, breaksOff, ...request }, signal) {
  const own = new AbortController();
  try {
    const answer = await fetch(url, {
      ...request, cache: "no-store", credentials: "omit", redirect: "manual", signal: AbortSignal.any([signal, own.signal]),
    });
    if (!breaksOff || !answer.ok) {
      await answer.arrayBuffer();
      return answer.status;
    }
    await answer.body.getReader().read();
    own.abort();
    return "broken off";
  } catch {
    return signal.aborted ? "stopped" : "closed";
  }
}

/**
 * Sends so many requests of each of these kinds, a few at a time, the kinds mixed. Tells `progress` how far it is. Returns for each
 * kind how often it got what.
 */
export async function attack(names, count, root, signal, progress) {
  const kinds = KINDS.filter((kind) => names.includes(kind.name));
  const each = Math.min(count, Math.floor(LIMITS.requests / Math.max(1, kinds.length)));
  const results = kinds.map(({ name, title, expected }) => ({ name, title, expected, sent: 0, outcomes: {} }));
  const ended = AbortSignal.any([signal, AbortSignal.timeout(LIMITS.time)]);
  const all = each * kinds.length;
  let next = 0;
  const work = async () => {
    while (next < all && !ended.aborted) {
      const [result, index] = [results[next % kinds.length], Math.floor(next / kinds.length)];
      const { request } = kinds[next % kinds.length];
      next += 1;
      result.sent += 1;
      const outcome = await send(request(index, root), ended);
      result.outcomes[outcome] = (result.outcomes[outcome] ?? 0) + 1;
      progress(next, all);
    }
  };
  await Promise.all(Array.from({ length: LIMITS.atATime }, work));
  return results;
}
