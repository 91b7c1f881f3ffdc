-- Begins enqueue.lua with what most writes need: that of a key of which nothing is
-- queued, and one that takes the place of an item nobody has claimed. It defines
-- no functions, because that would take longer than the rest. Whatever else is
-- there it leaves, unchanged, to what follows.
local call, match = redis.call, string.match
local quickly = call('HMGET', KEYS[1], 'm', 'h' .. ARGV[1])
local last, items, bytes = match(quickly[1] or '0 0 0', '^(%d+) (%d+) (%d+)$')
local token, place, onto, since, writes, size = 0, '1', 0, nil, 0, nil
if quickly[2] then
  token, place, onto, since, writes, size =
    match(quickly[2], '^0 %d+ (%d+) ([12]) 0 [01] [01] (%d+) (%d+) (%d+) (%d+)$')
end
if last and place and (quickly[1] or not quickly[2]) then
  local time, weight = call('TIME'), #ARGV[1] + #ARGV[2]
  local now = time[1] * 1000000 + time[2]
  local grown = bytes + weight - (size and #ARGV[1] + size or 0)
  if ARGV[4] == '2' and tonumber(ARGV[5]) ~= tonumber(onto) then
    return {-1, 0, 0}
  end
  if ARGV[6] ~= '0' and not size and tonumber(items) >= tonumber(ARGV[6])
    or ARGV[7] ~= '0' and grown > tonumber(ARGV[7]) and grown > tonumber(bytes) then
    return {-2, 0, 0}
  end
  local sequence = last + 1
  if now > sequence then
    sequence = now
  end
  if not size then
    items = items + 1
    call('ZADD', KEYS[2], string.format('%d', sequence), ARGV[1])
  end
  call('HSET', KEYS[1], 'm', string.format('%d %d %d', sequence, items, grown),
    'h' .. ARGV[1], string.format('0 0 %d %s 0 %s %d %d %d %d %d', token, place, ARGV[3], ARGV[4] == '0' and 1 or 0,
      sequence, since or sequence, writes + 1, #ARGV[2]),
    place .. ARGV[1], ARGV[2])
  return {sequence, size and 1 or 0, 0}
end
