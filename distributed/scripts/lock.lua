-- Locks a value, or the key alone. Value -> Locked, which does not expire while
-- the lock stands, its sliding window restarted; Absent, Lease, Mark, Corrupt -> Hold, if a hold is given; any other
-- state stays.
-- ARGV: 1 digest of the key; 2 handle; 3 how long the lock stands in ms; 4 the
-- header of a hold, '' for none.
-- Returns 'ok', the value's bytes, its time to live in ms without the lock (-1:
-- none) and the lock's fencing token as text; 'hold' and the token; either also if
-- this lock stands already; 'locked' if another does; 'none'; 'other' and what is
-- there.
-- The token is the time in microseconds, which Lua's numbers hold until the year
-- 2255. A lock stands until the same clock has passed its token by a millisecond, so
-- one that takes its place has a greater one, even if the clock went back meanwhile.
if state == 'other' then
  return {'other', head}
end
local stop = now + tonumber(ARGV[3])
local token = text(tonumber(time[1]) * 1000000 + tonumber(time[2]))
if state == 'locked' or state == 'hold' then
  if string.sub(lock, 1, 16) ~= ARGV[2] then
    return {'locked'}
  end
  if state == 'hold' then
    return {'hold', token}
  end
elseif state == 'none' or state == 'mark' then
  if ARGV[4] == '' then
    return {'none'}
  end
  write(ARGV[4] .. locking(ARGV[2], stop, 0), tonumber(ARGV[3]))
  return {'hold', token}
end
local left = redis.call('PTTL', KEYS[1])
local entry = unlocked()
if state == 'value' then
  if window() > 0 then
    left = math.max(left, slid())
  end
  local after = left < 0 and 0 or now + left
  write(string.sub(entry, 1, 4) .. 'K' .. string.sub(entry, 6) .. locking(ARGV[2], stop, after),
    after == 0 and 0 or math.max(after, stop) - now)
end
return {'ok', entry, left, token}
