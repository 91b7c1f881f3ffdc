-- Stores a value that has an order, unless what is there has the same or a later
-- one; drops a lock. Absent, Lease, Corrupt, Hold, Value, Locked -> Value; any other
-- state stays.
-- ARGV: 1 digest of the key; 2 time to live in ms, '0' for none; 3 ms from now
-- until the absolute deadline to stamp into the entry, '0' for none; 4 the entry.
-- Returns 'ok'; 'same', also if the entry is there already; 'outdated' and the
-- order that is there; 'marked'; 'other' and what is there.
if state == 'other' then
  return {'other', head}
end
if state == 'mark' then
  return {'marked'}
end
if (state == 'value' or state == 'locked') and order ~= '' then
  -- In two halves, which Lua's numbers hold. Its comparison of text goes by the locale.
  local high = number(order, 1, 4) - number(ARGV[4], 57, 60)
  local low = number(order, 5, 8) - number(ARGV[4], 61, 64)
  if high == 0 and low == 0 then
    return {'same'}
  end
  if high > 0 or high == 0 and low > 0 then
    return {'outdated', order}
  end
end
store(ARGV[4], ARGV[2], ARGV[3])
return {'ok'}
