-- Accepts writes of distinct keys of which nothing is queued, or an item that nobody
-- has claimed and that they take the place of: most writes. Others it leaves, for
-- enqueue.lua. It defines no functions, because that takes longer than the rest.
-- KEYS: 1 and 2 of slot.lua. ARGV: 1 the most items and 2 the most bytes, '0' for no
-- limit; then of each write: key, payload, '1' for a deletion and '1' for a whole value
-- with a space between, and the sequence that a merge is onto, '' for what is none.
-- Returns for each two numbers as enqueue.lua does, a sequence of 0 if it was left.
local call, match, format, argv = redis.call, string.match, string.format, ARGV
local writes = (#argv - 2) / 4
local fields = {'m'}
for w = 1, writes do
  fields[w + 1] = 'h' .. argv[4 * w - 1]
end
local found = call('HMGET', KEYS[1], unpack(fields))
local last, items, bytes = match(found[1] or '0 0 0', '^(%d+) (%d+) (%d+)$')
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local maxItems, maxBytes = tonumber(argv[1]), tonumber(argv[2])
last, items, bytes = tonumber(last), tonumber(items), tonumber(bytes)

local answer, stored, due = {}, {}, {}
local nstored, ndue = 0, 0
for w = 1, writes do
  local i = 4 * w - 1
  local key, payload, header = argv[i], argv[i + 1], found[w + 1]
  local token, place, onto, since, before, size = '0', '1', 0, nil, 0, nil
  if header then
    token, place, onto, since, before, size =
      match(header, '^0 %d+ (%d+) ([12]) 0 [01] [01] (%d+) (%d+) (%d+) (%d+)$')
  end
  local said = 0
  if last and place and (found[1] or not header) then
    local grown = bytes + #key + #payload - (size and #key + size or 0)
    if argv[i + 3] ~= '' and tonumber(argv[i + 3]) ~= tonumber(onto) then
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
      local sequence = format('%d', last) -- a number of its own would be rounded
      if not size then
        items = items + 1
        due[ndue + 1], due[ndue + 2] = sequence, key
        ndue = ndue + 2
      end
      stored[nstored + 1] = fields[w + 1]
      stored[nstored + 2] = '0 0 ' .. token .. ' ' .. place .. ' 0 ' .. argv[i + 2] .. ' ' .. sequence .. ' '
        .. (since or sequence) .. ' ' .. before + 1 .. ' ' .. #payload
      stored[nstored + 3], stored[nstored + 4] = place .. key, payload
      nstored = nstored + 4
    end
  end
  answer[2 * w - 1], answer[2 * w] = said, size and 1 or 0
end
if ndue > 0 then
  call('ZADD', KEYS[2], unpack(due))
end
if nstored > 0 then
  call('HSET', KEYS[1], 'm', format('%d %d %d', last, items, bytes), unpack(stored))
end
return answer
