-- Finds what can be claimed. KEYS as in slot.lua, 2 and 3 only.
-- ARGV: 1 how many at most.
-- Returns when they became due, the first ones first.
local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]))
local due = {}
for i = 1, 2 do
  local list = redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
  for j = 2, #list, 2 do
    due[#due + 1] = tonumber(list[j])
  end
end
table.sort(due)
for i = #due, tonumber(ARGV[1]) + 1, -1 do
  due[i] = nil
end
return due
