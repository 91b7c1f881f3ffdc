-- Replaces a value under its lock, and ends the lock. Locked, Hold -> Value; any
-- other state stays.
-- ARGV: 1 digest of the key; 2 handle; 3 time to live in ms, '0' for none; 4 ms
-- from now until the absolute deadline to stamp into the entry, '0' for none; 5
-- the entry.
-- Returns 'ok', also if the entry is there already; 'unlocked'; 'handle';
-- 'none'; 'other' and what is there.
if (state == 'value' or state == 'locked') and version == string.sub(ARGV[5], 7, 22) then
  return {'ok'}
end
local no = refusal(ARGV[2])
if no then
  return no
end
store(ARGV[5], ARGV[3], ARGV[4])
return {'ok'}
