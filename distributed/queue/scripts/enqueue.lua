-- Accepts a write: what it replaces is by its mode; see queue.Mode.
-- ARGV: 1 key; 2 payload; 3 '1' for a deletion; 4 the mode, 0 to 2; 5 the sequence
-- that a merge is onto; 6 the most items and 7 the most bytes, '0' for no limit.
-- Returns the sequence, or -1 for a merge onto something else, -2 if there is no
-- room; then 1 if the write replaced something; then how much was damaged.
local key, mode, size = ARGV[1], tonumber(ARGV[4]), #ARGV[2]
local found = redis.call('HMGET', KEYS[1], 'm', 'h' .. key)
readMeta(found[1])
local s = slot(key, found[2])

local replaced
if s and s.tail then
  replaced = s.tail
elseif s and (s.tried == 0 or mode == 0 and s.state ~= CLAIMED) then
  replaced = s.head
end
if mode == 2 and tonumber(ARGV[5]) ~= (replaced and replaced.sequence or 0) then
  return {-1, 0, damaged}
end
local maxItems, maxBytes = tonumber(ARGV[6]), tonumber(ARGV[7])
local grown = meta.bytes + #key + size - (replaced and #key + replaced.size or 0)
if not replaced and maxItems > 0 and meta.items >= maxItems
  or maxBytes > 0 and grown > maxBytes and grown > meta.bytes then
  return {-2, 0, damaged}
end

local sequence = nextSequence()
local item = {deleted = tonumber(ARGV[3]), whole = mode == 0 and 1 or 0, sequence = sequence,
  first = sequence, writes = 1, size = size}
if replaced then
  takeOver(item, replaced)
  count(key, replaced, -1)
end
count(key, item, 1)

local place
if not s then
  place = 1
  s = {state = READY, attempts = 0, token = 0, place = place, tried = 0, head = item}
  redis.call('ZADD', KEYS[2], text(now), key)
  redis.call('ZADD', KEYS[5], text(sequence), 'h' .. key)
elseif s.head ~= replaced and (s.state == CLAIMED or item.whole == 0) then
  place = other(s.place)
  if not replaced then
    redis.call('ZADD', KEYS[5], text(s.state == DEAD and -sequence or sequence), 't' .. key)
  end
  s.tail = item
else
  place = s.place
  if s.head ~= replaced then -- which was the one behind
    takeOver(item, s.head)
    count(key, s.head, -1)
    redis.call('HDEL', KEYS[1], other(place) .. key)
    redis.call('ZREM', KEYS[5], 't' .. key)
  end
  if s.state == DEAD then
    redis.call('ZREM', KEYS[4], key)
    redis.call('HDEL', KEYS[1], 'r' .. key)
    redis.call('ZADD', KEYS[2], text(now), key)
    redis.call('ZADD', KEYS[5], text(item.first), 'h' .. key)
  end
  s.head, s.tail, s.state, s.attempts, s.tried = item, nil, READY, 0, 0
end
redis.call('HSET', KEYS[1], 'm', metaText(), 'h' .. key, slotText(s), place .. key, ARGV[2])
return {sequence, replaced and 1 or 0, damaged}
