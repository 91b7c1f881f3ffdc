-- Counts the items that hold a write from before a barrier. KEYS as in slot.lua.
-- ARGV: 1 the partition's sequence at the barrier.
return {redis.call('ZCOUNT', KEYS[2], '-inf', ARGV[1]) + redis.call('ZCOUNT', KEYS[5], '1', ARGV[1])}
