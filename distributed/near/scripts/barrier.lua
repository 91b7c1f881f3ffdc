-- Asks all near caches but the caller's for an acknowledgement.
-- ARGV: 1 the caller's node; 2 the channel; 3 the barrier; 4 how long the registry
-- lives on in ms.
-- Returns for how many ms the registry has been complete, then by turns each node
-- that has a lease and the ms that are left of it.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HSETNX', KEYS[1], 'born', now) == 1 then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'born', now)
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
local reply = {0}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local ends = tonumber(all[i + 1])
  if all[i] == 'born' then
    reply[1] = now - ends
  elseif ends > now then
    local node = string.match(all[i], '^[^:]*')
    if node ~= ARGV[1] then
      reply[#reply + 1] = node
      reply[#reply + 1] = ends - now
    end
  end
end
if #reply > 1 then
  redis.call('PUBLISH', ARGV[2], ARGV[3])
end
return reply
