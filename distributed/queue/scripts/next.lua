-- Gives out a sequence for a write that goes past the queue.
evenIfFull()
readMeta(redis.call('HGET', KEYS[1], 'm'))
nextSequence()
redis.call('HSET', KEYS[1], 'm', metaText())
return {meta.last, damaged}
