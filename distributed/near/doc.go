// Package near is memory in front of Redis: Go values, decoded, in this process,
// and bytes on a server that processes share.
//
// A [Cache] is a distributed.Cache, with all its capabilities, and cache.Near:
// typed views (cache.NewTyped, cache.NewLoading, the repositories) read through
// the values held here, and a hit there costs neither a round trip, nor decoding,
// nor an allocation. Who reads a value shares it with every other reader of the
// process and must not change it. Bytes and counters, and what asks for versions
// or locks, go to Redis.
//
// # How stale
//
// A write or invalidation by this process shows here before the call returns.
// What others change is told by the server (CLIENT TRACKING, on a connection of
// its own): writers with and without a near cache, foreign clients, expiration,
// eviction, FLUSHALL. How late a hit may be is the mode's promise:
//
//   - Bounded: never longer than Options.Bound. A heartbeat on the same connection
//     proves that no news are missing; when that proof is older than the bound,
//     nothing held here is served, and when the connection was lost everything
//     held here is dropped before it is served again.
//   - Validate: not at all. Each hit asks Redis, in one small round trip, whether
//     it still counts. It saves the value's way and its decoding, not the trip.
//   - Ack: not at all, once the call that changed something has returned. Such a
//     call waits until every near cache has acknowledged, or may not serve any
//     more: one round trip and the time until the others have heard, but up to
//     Options.Bound if one of them has died or been cut off. Calls at the same time
//     share it. A call that ends sooner returns ErrUnacknowledged. All near caches
//     must be in this mode, with the same bound. What others change, plain caches
//     and foreign clients, shows within the bound.
//
// With Sentinel it is asked several times in a bound which server is the primary, and
// contact with another one does not count.
//
// Where the server cannot tell of changes (Redis before 6, a proxy, a user who may
// not, a redis.Ring) a value is held for the bound, counted from before it was read: so Bounded
// holds. Validate needs no news. Ack then serves nothing from here.
//
// # How long
//
// A value is never held longer than its entry lives in Redis. One with a sliding
// expiration is held for a sixteenth of its window, so that reading goes on
// restarting it. A value under a lock is not held.
//
// # Without the server
//
// Hits go on within the bound, and then reads go to the source, as they do with a
// distributed.Cache. A Remove, RemoveMany, ExpireTokens or EndWrite that cannot
// reach the server returns its error, and is retried until it has happened. Until
// then nothing is held here for its keys. So such a call may take effect later,
// also after another process has stored something newer, which is then a miss;
// unless this process changes the key itself. NearStats and the Observer tell of
// them. They are lost with the process.
//
// # Not promised
//
// Bounds and leases count on the monotonic clock: a machine that is suspended as a
// whole may be late by as much. Leases in mode Ack end too soon if the server's clock
// is set forward. What Redis forgets in a failover, no one tells; nor does a Sentinel
// that has not heard of one yet.
package near
