-- Begins each script that changes a partition, but for quick.lua. It reads and writes slots, a slot
-- being what is queued of one key.
-- KEYS, all of one partition: 1 items, a hash; 2 ready, a sorted set of keys that
-- are due, by the first sequence of the first item; 3 claimed and 6 waiting, sorted
-- sets of keys by when they are due, in microseconds; 4 dead, a sorted set of keys
-- that all have score 0; 5 age, a sorted set by their first sequence of the items
-- that ready does not tell of. A key is in one of ready, claimed, waiting and dead.
-- The fields of items:
--   'm'        numbers of the partition: the last sequence, items, bytes
--   'h' .. key the header of a slot: see numbers
--   '1' .. key and '2' .. key the payloads of its items
--   'r' .. key of a dead one: when it died, and the reason
-- The members of age are 'h' .. key for the first item of a slot and 't' .. key for
-- the one behind it. That of one that waits behind a dead letter is negative.
local READY, CLAIMED, DEAD = 0, 1, 2

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local damaged = 0

-- Numbers as Redis takes them.
local function text(n)
  return string.format('%.0f', n)
end

-- The numbers in s, which must be so many; nil if they are not.
local function numbers(s, want, more)
  if not s or string.find(s, '[^%d ]') then
    return nil
  end
  local list = {}
  for digits in string.gmatch(s, '%d+') do
    list[#list + 1] = tonumber(digits)
  end
  return (#list == want or #list == more) and list or nil
end

local meta -- of the partition, once it was read

local function readMeta(s)
  local list = numbers(s, 3)
  if list then
    meta = {last = list[1], items = list[2], bytes = list[3]}
    return
  end
  if s then
    damaged = damaged + 1
  end
  meta = {last = 0, items = redis.call('ZCARD', KEYS[2]) + redis.call('ZCARD', KEYS[4]) + redis.call('ZCARD', KEYS[5]), bytes = 0}
end

local function metaText()
  return text(meta.last) .. ' ' .. text(math.max(meta.items, 0)) .. ' ' .. text(math.max(meta.bytes, 0))
end

-- A sequence above all before it, also after the partition has lost its memory:
-- see queue.NextSequence.
local function nextSequence()
  meta.last = math.max(meta.last + 1, now)
  return meta.last
end

-- Frees scripts that make room, or must run whatever happens, from the check for
-- memory: Redis makes it for the first command that changes something.
local function evenIfFull()
  redis.call('HDEL', KEYS[1], '')
end

local function count(key, item, n)
  meta.items = meta.items + n
  meta.bytes = meta.bytes + n * (#key + item.size)
end

local function newItem(list, at)
  return {deleted = list[at], whole = list[at + 1], sequence = list[at + 2],
    first = list[at + 3], writes = list[at + 4], size = list[at + 5]}
end

local function itemText(item)
  return item.deleted .. ' ' .. item.whole .. ' ' .. text(item.sequence) .. ' ' .. text(item.first)
    .. ' ' .. text(item.writes) .. ' ' .. text(item.size)
end

-- The header of a slot: state, attempts, token, place of the first payload,
-- whether the first item was tried, and six numbers of each item.
local function slotText(s)
  local header = s.state .. ' ' .. text(s.attempts) .. ' ' .. text(s.token) .. ' ' .. s.place .. ' ' .. s.tried
    .. ' ' .. itemText(s.head)
  return s.tail and header .. ' ' .. itemText(s.tail) or header
end

local function save(key, s)
  redis.call('HSET', KEYS[1], 'm', metaText(), 'h' .. key, slotText(s))
end

local function other(place)
  return 3 - place
end

-- Makes the first item of s a dead letter.
local function bury(key, s, reason)
  s.state = DEAD
  redis.call('ZREM', KEYS[5], 'h' .. key)
  redis.call('HSET', KEYS[1], 'r' .. key, text(now) .. ' ' .. reason)
  redis.call('ZADD', KEYS[4], 0, key)
  if s.tail then
    redis.call('ZADD', KEYS[5], text(-s.tail.first), 't' .. key)
  end
end

-- Makes a dead letter of what is left of a slot whose header cannot be read: its
-- payload is kept for whoever can make sense of it.
local function salvage(key)
  damaged = damaged + 1
  redis.call('ZREM', KEYS[2], key)
  redis.call('ZREM', KEYS[3], key)
  redis.call('ZREM', KEYS[6], key)
  redis.call('ZREM', KEYS[5], 'h' .. key, 't' .. key)
  local place = 1
  if redis.call('HEXISTS', KEYS[1], '1' .. key) == 0 then
    place = 2
  end
  redis.call('HDEL', KEYS[1], other(place) .. key)
  local payload = redis.call('HGET', KEYS[1], place .. key) or ''
  local sequence = nextSequence()
  local s = {state = DEAD, attempts = 0, token = 0, place = place, tried = 1,
    head = {deleted = 0, whole = 1, sequence = sequence, first = sequence, writes = 1, size = #payload}}
  redis.call('HSET', KEYS[1], place .. key, payload)
  bury(key, s, 'larder: damaged in the queue')
  save(key, s)
  return s
end

-- The slot of key, nil if there is none. header is what the hash has.
local function slot(key, header)
  if not header then
    return nil
  end
  local list = numbers(header, 11, 17)
  if not list or list[1] > DEAD or list[4] ~= 1 and list[4] ~= 2 then
    return salvage(key)
  end
  return {state = list[1], attempts = list[2], token = list[3], place = list[4], tried = list[5],
    head = newItem(list, 6), tail = list[12] and newItem(list, 12) or nil}
end

-- Makes item stand for older, too.
local function takeOver(item, older)
  item.first, item.writes = older.first, item.writes + older.writes
end

-- Puts the item behind the first in its place if it is whole. It says whether it
-- did.
local function replace(key, s)
  if not s.tail or s.tail.whole == 0 then
    return false
  end
  count(key, s.head, -1)
  takeOver(s.tail, s.head)
  redis.call('HDEL', KEYS[1], s.place .. key)
  redis.call('ZREM', KEYS[5], 't' .. key)
  s.head, s.tail, s.place, s.attempts, s.tried = s.tail, nil, other(s.place), 0, 0
  return true
end

-- Removes the first item, whose key is in no set by state any more; the one
-- behind it is due.
local function remove(key, s)
  count(key, s.head, -1)
  if not s.tail then
    redis.call('HDEL', KEYS[1], 'h' .. key, s.place .. key)
    redis.call('ZREM', KEYS[5], 'h' .. key)
    return
  end
  redis.call('HDEL', KEYS[1], s.place .. key)
  redis.call('ZREM', KEYS[5], 'h' .. key, 't' .. key)
  redis.call('ZADD', KEYS[2], text(s.tail.first), key)
  s.head, s.tail, s.place, s.state, s.attempts, s.tried = s.tail, nil, other(s.place), READY, 0, 0
  save(key, s)
end
