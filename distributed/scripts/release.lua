-- Gives a lease back. Lease (exactly this one, followed or not) -> absent; any
-- other state stays.
-- ARGV: 1 the lease entry; 2 the channel on which its followers are woken.
-- Returns 1 if it stood, else 0.
local lease = redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1])
if type(lease) ~= 'string' or #lease ~= #ARGV[1] or string.sub(lease, 1, 44) ~= string.sub(ARGV[1], 1, 44) then
  return 0
end
redis.call('DEL', KEYS[1])
if lease ~= ARGV[1] then
  redis.pcall('PUBLISH', ARGV[2], string.sub(lease, 23, 30))
end
return 1
