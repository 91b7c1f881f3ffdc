-- Takes a lease, as SET NX GET does on servers that know it (Redis 7.0).
-- Absent -> Lease; any other state stays.
-- ARGV: 1 the lease entry; 2 its time to live in ms.
-- Returns nil if taken, else what is there.
local there = redis.pcall('GET', KEYS[1])
if there then
  return there
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
