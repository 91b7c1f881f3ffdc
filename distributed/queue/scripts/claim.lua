-- Claims what is due, the oldest first.
-- ARGV: 1 how many at most; 2 for how long, in microseconds; 3 the most bytes of
-- payloads to return, beyond the first.
-- Returns how much was damaged, the time, and of each item: key, header, payload,
-- and 1 if an earlier claim of it ran out.
evenIfFull()
readMeta(redis.call('HGET', KEYS[1], 'm'))

local due = {}
for _, i in ipairs({2, 3, 6}) do
  local list = redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', i == 2 and '+inf' or text(now), 'WITHSCORES', 'LIMIT', 0, ARGV[1])
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
    redis.call('ZADD', KEYS[6], text(now), key)
    redis.call('ZADD', KEYS[5], text(s.head.first), 'h' .. key)
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

-- Whether a key that should not be in this set is in one where it should be.
local function elsewhere(key, state)
  if state == CLAIMED then
    return redis.call('ZSCORE', KEYS[3], key)
  end
  return redis.call('ZSCORE', KEYS[2], key) or redis.call('ZSCORE', KEYS[6], key)
end

-- Claims a key. It says false if there is no more room in the answer.
local function claim(key, set)
  local s = slot(key, redis.call('HGET', KEYS[1], 'h' .. key))
  local lapsed = set == 3
  if not s then
    damaged = damaged + 1
    redis.call('ZREM', KEYS[set], key)
    redis.call('ZREM', KEYS[5], 'h' .. key, 't' .. key)
    return true
  end
  if s.state == DEAD or s.state ~= (lapsed and CLAIMED or READY) and elsewhere(key, s.state) then
    damaged = damaged + 1
    redis.call('ZREM', KEYS[set], key)
    return true
  end
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
  if set == 2 then
    redis.call('ZADD', KEYS[5], text(s.head.first), 'h' .. key)
  end
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
