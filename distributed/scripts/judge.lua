-- Comes after entry.lua where it matters whether a value still counts. Of one
-- that depends on regions only the caller can tell, from their generations, which
-- may be on other servers: the script answers 'stamped', the version and the
-- stamps, and is called again with the verdict after the digest, in ARGV[1]: 'L'
-- or 'D' and the version it is about. A dead value is none.
if (state == 'value' or state == 'locked') and stamped then
  local verdict = string.sub(ARGV[1], 9)
  if string.sub(verdict, 2) ~= version then
    return {'stamped', version, stamps()}
  end
  if string.sub(verdict, 1, 1) == 'D' then
    state, lock, order = 'none', '', ''
  end
end
