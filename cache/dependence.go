package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// dependence is what is known of the regions that a flight depends on.
//
// The interleaving it defends against: a load reads the source; the source is
// written and a region expired, here or in another process; a caller comes, finds
// the load in flight and joins it; only now the loader says that what it brings
// depends on the region. The key's lease still stands, since nobody wrote the
// key, so nothing kept the caller from joining.
//
// So a flight remembers who joined it after it had begun to read, and gives its
// result to them only if none of its tokens expired since its Moment, which lies
// before it read. The fill tells that, or, if there is none, a question of its
// own. Nobody may join between the answer and the end of the flight, or he might
// come after an expiration that the answer does not know of:
//
//   - where other processes expire regions, the flight leaves the table before it
//     asks;
//   - where only this one does, the flight has noted its tokens before it asks.
//     An expiration that the answer does not know of has yet to look for flights
//     then, finds it, and takes it out of the table before it returns.
//
// If the cache cannot be asked the result is shared all the same, as it is with
// keys. Who joined a flight that began after he came is not concerned, so nobody
// is sent back for this twice.
type dependence struct {
	tokens  []Token
	since   Moment // before it began to read; zero: not known
	blind   bool   // since is not known because the cache cannot be asked
	began   bool   // to read the source
	late    bool   // somebody joined it who came after it began to read
	expired bool   // a token expired after since, or it cannot be known
}

// InvalidateTokens voids the loads in flight that have named one of tokens, or
// one that belongs to it, as Invalidate does for a key. A backend calls it before
// and after it expires tokens.
func (c *Coordinator) InvalidateTokens(tokens []Token) {
	for i := range c.shards {
		s := &c.shards[i]
		if s.busy.Load() == 0 {
			continue
		}
		var voided []*flight
		s.mu.Lock()
		for _, f := range s.flights {
			if f.expiresWithLocked(tokens) && s.invalidateLocked(f) {
				voided = append(voided, f)
			}
		}
		s.forgetAllLocked()
		s.mu.Unlock()
		for _, f := range voided {
			c.invalidated(f)
		}
	}
}

// expiresWithLocked reports whether what f brings is void when tokens expire. If
// that is an entry of the cache nobody knows its tokens.
func (f *flight) expiresWithLocked(tokens []Token) bool {
	if f.claim.State == LeaseFound && f.base == (Version{}) {
		return true
	}
	return slices.ContainsFunc(f.depends.tokens, func(t Token) bool {
		return slices.ContainsFunc(tokens, t.expiresWith)
	})
}

// begins notes that the flight begins to read the source: what tokens it depends
// on as far as is known, and the Moment.
func (c *Coordinator) begins(f *flight, tokens []Token, since Moment, blind bool) {
	s := c.shard(f.key.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.reading = true
	f.depends.tokens = joinTokens(f.depends.tokens, tokens)
	f.depends.since, f.depends.blind, f.depends.began = since, blind, true
}

// names notes more tokens of the flight, and takes it out of the table if nobody
// may join it any more. It returns what is known by now.
func (c *Coordinator) names(f *flight, tokens []Token, last bool) dependence {
	s := c.shard(f.key.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.depends.tokens = joinTokens(f.depends.tokens, tokens)
	if last && len(f.depends.tokens) > 0 {
		s.dropLocked(f)
	}
	return f.depends
}

// expire notes that a token of the flight expired since it began, so that nobody
// joins it and who did late starts over. If it is still to be filled, it is
// voided as well.
func (c *Coordinator) expire(f *flight, over bool) {
	s := c.shard(f.key.name)
	s.mu.Lock()
	f.depends.expired = true
	voided := false
	if over {
		s.dropLocked(f)
	} else {
		voided = !f.void && s.invalidateLocked(f)
	}
	s.mu.Unlock()
	if voided {
		c.invalidated(f)
	}
}

// claimOf returns what the cache said to the flight's request for a lease.
func (c *Coordinator) claimOf(f *flight) LeaseReply {
	s := c.shard(f.key.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	return f.claim
}

// begin notes that the flight begins to read the source, and when that is in the
// history of the cache's regions.
func (t *Typed[V]) begin(by *Coordinator, f *flight) {
	if t.regions == nil {
		by.setReading(f, true)
		return
	}
	since, blind := t.momentOf(f.load.ctx, by.claimOf(f))
	by.begins(f, t.opts.Defaults.Tokens, since, blind)
}

// momentOf returns the Moment that came with a claim, or if there is none asks
// for it; not for a lease, which brings one if regions are used at all.
func (t *Typed[V]) momentOf(ctx context.Context, claim LeaseReply) (since Moment, blind bool) {
	shared := t.peeker != nil
	switch {
	case claim.Err == nil && (claim.Moment != Moment{} || claim.State == LeaseGranted):
		return claim.Moment, false
	case claim.Err != nil && shared:
		return Moment{}, true
	}
	since, err := t.regions.Moment(ctx)
	return since, err != nil
}

// named notes what a loader has told of its tokens. Where it costs no round trip
// the load is voided at once if one of them has expired already.
func (t *Typed[V]) named(by *Coordinator, f *flight, tokens []Token) {
	d := by.names(f, tokens, false)
	if t.regions == nil || t.peeker != nil || d.blind {
		return
	}
	if fresh, err := t.regions.Unexpired(context.WithoutCancel(f.load.ctx), d.since, tokens); err == nil && !fresh {
		by.expire(f, false)
	}
}

// resolve finds out whether a token of the flight expired since it began, after
// its fill, if there was one, ended with filled.
func (t *Typed[V]) resolve(ctx context.Context, by *Coordinator, f *flight, d dependence, fill bool, filled error) {
	if len(d.tokens) == 0 || !d.began || fill && filled == nil {
		return
	}
	expired := errors.Is(filled, ErrRegionExpired)
	if !expired {
		if d.blind || t.peeker != nil && !d.late {
			return
		}
		fresh, err := t.regions.Unexpired(ctx, d.since, d.tokens)
		expired = err == nil && !fresh
	}
	if expired {
		by.expire(f, true)
	}
}

// checkTokens refuses tokens where nothing would come of them.
func (t *Typed[V]) checkTokens(tokens []Token) error {
	if len(tokens) == 0 || t.regions != nil {
		return nil
	}
	return errNoRegions
}

var errNoRegions = fmt.Errorf("larder: tokens on a cache without regions: %w", errors.ErrUnsupported)
