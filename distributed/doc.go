// Package distributed is the cache in Redis, for all processes of a service. It
// works on one server, Sentinel, a Cluster and a Ring, through the caller's
// go-redis client.
//
// # One key per entry
//
// An entry is one Redis string under Options.Prefix + key, byte for byte. What
// begins with larder's magic is a value or a lease (see internal/envelope for
// the bytes); a plain decimal number is a counter; anything else is foreign. A
// read of foreign or damaged data, or of another key's entry, is a miss, and
// neither a read nor a lease changes what is foreign. Set replaces whatever is
// there, of whatever Redis type.
//
//	absent  --Lease--> lease      SET NX GET PX
//	lease   --fill---> value      script: only if it is exactly this lease
//	lease   --Release> absent     script: only if it is exactly this lease
//	any     --Set----> value      SET PX
//	any     --Remove-> absent     UNLINK
//	absent, lease --Increment--> counter    script
//
// So a hit is one GET, and a write voids a lease without knowing of it.
//
// # Time
//
// The server's clock alone decides: an entry is gone when its Redis TTL is
// over. Clocks of two hosts are never compared. Reading an entry with a sliding
// window restarts it in the background, without making the reader wait, and
// only if the entry is still the one that was read; a process that restarted it
// within the last sixteenth of the window does not do so again. So such an
// entry lives for at least fifteen sixteenths of its window after a read, and
// at most for the window after the last command. Refresh restarts the window
// exactly, before it returns.
//
// # When Redis is slow or gone
//
// Every call takes a connection, waits and gives up within Options.Budget or
// its context's deadline, whichever is sooner. After several failures a breaker
// refuses calls at once and probes the server now and then. A read or write
// that was not done is cache.ErrUnavailable; a write whose reply was lost is
// cache.ErrOutcomeUnknown.
//
// # Not promised
//
// Redis replicates asynchronously: a failover can lose writes, removals and
// leases that were acknowledged. Entries may be evicted at any time if the
// server's maxmemory-policy says so; a lost lease costs one more load, never a
// stale value. A write that ended with cache.ErrOutcomeUnknown may happen later
// still, even after a later removal that succeeded, if the network or the
// server held it up; a load's fill cannot, because its lease is gone by then.
package distributed
