-- Expires tokens: advances the epoch, then gives the tokens new generations. Any
-- state -> Epoch; any state -> Generation, made now.
-- KEYS: the tokens' generations; the epoch last, unless ARGV[1] is given.
-- ARGV: 1 the epoch as it was advanced already, '' if this is to be done; 2 a new
-- incarnation; 3 '1' to begin it in any case, '0' if there is no epoch; 4 time to
-- live of the generations in ms; 5 how many tokens expire; 6 the digests of the
-- last of them, 8 bytes each; then the id of each generation.
-- Returns where the epoch is: 16 bytes.
local function read(key)
  local there = redis.pcall('GET', key)
  return type(there) == 'string' and there or ''
end

-- The number in these 8 bytes and n more; nil if they cannot hold it.
local function plus(bytes, n)
  local sum = ''
  for i = 8, 1, -1 do
    n = n + string.byte(bytes, i)
    sum = string.char(n % 256) .. sum
    n = math.floor(n / 256)
  end
  return n == 0 and sum or nil
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
  local there = read(KEYS[n])
  local counter = ARGV[3] == '0' and #there >= 16 and #there % 8 == 0 and plus(string.sub(there, 9, 16), tonumber(ARGV[5]))
  if counter then
    epoch = string.sub(there, 1, 8) .. counter
    there = string.sub(there, 17) .. ARGV[6]
    there = string.sub(there, math.max(1, #there - 8 * 128 + 1)) -- the last of them
  else
    epoch = ARGV[2] .. string.rep('\0', 8)
    there = ''
  end
  redis.call('SET', KEYS[n], epoch .. there)
  n = n - 1
end

for i = 1, n do
  local made, there = epoch, read(KEYS[i])
  if #there == 32 and later(string.sub(there, 17), made) then
    made = string.sub(there, 17) -- a later call was sooner here
  end
  redis.call('SET', KEYS[i], ARGV[6 + i] .. made, 'PX', ARGV[4])
end
return epoch
