package near

import (
	"time"

	"github.com/larder-go/larder/cache"
)

// Contact is how a cache hears of changes at one moment.
type Contact struct {
	State State
	Since time.Time // when the state began

	// AsOf is the time up to which every change is known, and Lag how old that
	// was when it was heard: two heartbeats and a round trip. Zero before the
	// first contact.
	AsOf time.Time
	Lag  time.Duration

	// Serving is whether what is held may be served now: in mode Validate always,
	// in the others while AsOf is within the bound, or the bound itself limits how
	// long values are held; in mode Ack while the lease stands, too.
	Serving bool

	Lost uint64 // how often contact was lost
	Err  error  // why, the last time; nil while Connected
}

// Contact returns how the cache hears of changes. It takes a lock for a moment.
func (c *Cache) Contact() Contact {
	t := &c.contact
	t.mu.Lock()
	defer t.mu.Unlock()
	return Contact{
		State: t.state, Since: t.since, AsOf: t.asOf, Lag: t.lag,
		Serving: c.mode == Validate || int64(c.local.Since(time.Now())) < c.until(),
		Lost:    t.losses, Err: t.lostErr,
	}
}

// Stats is what a near cache did since it was made, beyond its Stats.
type Stats struct {
	Hits     uint64 // reads served from this process
	Misses   uint64 // reads that went to the server
	Bypassed uint64 // of these, values held that might not be served
	Refused  uint64 // values not held, because their key changed while they were read

	Changes uint64 // changes of keys and tokens that the server told of
	Flushes uint64 // times that everything held was dropped

	Intents        int    // invalidations that could not reach the server and are being retried
	IntentsDropped uint64 // of such, those that will not be: too many waited, or the cache was closed
	Lapsed         uint64 // near caches in mode Ack that were waited for until their lease had ended

	Evictions uint64 // values that left to make room
	Entries   int64  // values held
	Bytes     int64  // their weight
}

// NearStats tells what the tier in this process did.
func (c *Cache) NearStats() Stats {
	local := c.local.Stats()
	bypassed := c.counts.bypassed.Load()
	waiting, dropped := c.intents.counts()
	var lapsed uint64
	if c.acks != nil {
		lapsed = c.acks.lapsed.Load()
	}
	return Stats{
		Intents: waiting, IntentsDropped: dropped, Lapsed: lapsed,

		Hits:      local.Hits - min(bypassed, local.Hits),
		Misses:    c.counts.misses.Load(),
		Bypassed:  bypassed,
		Refused:   c.counts.refused.Load(),
		Changes:   c.counts.changes.Load(),
		Flushes:   c.counts.flushes.Load(),
		Evictions: local.Evictions,
		Entries:   local.Entries,
		Bytes:     local.Bytes,
	}
}

// Stats returns what this cache did in this process, both tiers together: a hit
// is a read that either served. Entries, Bytes and Evictions are those of this
// process.
func (c *Cache) Stats() cache.Stats {
	s, here := c.Cache.Stats(), c.NearStats()
	s.Hits += here.Hits
	s.Entries, s.Bytes, s.Evictions = here.Entries, here.Bytes, here.Evictions
	return s
}
