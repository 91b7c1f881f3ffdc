-- Lists dead letters in the order of their keys. KEYS: 1 and 4 of slot.lua.
-- ARGV: 1 the key that they come after, '' for none; 2 how many at most.
-- Returns the time, and of each: key, header, reason, first and second payload.
local time = redis.call('TIME')
local keys = redis.call('ZRANGEBYLEX', KEYS[2], ARGV[1] == '' and '-' or '(' .. ARGV[1], '+', 'LIMIT', 0, ARGV[2])
local answer = {time[1] .. string.format('%06d', tonumber(time[2]))}
for _, key in ipairs(keys) do
  local found = redis.call('HMGET', KEYS[1], 'h' .. key, 'r' .. key, '1' .. key, '2' .. key)
  answer[#answer + 1] = key
  for i = 1, 4 do
    answer[#answer + 1] = found[i]
  end
end
return answer
