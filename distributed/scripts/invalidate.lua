-- Removes what is there. Mark -> the same Mark with a new epoch, so that it still
-- guards its writers, but none of them may store, and no load under it may be
-- joined; any other state -> absent.
-- ARGV: 1 the first bytes of a mark; 2 header of a mark of this key with the new
-- epoch.
-- Returns how many keys it removed.
local head = redis.pcall('GETRANGE', KEYS[1], 0, 29)
if type(head) ~= 'string' or string.sub(head, 1, 6) ~= ARGV[1] then
  return redis.call('UNLINK', KEYS[1])
end
local rest = redis.call('GETRANGE', KEYS[1], 56, -1)
if #rest == 0 or #rest % 44 ~= 0 or string.sub(rest, 1, #rest / 2) ~= string.sub(rest, #rest / 2 + 1)
  or string.sub(head, 23, 30) ~= string.sub(ARGV[2], 23, 30) then
  return redis.call('UNLINK', KEYS[1])
end
redis.call('SETRANGE', KEYS[1], 0, ARGV[2])
return 0
