-- Claims what is due, the oldest first.
-- ARGV: 1 how many at most; 2 for how long, in microseconds; 3 the most bytes of
-- payloads to return, beyond the first.
-- Returns how much was damaged, the time, and of each item: key, header, payload,
-- and 1 if an earlier claim of it ran out.
evenIfFull()
readMeta(redis.call('HGET', KEYS[1], 'm'))

local due = {}
for i = 2, 3 do
  local list = redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', text(now), 'WITHSCORES', 'LIMIT', 0, ARGV[1])
  for j = 1, #list, 2 do
    due[#due + 1] = {key = list[j], at = tonumber(list[j + 1]), set = i, order = #due}
  end
end
table.sort(due, function(a, b)
  if a.at ~= b.at then
    return a.at < b.at
  end
  return a.order < b.order
end)

-- Sets aside what cannot be claimed, because it has not the payload it should.
local function spoil(key, s, payload)
  damaged = damaged + 1
  if replace(key, s) then
    s.state = READY
    redis.call('ZADD', KEYS[2], text(now), key)
  else
    payload = payload or ''
    count(key, s.head, -1)
    s.head.size = #payload
    count(key, s.head, 1)
    redis.call('HSET', KEYS[1], s.place .. key, payload)
    bury(key, s, 'larder: damaged in the queue')
  end
  save(key, s)
end

local answer, left = {0, text(now)}, tonumber(ARGV[3])

-- Claims a key. It says false if there is no more room in the answer.
local function claim(key, set)
  local s = slot(key, redis.call('HGET', KEYS[1], 'h' .. key))
  if not s then
    damaged = damaged + 1
    redis.call('ZREM', KEYS[set], key)
    return true
  end
  if s.state == DEAD then -- it was damaged
    return true
  end
  local lapsed = set == 3
  local size = lapsed and s.tail and s.tail.whole == 1 and s.tail.size or s.head.size
  if size > left and #answer > 2 then
    return false
  end
  left = left - size
  redis.call('ZREM', KEYS[set], key)
  if lapsed then
    replace(key, s)
  end
  local payload = redis.call('HGET', KEYS[1], s.place .. key)
  if not payload or #payload ~= s.head.size then
    spoil(key, s, payload)
    return true
  end
  s.state, s.tried, s.attempts, s.token = CLAIMED, 1, s.attempts + 1, nextSequence()
  redis.call('ZADD', KEYS[3], text(now + tonumber(ARGV[2])), key)
  save(key, s)
  local n = #answer
  answer[n + 1], answer[n + 2], answer[n + 3], answer[n + 4] = key, slotText(s), payload, lapsed and 1 or 0
  return true
end

for i = 1, math.min(#due, tonumber(ARGV[1])) do
  if not claim(due[i].key, due[i].set) then
    break
  end
end
answer[1] = damaged
return answer
