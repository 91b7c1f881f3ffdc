-- Agrees on the number of partitions. KEYS[1] holds it. ARGV: 1 ours.
-- Returns the number of whoever came first.
local number = redis.call('GET', KEYS[1])
if not number then
  redis.call('SET', KEYS[1], ARGV[1])
  return ARGV[1]
end
return number
