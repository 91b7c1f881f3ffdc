-- Restarts the sliding window of a value, never beyond its absolute deadline.
-- Value -> the same Value with a new time to live; any other state stays.
-- ARGV: 1 the first bytes of a value; 2 digest of the key; 3 version that must
-- be there, '' for any; 4 the longest time to live in ms.
-- Returns 1 if there was a window to restart, else 0.
local head = redis.pcall('GETRANGE', KEYS[1], 0, 55)
if type(head) ~= 'string' or #head ~= 56 or string.sub(head, 1, #ARGV[1]) ~= ARGV[1]
  or string.sub(head, 23, 30) ~= ARGV[2]
  or ARGV[3] ~= '' and string.sub(head, 7, 22) ~= ARGV[3] then
  return 0
end
local function number(first)
  local n = 0
  for i = first, first + 5 do
    n = n * 256 + string.byte(head, i)
  end
  return n
end
local left, deadline = number(31), number(45)
if left == 0 or deadline ~= number(51) then
  return 0
end
if deadline > 0 then
  local now = redis.call('TIME')
  left = math.min(left, deadline - tonumber(now[1]) * 1000 - math.floor(tonumber(now[2]) / 1000))
end
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.min(left, tonumber(ARGV[4]))))
return 1
