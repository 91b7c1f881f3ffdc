-- Marks a lease as followed, so that who spends it wakes the followers. Lease
-- (exactly this one, followed or not) -> the same Lease, followed; any other state
-- stays.
-- ARGV: 1 the lease entry.
-- Returns 1 if it stands, else 0.
local lease = redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1])
if type(lease) ~= 'string' or #lease ~= #ARGV[1] or string.sub(lease, 1, 44) ~= string.sub(ARGV[1], 1, 44) then
  return 0
end
if lease == ARGV[1] then
  redis.call('SETRANGE', KEYS[1], 44, '\0\0\0\0\0\1\0\0\0\0\0\1')
end
return 1
