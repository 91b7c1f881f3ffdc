-- Says what became of claimed items. ARGV, for each of them: key, sequence, token,
-- result as in queue.Result, pause until the next attempt in microseconds, reason.
-- Returns for each what was made of it, as in queue.Settled; then how much was
-- damaged.
local DONE, DEFERRED, KILLED = 1, 3, 4

evenIfFull()
readMeta(redis.call('HGET', KEYS[1], 'm'))

local function settle(key, sequence, token, result, pause, reason)
  local s = slot(key, redis.call('HGET', KEYS[1], 'h' .. key))
  if not s or s.state ~= CLAIMED or s.token ~= token or s.head.sequence ~= sequence then
    return 0
  end
  redis.call('ZREM', KEYS[3], key)
  if result == DONE then
    remove(key, s)
    return 1
  end
  if result == DEFERRED then
    s.attempts = math.max(s.attempts - 1, 0)
  end
  s.state = READY
  local replaced = replace(key, s)
  if result == KILLED and not replaced then
    bury(key, s, reason)
    save(key, s)
    return 4
  end
  redis.call('ZADD', KEYS[2], text(now + pause), key)
  save(key, s)
  return replaced and 3 or 2
end

local answer = {}
for i = 1, #ARGV, 6 do
  answer[#answer + 1] = settle(ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]),
    tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]), ARGV[i + 5])
end
redis.call('HSET', KEYS[1], 'm', metaText())
answer[#answer + 1] = damaged
return answer
