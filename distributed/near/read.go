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
	value, at, found, _ := c.local.GetObjectAt(ctx, key)
	if !found {
		return nil, false
	}
	if c.mode == Validate {
		return c.validated(ctx, strings.Clone(key), value)
	}
	if int64(at) >= until {
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
	shard  *shard
	seq    uint64       // of the shard, before the server was asked
	moment cache.Moment // of the local tier's regions, then
	end    time.Time    // until when it may be held; zero: without end
	from   distributed.Copy
}

// Fetch reads the shared tier. See cache.Near.
func (c *Cache) Fetch(ctx context.Context, key string, tokens []cache.Token) ([]byte, cache.NearTicket, bool, error) {
	began := time.Now()
	t := &ticket{shard: c.guard.shard(key)}
	t.seq = t.shard.now()
	t.moment, _ = c.local.Moment(ctx) // fails only if the cache is closed
	hold := c.contact.hold()
	c.counts.misses.Add(1)
	read, found, err := c.tier.Read(ctx, key, tokens)
	if err != nil || !found {
		return nil, nil, false, err
	}
	if hold == 0 || read.Locked {
		return read.Value, nil, true, nil
	}
	t.end = read.Deadline
	if read.Sliding > 0 {
		t.end = earlier(t.end, began.Add(read.Sliding/slidingShare))
	}
	if hold > 0 {
		t.end = earlier(t.end, began.Add(hold))
	}
	t.from = read
	t.from.Value = nil
	return read.Value, t, true, nil
}

// earlier returns the earlier of two times; zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// PutNear holds value, unless key has changed since the Fetch. See cache.Near.
func (c *Cache) PutNear(key string, value any, size int, its cache.NearTicket) {
	t, ok := its.(*ticket)
	if !ok || t == nil || value == nil {
		return
	}
	opts := cache.EntryOptions{TTL: cache.NoExpiry, Size: int64(size), Tokens: t.from.Tokens}
	if len(opts.Tokens) > 0 {
		opts.Since = t.moment
	}
	if c.mode == Validate {
		value = &copied{value: value, from: t.from}
	}
	refused := false
	put := func() {
		// Under the shard's lock: an intent is noted before it drops what is held.
		if refused = c.intents.refuses(key, t.from.Tokens); refused {
			return
		}
		if !t.end.IsZero() {
			// Whole milliseconds, or the local tier would round them up.
			if opts.TTL = time.Until(t.end).Truncate(time.Millisecond); opts.TTL <= 0 {
				return
			}
		}
		_ = c.local.SetObject(context.Background(), key, value, opts) // too large, or a region has expired
	}
	if !t.shard.putIf(t.seq, put) || refused {
		c.counts.refused.Add(1)
	}
}
