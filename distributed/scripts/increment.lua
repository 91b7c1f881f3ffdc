-- Adds to a counter. Absent, Lease, Mark or Hold -> Counter; Counter -> Counter, keeping
-- its time to live; any other state stays.
-- ARGV: 1 what to add; 2 time to live in ms of a new counter, '0' for none;
-- 3 the first bytes of a lease; 4 those of a hold; 5 those of a mark.
-- Returns the new value as text, because Lua's numbers cannot hold it; 'type'
-- if there is something else, 'range' if the sum does not fit.
local there = redis.pcall('GETRANGE', KEYS[1], 0, 63)
if type(there) ~= 'string' then
  return 'type'
end
if there == '0' or string.find(there, '^%-?[1-9]%d*$') then
  local sum = redis.pcall('INCRBY', KEYS[1], ARGV[1])
  if type(sum) ~= 'table' then
    return redis.call('GET', KEYS[1])
  end
  if string.find(sum.err, 'overflow', 1, true) then
    return 'range'
  end
  return 'type'
end
local leased = #there == 56 and string.sub(there, 1, #ARGV[3]) == ARGV[3]
local held = string.sub(there, 1, #ARGV[4]) == ARGV[4] and redis.call('STRLEN', KEYS[1]) == 112
local marked = string.sub(there, 1, #ARGV[5]) == ARGV[5] and redis.call('STRLEN', KEYS[1]) % 44 == 12
if not leased and not held and not marked and redis.call('EXISTS', KEYS[1]) == 1 then
  return 'type'
end
if ARGV[2] == '0' then
  redis.call('SET', KEYS[1], ARGV[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return ARGV[1]
