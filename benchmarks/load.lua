-- What wrk sends, and how it tells what came of it. Arguments: method, octets of content, content itself or "",
-- requests sent together, mean pause between a response and the next request in milliseconds.
function init(args)
   local octets, depth, pause = tonumber(args[2]), tonumber(args[4]), tonumber(args[5])
   wrk.method = args[1]
   if args[3] ~= "" then
      wrk.body = args[3]
   elseif octets > 0 then
      wrk.body = string.rep("0123456789abcdef", octets / 16)
   end
   local all = string.rep(wrk.format(), depth)
   wrk.format = function() return all end -- made once: no Lua runs while the load does
   if pause > 0 then
      delay = function() return math.random(0, 2 * pause) end
   end
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "bytes": %d, "microseconds": %d, "p50": %d, "p99": %d, "connect": %d, "read": %d, '
         .. '"write": %d, "status": %d, "timeout": %d}\n',
      summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(99),
      errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
