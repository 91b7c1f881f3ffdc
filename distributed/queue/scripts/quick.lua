-- Accepts writes of distinct keys of which nothing is queued, or an item that nobody
-- has claimed and that they take the place of: most writes. Others it leaves, for
-- enqueue.lua. It defines no functions, because that takes longer than the rest.
-- KEYS: 1 and 2 of slot.lua. ARGV: 1 the most items and 2 the most bytes, '0' for no
-- limit; then of each write: key, payload, '1' for a deletion, mode, and the sequence
-- that a merge is onto.
-- Returns for each two numbers as enqueue.lua does, a sequence of 0 if it was left.
local call, match, format = redis.call, string.match, string.format
local fields = {'m'}
for i = 3, #ARGV, 5 do
  fields[#fields + 1] = 'h' .. ARGV[i]
end
local found = call('HMGET', KEYS[1], unpack(fields))
local last, items, bytes = match(found[1] or '0 0 0', '^(%d+) (%d+) (%d+)$')
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local maxItems, maxBytes = tonumber(ARGV[1]), tonumber(ARGV[2])
last, items, bytes = tonumber(last), tonumber(items), tonumber(bytes)

local answer, stored, due = {}, {}, {}
for j = 2, #fields do
  local i = 5 * j - 7
  local key, header, weight = ARGV[i], found[j], #ARGV[i] + #ARGV[i + 1]
  local token, place, onto, since, writes, size = 0, '1', 0, nil, 0, nil
  if header then
    token, place, onto, since, writes, size =
      match(header, '^0 %d+ (%d+) ([12]) 0 [01] [01] (%d+) (%d+) (%d+) (%d+)$')
  end
  local said = 0
  if last and place and (found[1] or not header) then
    local grown = bytes + weight - (size and #key + size or 0)
    if ARGV[i + 3] == '2' and tonumber(ARGV[i + 4]) ~= tonumber(onto) then
      said = -1
    elseif maxItems > 0 and not size and items >= maxItems
      or maxBytes > 0 and grown > maxBytes and grown > bytes then
      said = -2
    else
      last = last + 1
      if now > last then
        last = now
      end
      said, bytes = last, grown
      if not size then
        items = items + 1
        due[#due + 1] = format('%d', last)
        due[#due + 1] = key
      end
      local n = #stored
      stored[n + 1], stored[n + 2] = 'h' .. key, format('0 0 %d %s 0 %s %d %d %d %d %d', token, place, ARGV[i + 2],
        ARGV[i + 3] == '0' and 1 or 0, last, since or last, writes + 1, #ARGV[i + 1])
      stored[n + 3], stored[n + 4] = place .. key, ARGV[i + 1]
    end
  end
  local n = #answer
  answer[n + 1], answer[n + 2] = said, size and 1 or 0
end
if #due > 0 then
  call('ZADD', KEYS[2], unpack(due))
end
if #stored > 0 then
  call('HSET', KEYS[1], 'm', format('%d %d %d', last, items, bytes), unpack(stored))
end
return answer
