-- Notes the epoch under which a generation was seen. Generation (exactly this
-- one) -> the same Generation, made at that epoch; any other state stays.
-- ARGV: 1 the generation as it was read; 2 the epoch, read after it.
-- Returns 1 if it was there, else 0.
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('SETRANGE', KEYS[1], 16, ARGV[2])
return 1
