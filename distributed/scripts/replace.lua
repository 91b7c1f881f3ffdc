-- Replaces a value of one version, and drops its lock. Value, Locked -> Value;
-- any other state stays.
-- ARGV: 1 digest of the key; 2 version that must be there; 3 time to live in ms,
-- '0' for none; 4 ms from now until the absolute deadline to stamp into the
-- entry, '0' for none; 5 the entry.
-- Returns 'ok', also if the entry is there already; 'version' and the one that
-- is there; 'none'; 'other' and what is there.
if state == 'other' then
  return {'other', head}
end
if state ~= 'value' and state ~= 'locked' then
  return {'none'}
end
if version == string.sub(ARGV[5], 7, 22) then
  return {'ok'}
end
if version ~= ARGV[2] then
  return {'version', version}
end
store(ARGV[5], ARGV[3], ARGV[4])
return {'ok'}
