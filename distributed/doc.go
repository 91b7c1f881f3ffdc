// Package distributed is the cache in Redis, for all processes of a service. It
// works on one server, Sentinel, a Cluster and a Ring, through the caller's
// go-redis client.
//
// # One key per entry
//
// An entry is one Redis string under Options.Prefix + key, byte for byte. What
// begins with larder's magic is a value, a lease or a lock on a key without a
// value (see internal/envelope for the bytes); a plain decimal number is a
// counter; anything else is foreign. A read of foreign or damaged data, or of
// another key's entry, is a miss, and neither a read nor a lease changes what is
// foreign. Set replaces whatever is there, of whatever Redis type.
//
//	absent  --Lease--> lease      SET NX GET PX
//	lease   --fill---> value      script: only if it is exactly this lease
//	lease   --Release> absent     script: only if it is exactly this lease
//	lease   --Await--> lease      script: the same, marked as followed
//	any     --Set----> value      SET PX
//	any     --Remove-> absent     UNLINK
//	absent, lease, hold --Increment--> counter    script
//
// So a hit is one GET, and a write voids a lease without knowing of it.
//
// # Followers
//
// A process that waits for the load of another marks its lease as followed. Who
// fills or releases a lease with that mark publishes the digest of the key, in
// the same script, on the channel Options.Prefix + "__larder__wake", to which
// processes that follow are subscribed. These are hints, and a lost one costs
// its followers a tenth of a second at most: a user who may neither publish nor
// subscribe, or a Ring, does without.
//
// # Versions and locks
//
// A value's version is 16 random bytes that its writer chose, and a lock is a
// part of the value that it stands on. So a plain SET makes another version and
// drops the lock, a hit on a locked value is one GET, and everything under a
// condition is one script on one key:
//
//	value, locked --CompareAndSet--> value     only of this version
//	absent, lease, hold --Add------> value
//	value  --GetAndLock--> locked
//	absent, lease --GetAndLock, forced--> hold
//	locked, hold --PutAndUnlock--> value       only with this handle
//	locked --Unlock--> value                   only with this handle; or absent
//
// While a lock stands, the key's Redis TTL is the later of the lock's end and
// the value's deadline, which the lock remembers. So a lock that runs out needs
// nobody: a value that is past its deadline is gone at that moment, any other
// stays, and by the server's clock it is not locked any more. Reads go on to
// restart a sliding window meanwhile.
//
// These calls see an entry's header and not whether its payload is intact, so an
// entry that is damaged there alone is one to CompareAndSet and Add, although a
// read of it is a miss. GetAndLock finds the damage and removes it. Foreign data
// is no entry; what would have to replace it is cache.ErrWrongType.
//
// A change that ends with cache.ErrOutcomeUnknown returns the version all the
// same: it was done if GetItem then says so. Of a lock that may have been taken
// so nobody knows the handle; it is taken back in the background.
//
// # Regions
//
// Each token has a generation, an id that is never used twice, under a key of its
// own; an entry carries the ids of what it depends on, and is a miss if one of
// them is not the current one. Under Options.Prefix:
//
//	__larder__:global              of everything
//	__larder__:region:NAME         of a region; ':' in its name is %3A, '%' is %25
//	__larder__:region:NAME:KEY     of a key in one
//	__larder__:epoch               the Moment, and which 128 tokens expired last
//
// ExpireTokens advances the epoch and replaces the generations: one script on one
// server, whatever depends on them; on several the epoch first, then the others
// at once. A hit on an entry with tokens reads its generations after it, or with
// GetUnder together with it; none is remembered between calls. To store such an
// entry takes one round trip more before the store, on several servers two for a
// fill. Entries without tokens cost what they always cost, and so do leases until
// TrackRegions.
//
// What Redis loses of this costs misses: a generation those of the entries under
// it, the epoch the loads in flight. A generation lives a day longer than the
// longest-lived entry it was stored with, for ever if that has no end. Only an
// entry whose life ResetTTL or Unlock prolongs beyond that may become a miss
// before its time. A load during which more than 128 tokens expire may be refused
// for a token that is used for the first time.
//
// A value whose region has expired stays in Redis until something takes its place
// or its time is over. To every call it is as if absent, a lock on it included.
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
// Redis replicates asynchronously: a failover can lose writes, removals,
// expirations of tokens, leases and locks that were acknowledged. Entries may be
// evicted at any time if the server's maxmemory-policy says so, locked ones too; a
// lost lease costs one more load, never a stale value. A write that ended with
// cache.ErrOutcomeUnknown may happen later still, even after a later removal that
// succeeded, if the network or the server held it up; a load's fill cannot, because
// its lease is gone by then. Regions do not work through a proxy that spreads the
// keys of one server address over several servers.
package distributed
