-- Ends a write. Mark of this writer alone -> Value, if there is one and the mark
-- has the epoch that it began with, else absent; Mark of others too -> Mark of the
-- others with a new epoch; any other state -> absent, except the very value that
-- it would store.
-- ARGV: 1 digest of the key; 2 header of a mark with the new epoch; 3 token of
-- the writer; 4 epoch that it began with; 5 time to live in ms, '0' for none; 6
-- ms from now until the absolute deadline to stamp into the entry, '0' for none;
-- 7 the entry, '' for none.
-- Returns 'ok' if the entry is there, else 'over'.
if state == 'mark' then
  if ARGV[7] ~= '' and version == ARGV[4] then
    store(ARGV[7], ARGV[5], ARGV[6])
    return {'ok'}
  end
  local list, last = others(ARGV[3])
  if list ~= '' then
    mark(ARGV[2], list, last)
    return {'over'}
  end
elseif ARGV[7] ~= '' and (state == 'value' or state == 'locked') and version == string.sub(ARGV[7], 7, 22) then
  return {'ok'}
end
redis.call('DEL', KEYS[1])
return {'over'}
