-- Renews a near cache's lease to serve, and forgets those that have lapsed.
-- The registry is a hash: member -> when its lease ends, in ms of the server's
-- clock, and "born" -> since when it has been complete.
-- ARGV: 1 the member; 2 the lease in ms; 3 how long the registry lives on in ms.
-- Returns 1 if the lease stood until now, else 0.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HSETNX', KEYS[1], 'born', now) == 1 then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'born', now)
end
local stood = 0
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if all[i] ~= 'born' then
    if tonumber(all[i + 1]) <= now then
      redis.call('HDEL', KEYS[1], all[i])
    elseif all[i] == ARGV[1] then
      stood = 1
    end
  end
end
redis.call('HSET', KEYS[1], ARGV[1], now + ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return stood
