-- Requests for wrk: heads and client addresses from files, round and round; the outcome as one line of JSON.
--
--   wrk ... -s wrk.lua URL -- HEADS NETWORKS MODE FIRST [STAMPS]
--
-- HEADS: one request head per line, without its end, CR LF written as "|". NETWORKS: the first three octets of a /24
-- per line. MODE "warm": the same address of each network again and again; "cold": every request from an address of
-- the network that was not used before (FIRST shifts the last octet from run to run). MODE "mix": NETWORKS has the number
-- of a head and a client's address per line, one request each (FIRST shifts where a run begins). STAMPS: two words separated by
-- a comma; an answer with none or both of them in it is counted as mixed.

local requests, heads, networks, addresses, numbers = {}, {}, {}, {}, {}
local turn, cold, mix, octet = 0, false, false, 0
local threads = {}

local function lines(name)
   local found = {}
   for line in io.lines(name) do found[#found + 1] = line end
   return found
end

function setup(thread) threads[#threads + 1] = thread end

function init(args)
   for number, head in ipairs(lines(args[1])) do
      heads[number] = head:gsub("|", "\r\n") .. "\r\nX-Forwarded-For: "
   end
   networks = lines(args[2])
   cold, mix = args[3] == "cold", args[3] == "mix"
   octet = tonumber(args[4]) % 254 + 1
   mixed, bad = 0, 0
   if args[5] then
      local one, two = args[5]:match("([^,]+),([^,]+)")
      response = function(status, _, body)
         if status ~= 200 then bad = bad + 1 end
         if (body:find(one, 1, true) ~= nil) == (body:find(two, 1, true) ~= nil) then mixed = mixed + 1 end
      end
   end
   if mix then
      for place, line in ipairs(networks) do
         local number, address = line:match("(%d+) (.+)")
         numbers[place], addresses[place] = tonumber(number), address
      end
      turn = tonumber(args[4]) * 4931 % #numbers  -- some 64,000 requests from run to run
   elseif not cold then  -- made once: the load should cost less than what it measures
      for number = 1, #networks * 3 do
         requests[number] = heads[number % #heads + 1] .. networks[number % #networks + 1] .. ".77\r\n\r\n"
      end
   end
end

function request()
   turn = turn + 1
   if mix then
      if turn > #numbers then turn = 1 end
      return heads[numbers[turn]] .. addresses[turn] .. "\r\n\r\n"
   end
   if not cold then
      if turn > #requests then turn = 1 end
      return requests[turn]
   end
   if turn % #networks == 0 then octet = octet % 254 + 1 end
   return heads[turn % #heads + 1] .. networks[turn % #networks + 1] .. "." .. octet .. "\r\n\r\n"
end

function done(summary, latency, _)
   local all_mixed, all_bad = 0, 0
   for _, thread in ipairs(threads) do
      all_mixed = all_mixed + (thread:get("mixed") or 0)
      all_bad = all_bad + (thread:get("bad") or 0)
   end
   local errors = summary.errors
   io.write(string.format(
      '{"requests":%d,"microseconds":%d,"bytes":%d,"p50":%d,"p99":%d,"p99_9":%d,"longest":%d,' ..
      '"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d,"mixed":%d,"bad":%d}\n',
      summary.requests, summary.duration, summary.bytes,
      latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max,
      errors.connect, errors.read, errors.write, errors.status, errors.timeout, all_mixed, all_bad))
end
