-- What bench.py has wrk do: `depth` requests (the first argument) in one write, and the exact numbers on one line at the end.

local written

function init(args)
  written = string.rep(wrk.format("GET"), tonumber(args[1]))
end

-- wrk takes a function of this name and no other; it counts the requests in what it returns.
function request()
  return written
end

function done(summary)
  local errors = summary.errors
  io.write(string.format(
    '\nBENCH {"requests": %d, "bytes": %d, "duration_us": %d, "connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\n',
    summary.requests, summary.bytes, summary.duration,
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
