-- Reads a value with what is known about it. It changes nothing.
-- ARGV: 1 digest of the key; 2 version that the caller has, '' for none.
-- Returns 'ok' and the bytes, or if the caller has them 'same' and the sliding
-- window in ms ('0' for none), and either way the time to live in ms (-1: none),
-- whether a lock stands and the order ('' if it has none); with 'same' also its
-- stamps; 'none'; 'other' and what is there.
if state == 'other' then
  return {'other', head}
end
if state ~= 'value' and state ~= 'locked' then
  return {'none'}
end
local left, locked = redis.call('PTTL', KEYS[1]), state == 'locked' and 1 or 0
if version == ARGV[2] then
  return {'same', text(window()), left, locked, order, stamps()}
end
return {'ok', redis.call('GET', KEYS[1]), left, locked, order}
