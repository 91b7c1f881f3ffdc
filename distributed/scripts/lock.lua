-- Locks a value, or the key alone. Value -> Locked, which does not expire while
-- the lock stands, its sliding window restarted; Absent, Lease, Mark, Corrupt -> Hold, if a hold is given; any other
-- state stays.
-- ARGV: 1 digest of the key; 2 handle; 3 how long the lock stands in ms; 4 the
-- header of a hold, '' for none.
-- Returns 'ok', the value's bytes and its time to live in ms without the lock (-1:
-- none); 'hold'; either also if this lock stands already; 'locked' if another does;
-- 'none'; 'other' and what is there.
if state == 'other' then
  return {'other', head}
end
local stop = now + tonumber(ARGV[3])
if state == 'locked' or state == 'hold' then
  if string.sub(lock, 1, 16) ~= ARGV[2] then
    return {'locked'}
  end
  if state == 'hold' then
    return {'hold'}
  end
elseif state == 'none' or state == 'mark' then
  if ARGV[4] == '' then
    return {'none'}
  end
  write(ARGV[4] .. locking(ARGV[2], stop, 0), tonumber(ARGV[3]))
  return {'hold'}
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
return {'ok', entry, left}
