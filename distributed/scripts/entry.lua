-- Begins each script that cares for versions, windows or locks. ARGV[1] is the digest of
-- the key, and a verdict (see judge.lua). It finds out what is there and leaves it in state:
--   'value'   a value on which no lock stands, though one may have run out
--   'locked'  a value with a lock
--   'hold'    a lock without a value
--   'mark'    writers of the source whose time is not over
--   'none'    nothing, a lease, or an entry that is damaged
--   'other'   a counter or foreign data; answered with its first bytes
-- and beside it head, size (of all), lock (its bytes, '' if there is none), order
-- (its bytes, '' if there is none), stamped (whether it has stamps), writers (of a mark) and now (of the server, in
-- ms). The offsets are those of internal/envelope, plus 1.
local head = redis.pcall('GETRANGE', KEYS[1], 0, 63)
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local size, lock, order, stamped, writers = 0, '', '', false, ''

local function number(s, first, last)
  local n = 0
  for i = first, last do
    n = n * 256 + string.byte(s, i)
  end
  return n
end

local function bytes(n)
  local s = ''
  for _ = 1, 6 do
    s = string.char(n % 256) .. s
    n = math.floor(n / 256)
  end
  return s
end

-- The writers but one whose time is not over, and when that of the last of them
-- is.
local function others(token)
  local list, last = '', 0
  for i = 1, #writers, 22 do
    local stop = number(writers, i + 16, i + 21)
    if stop > now and string.sub(writers, i, i + 15) ~= token then
      list, last = list .. string.sub(writers, i, i + 21), math.max(last, stop)
    end
  end
  return list, last
end

-- Whether head is of an entry of this key.
local function intact()
  return string.sub(head, 23, 30) == string.sub(ARGV[1], 1, 8) and string.sub(head, 45, 50) == string.sub(head, 51, 56)
end

local function findMark()
  local half = (size - 56) / 2
  if half == 0 or half % 22 ~= 0 or not intact() then
    return 'none'
  end
  writers = redis.call('GETRANGE', KEYS[1], 56, 55 + half)
  if redis.call('GETRANGE', KEYS[1], 56 + half, -1) ~= writers or others('') == '' then
    writers = ''
    return 'none'
  end
  return 'mark'
end

local function find()
  if type(head) ~= 'string' then
    head = ''
    return 'other'
  end
  size = redis.call('STRLEN', KEYS[1])
  if size == 0 and redis.call('EXISTS', KEYS[1]) == 0 then
    return 'none'
  end
  if string.sub(head, 1, 4) ~= '\193LD\1' then
    return 'other'
  end
  local kind, flags = string.sub(head, 5, 5), string.sub(head, 6, 6)
  if #head < 56 or kind == 'L' and flags == '\0' then
    return 'none'
  end
  if kind == 'M' and flags == '\0' then
    return findMark()
  end
  if kind ~= 'V' and kind ~= 'K' and (kind ~= 'H' or flags ~= '\0') or string.byte(flags) > 3 then
    return 'other'
  end
  local length, first = 56 + number(head, 37, 40), 56
  if string.byte(flags) % 2 == 1 then
    order, first = string.sub(head, 57, 64), 64
  end
  stamped = string.byte(flags) >= 2
  if length < first then
    return 'none'
  end
  if kind ~= 'V' then
    lock = redis.call('GETRANGE', KEYS[1], length, -1)
    length = length + 56
  end
  if size ~= length or not intact()
    or string.sub(lock, 1, 28) ~= string.sub(lock, 29) then
    return 'none'
  end
  local stands = lock ~= '' and number(lock, 17, 22) > now
  if kind == 'H' then
    return stands and 'hold' or 'none'
  end
  return stands and 'locked' or 'value'
end

local state = find()
local version = string.sub(head, 7, 22)

-- The stamps of the value; '' if it has none.
local function stamps()
  local first = 56 + #order
  if not stamped or size < first + 4 then
    return ''
  end
  local length = number(redis.call('GETRANGE', KEYS[1], first, first + 3), 1, 4)
  return redis.call('GETRANGE', KEYS[1], first, first + length - 1)
end

-- Numbers as Redis takes them.
local function text(n)
  return string.format('%.0f', n)
end

-- The sliding window of the value, 0 if it has none.
local function window()
  return math.min(number(head, 31, 36), 315360000000)
end

-- How long the value lives if its window begins now.
local function slid()
  local deadline = number(head, 45, 50)
  return deadline == 0 and window() or math.min(window(), deadline - now)
end

-- Writes an entry with that time to live in ms, 0 for none.
local function write(entry, left)
  if left == 0 then
    redis.call('SET', KEYS[1], entry)
  else
    redis.call('SET', KEYS[1], entry, 'PX', text(left))
  end
end

-- The entry with an absolute deadline so many ms from now, 0 for none.
local function bounded(entry, bound)
  local stamp = bytes(bound == 0 and 0 or now + bound)
  return string.sub(entry, 1, 44) .. stamp .. stamp .. string.sub(entry, 57)
end

-- Stores an entry as it came: time to live and bound are arguments.
local function store(entry, ttl, bound)
  if bound ~= '0' then
    entry = bounded(entry, tonumber(bound))
  end
  write(entry, tonumber(ttl))
end

-- Writes a mark with that header.
local function mark(header, list, last)
  write(header .. list .. list, last - now)
end

-- The value as its bytes are without a lock.
local function unlocked()
  local entry = redis.call('GET', KEYS[1])
  return string.sub(entry, 1, 4) .. 'V' .. string.sub(entry, 6, size - #lock)
end

-- The bytes of a lock.
local function locking(handle, stop, after)
  local copy = handle .. bytes(stop) .. bytes(after)
  return copy .. copy
end

-- Gives the value that time to live in ms. A locked one lives at least as long as
-- the lock stands.
local function live(left)
  if state == 'locked' then
    local stop = number(lock, 17, 22)
    redis.call('SETRANGE', KEYS[1], size - 56, locking(string.sub(lock, 1, 16), stop, now + left))
    left = math.max(left, stop - now)
  end
  redis.call('PEXPIRE', KEYS[1], text(left))
end

-- The answer to who has no lock of this handle here; nil if it stands.
local function refusal(handle)
  if state == 'other' then
    return {'other', head}
  end
  if state == 'value' then
    return {'unlocked'}
  end
  if state == 'none' or state == 'mark' then
    return {'none'}
  end
  if string.sub(lock, 1, 16) ~= handle then
    return {'handle'}
  end
  return nil
end
