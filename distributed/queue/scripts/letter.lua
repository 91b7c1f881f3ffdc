-- Makes a dead letter due again, or drops it.
-- ARGV: 1 key; 2 sequence; 3 'revive' or 'drop'.
-- Returns 1, or 0 if there is no such dead letter; then how much was damaged.
local key = ARGV[1]
evenIfFull()
local found = redis.call('HMGET', KEYS[1], 'm', 'h' .. key)
readMeta(found[1])
local s = slot(key, found[2])
if not s or s.state ~= DEAD or s.head.sequence ~= tonumber(ARGV[2]) then
  return {0, damaged}
end
redis.call('ZREM', KEYS[4], key)
redis.call('HDEL', KEYS[1], 'r' .. key)
if ARGV[3] == 'drop' then
  remove(key, s)
  redis.call('HSET', KEYS[1], 'm', metaText())
  return {1, damaged}
end
s.state, s.attempts = READY, 0
redis.call('ZADD', KEYS[2], text(now), key)
redis.call('ZADD', KEYS[5], text(s.head.first), 'h' .. key)
if s.tail then
  redis.call('ZADD', KEYS[5], text(s.tail.first), 't' .. key)
end
save(key, s)
return {1, damaged}
