-- Marks the key for a writer. Any state but Mark -> Mark; Mark -> Mark with the
-- writer added, those whose time is over taken out, and a new epoch. Exactly this
-- writer is there already: it stays as it is.
-- ARGV: 1 digest of the key; 2 header of a mark with the new epoch; 3 token of
-- the writer; 4 how long it marks the key in ms; 5 most writers.
-- Returns 'ok' and whether the writer is the only one (1, else 0; 0 also if it was
-- there already); 'full'.
local list, last = others(ARGV[3])
if list ~= others('') then
  return {'ok', 0}
end
if #list >= 22 * tonumber(ARGV[5]) then
  return {'full'}
end
local stop = now + tonumber(ARGV[4])
mark(ARGV[2], list .. ARGV[3] .. bytes(stop), math.max(last, stop))
return {'ok', list == '' and 1 or 0}
