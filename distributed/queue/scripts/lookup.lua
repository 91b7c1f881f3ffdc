-- Finds what is queued. KEYS[1] as in slot.lua. ARGV: keys.
-- Returns the time, and of each key: header, first and second payload.
local time = redis.call('TIME')
local fields = {}
for i, key in ipairs(ARGV) do
  fields[3 * i - 2], fields[3 * i - 1], fields[3 * i] = 'h' .. key, '1' .. key, '2' .. key
end
local answer = redis.call('HMGET', KEYS[1], unpack(fields))
answer[#answer + 1] = time[1] .. string.format('%06d', tonumber(time[2]))
return answer
