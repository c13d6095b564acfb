-- What the benchmark has wrk do: requests for the paths in a file, `depth` of them in one write, and at the end the exact
-- numbers on one line.

local depth
local written = {}
local turn = 0

-- The arguments: the depth, and a file with a path on each line.
function init(args)
  depth = tonumber(args[1])
  for path in io.lines(args[2]) do
    written[#written + 1] = string.rep(wrk.format("GET", path), depth)
  end
end

-- wrk takes a function of this name and no other; it counts the requests in what it returns.
function request()
  turn = turn % #written + 1
  return written[turn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nBENCH {"requests": %d, "bytes": %d, "duration_us": %d, "p99_us": %d, ' ..
    '"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\n',
    summary.requests, summary.bytes, summary.duration, latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
