-- Expires tokens: advances the epoch, then gives the tokens new generations. Any
-- state -> Epoch; any state -> Generation, made now.
-- KEYS: the tokens' generations; the epoch last, unless ARGV[1] is given.
-- ARGV: 1 the epoch as it was advanced already, '' if this is to be done; 2 a new
-- incarnation; 3 '1' to begin it in any case, '0' if there is no epoch; 4 time to
-- live of the generations in ms; then the id of each.
-- Returns the epoch.
local function read(key, size)
  local there = redis.pcall('GET', key)
  if type(there) == 'string' and #there == size then
    return there
  end
  return nil
end

-- The number after the one in these 8 bytes; nil if there is none.
local function successor(bytes)
  for i = 8, 1, -1 do
    local byte = string.byte(bytes, i)
    if byte < 255 then
      return string.sub(bytes, 1, i - 1) .. string.char(byte + 1) .. string.rep('\0', 8 - i)
    end
  end
  return nil
end

-- Whether of two epochs a is the later one of the same incarnation.
local function later(a, b)
  if string.sub(a, 1, 8) ~= string.sub(b, 1, 8) then
    return false
  end
  for i = 9, 16 do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then
      return x > y
    end
  end
  return false
end

local epoch, n = ARGV[1], #KEYS
if epoch == '' then
  local there = read(KEYS[n], 16)
  local counter = there and ARGV[3] == '0' and successor(string.sub(there, 9))
  if counter then
    epoch = string.sub(there, 1, 8) .. counter
  else
    epoch = ARGV[2] .. string.rep('\0', 8)
  end
  redis.call('SET', KEYS[n], epoch)
  n = n - 1
end

for i = 1, n do
  local made, there = epoch, read(KEYS[i], 32)
  if there and later(string.sub(there, 17), made) then
    made = string.sub(there, 17) -- a later call was sooner here
  end
  redis.call('SET', KEYS[i], ARGV[4 + i] .. made, 'PX', ARGV[4])
end
return epoch
