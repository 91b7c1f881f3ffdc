-- Replaces an entry by a lease, if it is still exactly what was read.
-- Corrupt -> Lease.
-- ARGV: 1 the bytes that were read; 2 the lease entry; 3 its time to live in ms.
-- Returns 1 if replaced, else 0.
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
