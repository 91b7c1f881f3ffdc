-- Stores an entry. If a lease is given: Lease (exactly this one) -> Value, and
-- nothing from any other state. If none: any state -> Value.
-- ARGV: 1 the lease entry that must stand, '' for none; 2 time to live in ms,
-- '0' for none; 3 ms from now until the absolute deadline to stamp into the
-- entry, '0' for none; 4 the entry; 5 the channel on which followers of the lease
-- are woken.
-- Returns 1 if stored, 0 if the lease no longer stands.
local lease = ARGV[1] ~= '' and redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1])
if lease and (type(lease) ~= 'string' or #lease ~= #ARGV[1]
  or string.sub(lease, 1, 44) ~= string.sub(ARGV[1], 1, 44)) then
  return 0
end
local entry = ARGV[4]
if ARGV[3] ~= '0' then
  local now = redis.call('TIME')
  local at = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000) + tonumber(ARGV[3])
  local stamp = ''
  for _ = 1, 6 do
    stamp = string.char(at % 256) .. stamp
    at = math.floor(at / 256)
  end
  entry = string.sub(entry, 1, 44) .. stamp .. stamp .. string.sub(entry, 57)
end
if ARGV[2] == '0' then
  redis.call('SET', KEYS[1], entry)
else
  redis.call('SET', KEYS[1], entry, 'PX', ARGV[2])
end
if lease and lease ~= ARGV[1] then
  redis.pcall('PUBLISH', ARGV[5], string.sub(lease, 23, 30))
end
return 1
