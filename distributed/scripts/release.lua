-- Gives a lease back. Lease (exactly this one) -> absent; any other state stays.
-- ARGV: 1 the lease entry.
-- Returns 1 if it stood, else 0.
if redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
