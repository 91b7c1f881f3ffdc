-- Ends a lock. Locked -> Value, or absent if its deadline has passed meanwhile;
-- Hold -> absent; any other state stays.
-- ARGV: 1 digest of the key; 2 handle; 3 the value's time to live in ms from now,
-- '0' for the deadline that it had, '-1' for none.
-- Returns 'ok'; 'gone' if the value's deadline has passed; 'unlocked'; 'handle';
-- 'none'; 'other' and what is there.
local no = refusal(ARGV[2])
if no then
  return no
end
if state == 'hold' then
  redis.call('DEL', KEYS[1])
  return {'ok'}
end
if ARGV[3] == '0' then
  local after = number(lock, 23, 28)
  if after > 0 and after <= now then
    redis.call('DEL', KEYS[1])
    return {'gone'}
  end
  write(unlocked(), after == 0 and 0 or after - now)
  return {'ok'}
end
local entry, left = unlocked(), math.max(tonumber(ARGV[3]), 0)
if window() > 0 then
  entry = bounded(entry, left)
  left = left == 0 and window() or math.min(left, window())
end
write(entry, left)
return {'ok'}
