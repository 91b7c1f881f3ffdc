-- Removes a value by its version or its lock. Value, Locked -> absent; with a
-- handle Hold -> absent, too; any other state stays.
-- ARGV: 1 digest of the key; 2 version that must be there, '' for any; 3 handle
-- of the lock that must stand, '' for any or none.
-- Returns 'ok' if there was such a value, 'hold' if there was such a hold, 'none'
-- if not, 'other' and what is there.
if state == 'other' then
  return {'other', head}
end
if state == 'none' or state == 'mark' or ARGV[2] ~= '' and (state == 'hold' or version ~= ARGV[2])
  or ARGV[3] ~= '' and refusal(ARGV[3]) then
  return {'none'}
end
redis.call('DEL', KEYS[1])
return {state == 'hold' and 'hold' or 'ok'}
