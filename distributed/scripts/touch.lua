-- Restarts the sliding window of a value, never beyond its absolute deadline.
-- Value -> the same Value with a new time to live; Locked -> the same Locked,
-- which still does not expire while the lock stands; any other state stays.
-- ARGV: 1 digest of the key; 2 version that must be there, '' for any.
-- Returns 1 if there was a window to restart, else 0.
if state ~= 'value' and state ~= 'locked' or window() == 0
  or ARGV[2] ~= '' and version ~= ARGV[2] then
  return 0
end
live(slid())
return 1
