-- Gives a value another time to live. Value -> the same Value; Locked -> the same
-- Locked, which still does not expire while the lock stands; any other state
-- stays.
-- ARGV: 1 digest of the key; 2 its time to live in ms from now.
-- Returns 'ok'; 'none'; 'other' and what is there.
if state == 'other' then
  return {'other', head}
end
if state ~= 'value' and state ~= 'locked' then
  return {'none'}
end
local left = tonumber(ARGV[2])
if window() > 0 then
  local stamp = bytes(now + left)
  redis.call('SETRANGE', KEYS[1], 44, stamp .. stamp)
  left = math.min(left, window())
end
live(left)
return {'ok'}
