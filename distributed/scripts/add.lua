-- Stores a value where there is none. Absent, Lease, Corrupt, Hold -> Value; any
-- other state, Mark too, stays.
-- ARGV: 1 digest of the key; 2 time to live in ms, '0' for none; 3 ms from now
-- until the absolute deadline to stamp into the entry, '0' for none; 4 the entry.
-- Returns 'ok', also if the entry is there already; 'exists'; 'marked'; 'other'
-- and what is there.
if state == 'other' then
  return {'other', head}
end
if state == 'value' or state == 'locked' then
  return {version == string.sub(ARGV[4], 7, 22) and 'ok' or 'exists'}
end
if state == 'mark' then
  return {'marked'}
end
store(ARGV[4], ARGV[2], ARGV[3])
return {'ok'}
