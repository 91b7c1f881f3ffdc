-- Ends a near cache's lease: it does not serve under it any more.
-- ARGV: 1 the member.
return redis.call('HDEL', KEYS[1], ARGV[1])
