package near

import (
	"context"
	"strings"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
)

// slidingShare is the part of its window for which a sliding entry is held.
const slidingShare = 16

// copied is what mode Validate holds: a value with what it needs to be checked.
type copied struct {
	value any
	from  distributed.Copy // without the bytes
}

// GetNear returns the value held for key, if it may be served. It does not keep
// key, and takes no lock and no memory; in mode Validate it makes a round trip.
// See cache.Near.
func (c *Cache) GetNear(ctx context.Context, key string) (any, bool) {
	// In this order: what was heard of by this contact is gone from what is looked
	// up after it.
	until := c.until()
	if until == 0 && c.mode != Validate {
		return nil, false
	}
	now := c.contact.clock.Now()
	value, found, _ := c.local.GetObjectAt(ctx, key, time.Duration(now))
	if !found {
		return nil, false
	}
	if c.mode == Validate {
		return c.validated(ctx, strings.Clone(key), value)
	}
	if now >= until {
		c.counts.bypassed.Add(1)
		return nil, false
	}
	if c.observer != nil {
		c.observe(ctx, cache.Event{Kind: cache.EventHit, Op: "get"})
	}
	return value, true
}

// validated asks the server whether what is held still counts.
func (c *Cache) validated(ctx context.Context, key string, held any) (any, bool) {
	v := held.(*copied)
	ok, err := c.tier.Current(ctx, key, &v.from)
	if err != nil || !ok {
		c.counts.bypassed.Add(1)
		if err == nil {
			_ = c.local.Remove(ctx, key)
		}
		return nil, false
	}
	if c.observer != nil {
		c.observe(ctx, cache.Event{Kind: cache.EventHit, Op: "get"})
	}
	return v.value, true
}

// ticket is what a Fetch knows: see cache.NearTicket.
type ticket struct {
	// From before the server was asked.
	began  time.Time
	shard  *shard
	seq    uint64        // of the shard
	moment cache.Moment  // of the local tier's regions
	hold   time.Duration // see contact.hold

	end  time.Time        // until when it may be held; zero: without end
	from distributed.Copy // without the bytes
}

// Fetch reads the shared tier. See cache.Near.
func (c *Cache) Fetch(ctx context.Context, key string, tokens []cache.Token) ([]byte, cache.NearTicket, bool, error) {
	t := c.begin(ctx, key)
	c.counts.misses.Add(1)
	read, found, err := c.tier.Read(ctx, key, tokens)
	if err != nil || !found {
		return nil, nil, false, err
	}
	return read.Value, t.of(read), true, nil
}

// FetchMany reads the shared tier in one round trip per node, for what is not held
// here. In mode Validate it reads everything: that is one round trip, too. See
// cache.Near.
func (c *Cache) FetchMany(ctx context.Context, keys []string) ([]cache.Fetched, error) {
	fetched := make([]cache.Fetched, len(keys))
	var missing []string
	var index []int
	var tickets []ticket
	for i, key := range keys {
		if c.mode != Validate {
			if held, ok := c.GetNear(ctx, key); ok {
				fetched[i].Held = held
				continue
			}
		}
		missing, index, tickets = append(missing, key), append(index, i), append(tickets, c.begin(ctx, key))
	}
	if len(missing) == 0 {
		return fetched, nil
	}
	c.counts.misses.Add(uint64(len(missing)))
	results, err := c.tier.ReadMany(ctx, missing)
	if err != nil {
		return nil, err
	}
	for j, r := range results {
		f := &fetched[index[j]]
		if f.Found, f.Err = r.Found, r.Err; r.Found {
			f.Value, f.Ticket = r.Value, tickets[j].of(r.Copy)
		}
	}
	return fetched, nil
}

// begin notes what a Fetch has to know before it asks the server.
func (c *Cache) begin(ctx context.Context, key string) ticket {
	t := ticket{shard: c.guard.shard(key), began: time.Now()}
	t.seq = t.shard.now()
	t.moment, _ = c.local.Moment(ctx) // fails only if ctx has ended or the cache is closed
	t.hold = c.contact.hold()
	return t
}

// of returns the ticket for what was read; nil if it cannot be held.
func (t ticket) of(read distributed.Copy) cache.NearTicket {
	if t.hold == 0 || read.Locked {
		return nil
	}
	t.end = read.Deadline
	if read.Sliding > 0 {
		t.end = earlier(t.end, t.began.Add(read.Sliding/slidingShare))
	}
	if t.hold > 0 {
		t.end = earlier(t.end, t.began.Add(t.hold))
	}
	t.from = read
	t.from.Value = nil
	return &t
}

// lasting returns how the local tier is to hold what was read. It names the end, not
// what is left of it, which a process that is stopped here would get twice.
func (t *ticket) lasting() cache.EntryOptions {
	opts := cache.EntryOptions{TTL: cache.NoExpiry, Tokens: t.from.Tokens}
	if len(opts.Tokens) > 0 {
		opts.Since = t.moment
	}
	if !t.end.IsZero() {
		// The local tier rounds up to whole milliseconds: so much is taken off that it
		// comes to rounding down.
		opts.TTL, opts.AbsoluteExpiration = 0, t.end.Add(1-time.Millisecond)
	}
	return opts
}

// earlier returns the earlier of two times; zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// PutNear holds value, unless key has changed since the Fetch. See cache.Near.
func (c *Cache) PutNear(key string, value any, its cache.NearTicket) {
	t, ok := its.(*ticket)
	if !ok || t == nil || value == nil {
		return
	}
	if c.mode == Validate {
		value = &copied{value: value, from: t.from}
	}
	opts := t.lasting()
	refused := false
	// An error is that it is too large, or that it or a region has expired. Callbacks
	// of the local tier's options run without the shard's lock.
	_ = c.local.SetObjectWithin(context.Background(), key, value, opts, func(put func()) {
		refused = !t.shard.putIf(t.seq, func() {
			// Under the lock: an intent is noted before it drops what is held.
			if refused = c.intents.refuses(key, t.from.Tokens); !refused {
				put()
			}
		}) || refused
	})
	if refused {
		c.counts.refused.Add(1)
	}
}
