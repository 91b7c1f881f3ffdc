-- Lets a lease last longer. Lease (exactly this one, followed or not) -> the
-- same Lease with a new time to live; any other state stays.
-- ARGV: 1 the lease entry; 2 its time to live in ms.
-- Returns 1 if it stood, else 0.
local lease = redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1])
if type(lease) ~= 'string' or #lease ~= #ARGV[1] or string.sub(lease, 1, 44) ~= string.sub(ARGV[1], 1, 44) then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
