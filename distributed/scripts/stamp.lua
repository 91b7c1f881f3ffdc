-- Reads generations for entries that are about to depend on them, and makes
-- those that are absent. Absent, Foreign -> Generation; Generation -> the same
-- Generation, with a time to live that outlasts the entry's.
-- KEYS: the generations; the epoch last, if ARGV[1] is given.
-- ARGV: 1 the incarnation of a new epoch if there is none, '' if the epoch is not
-- among the keys; then of each generation its id if it must be made, and the time
-- in ms that it has to live, '0' for ever.
-- Returns the generations and the epoch, '' without one. With the epoch at hand,
-- a generation that was made under no or another incarnation counts as made now.
local function read(key)
  local there = redis.pcall('GET', key)
  return type(there) == 'string' and there or ''
end

local out, n, epoch = {}, #KEYS, ''
if ARGV[1] ~= '' then
  epoch = read(KEYS[n])
  if #epoch < 16 or #epoch % 8 ~= 0 then
    epoch = ARGV[1] .. string.rep('\0', 8)
    redis.call('SET', KEYS[n], epoch)
  end
  n = n - 1
end
local made = epoch ~= '' and string.sub(epoch, 1, 16) or string.rep('\0', 16)

for i = 1, n do
  local key, wanted = KEYS[i], tonumber(ARGV[2 * i + 1])
  local grant = string.format('%.0f', 2 * wanted)
  local there = read(key)
  if #there ~= 32 then
    there = ARGV[2 * i] .. made
    if wanted == 0 then
      redis.call('SET', key, there)
    else
      redis.call('SET', key, there, 'PX', grant)
    end
  else
    local left = redis.call('PTTL', key)
    if wanted == 0 and left >= 0 then
      redis.call('PERSIST', key)
    elseif left >= 0 and left < wanted then
      redis.call('PEXPIRE', key, grant)
    end
    if epoch ~= '' and string.sub(there, 17, 24) ~= string.sub(made, 1, 8) then
      there = string.sub(there, 1, 16) .. made
      redis.call('SETRANGE', key, 16, made)
    end
  end
  out[i] = there
end
out[n + 1] = epoch
return out
