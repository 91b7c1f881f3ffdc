-- Counts what is queued. KEYS as in slot.lua.
-- Returns the numbers of the partition as they are stored, how many are claimed at
-- the moment, how many are dead, and the age of the oldest that is not, in
-- microseconds.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local oldest = now
local flowing = redis.call('ZRANGEBYSCORE', KEYS[5], '1', '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local parked = redis.call('ZREVRANGEBYSCORE', KEYS[5], '-1', '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
if flowing[2] then
  oldest = math.min(oldest, tonumber(flowing[2]))
end
if parked[2] then
  oldest = math.min(oldest, -tonumber(parked[2]))
end
return {redis.call('HGET', KEYS[1], 'm') or '', redis.call('ZCOUNT', KEYS[3], '(' .. string.format('%.0f', now), '+inf'),
  redis.call('ZCARD', KEYS[4]), now - oldest}
