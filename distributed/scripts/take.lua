-- Takes a lease in the place of a value whose region has expired. Absent, Value
-- or Locked (of exactly this version) -> Lease; any other state stays.
-- ARGV: 1 the version; 2 the lease entry; 3 its time to live in ms.
-- Returns nil if taken, else what is there.
local head = redis.pcall('GETRANGE', KEYS[1], 0, 55)
if type(head) ~= 'string' then
  return head
end
local kind = string.sub(head, 5, 5)
local same = string.sub(head, 1, 4) == '\193LD\1' and (kind == 'V' or kind == 'K') and string.sub(head, 7, 22) == ARGV[1]
if not same and redis.call('EXISTS', KEYS[1]) == 1 then
  return redis.call('GET', KEYS[1])
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return false
