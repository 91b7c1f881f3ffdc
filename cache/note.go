package cache

import (
	"context"
	"time"
)

// note says of a name that its last load is not to be repeated yet. It is kept
// in this process only, and ends with a write to the name.
type note struct {
	retry time.Time // no refresh before
	until time.Time // callers that find no value get err before
	err   error     // what the last load failed with; nil: it did not
}

func (n note) over(now time.Time) bool { return !now.Before(n.retry) && !now.Before(n.until) }

// maxNotes is how many names of a shard may have a note: 32 times as many in
// all. Who has no note is loaded, so the bound costs loads, not correctness.
const maxNotes = 256

// note keeps n of f's name, unless the name was written since f began.
func (c *Coordinator) note(f *flight, n note) {
	s := c.shard(f.key.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.stale || s.closed {
		return
	}
	s.forgetLocked(f.key.name)
	if len(s.notes) >= maxNotes {
		s.makeRoomLocked(time.Now())
	}
	if s.notes == nil {
		s.notes = make(map[string]note)
	}
	s.notes[f.key.name] = n
	s.busy.Add(1)
}

// makeRoomLocked forgets the notes that are over, and if need be others, so that
// it is not called for each note.
func (s *flightShard) makeRoomLocked(now time.Time) {
	for name, n := range s.notes {
		if n.over(now) {
			s.forgetLocked(name)
		}
	}
	for name := range s.notes {
		if len(s.notes) < maxNotes*3/4 {
			return
		}
		s.forgetLocked(name)
	}
}

func (s *flightShard) forgetLocked(name string) {
	if _, ok := s.notes[name]; ok {
		delete(s.notes, name)
		s.busy.Add(-1)
	}
}

func (s *flightShard) forgetAllLocked() {
	s.busy.Add(-int64(len(s.notes)))
	clear(s.notes)
}

// noted returns the note of name; zero: none.
func (c *Coordinator) noted(name string) note {
	s := c.shard(name)
	if s.busy.Load() == 0 {
		return note{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.notes[name]
	if ok && n.over(time.Now()) {
		s.forgetLocked(name)
		return note{}
	}
	return n
}

// failed returns the error that callers of name get instead of a load.
func (c *Coordinator) failed(ctx context.Context, name string) error {
	n := c.noted(name)
	if n.err == nil || !time.Now().Before(n.until) {
		return nil
	}
	c.errorsCached.Add(1)
	c.observe(ctx, Event{Kind: EventErrorCached, Layer: layerLoad, Err: n.err})
	return n.err
}

// refreshable reports whether a refresh of name may begin: none runs, no load is
// in flight, and the last one was not just now.
func (c *Coordinator) refreshable(name string) bool {
	s := c.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refreshableLocked(flightKey{name: name})
}

func (s *flightShard) refreshableLocked(key flightKey) bool {
	if s.closed {
		return false
	}
	if f := s.flights[key]; f != nil {
		if f.load.ctx.Err() == nil {
			return false
		}
		s.dropLocked(f) // its loader pays no heed to that
	}
	n, ok := s.notes[key.name]
	return !ok || !time.Now().Before(n.retry)
}

// refresh starts a flight of name that nobody waits for, if a refresh may begin:
// then the caller must run it.
func (c *Coordinator) refresh(ctx context.Context, name string, spec loadSpec, l *load) (j joined) {
	key := flightKey{name: name}
	s := c.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if isHeld(ctx, c, name) || !s.refreshableLocked(key) {
		return joined{}
	}
	return c.startLocked(ctx, s, key, spec, l)
}

// beginStoring notes that f begins to replace the entry. It reports false if f
// must not, since its name was written.
//
// The interleaving it defends against: the entry is replaced, which is a write to
// the name and would void f; or it is removed at the same time, and a caller that
// starts afterwards joins f. So until f is over, writes pass it by, the cache
// tells which came first, and callers that come wait and look again.
func (c *Coordinator) beginStoring(f *flight) bool {
	s := c.shard(f.key.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.stale {
		return false
	}
	f.storing = true
	return true
}

// setBase notes which entry f is to refresh, and the regions that this depends
// on.
func (c *Coordinator) setBase(f *flight, base Version, tokens []Token) {
	s := c.shard(f.key.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.claim, f.base = LeaseReply{State: LeaseFound}, base
	f.depends.tokens = joinTokens(f.depends.tokens, tokens)
}

// staleHit notes that a caller got a value that is not fresh.
func (c *Coordinator) staleHit(ctx context.Context) {
	c.staleHits.Add(1)
	c.observe(ctx, Event{Kind: EventStale, Layer: layerLoad})
}

// refreshed notes that a load for an entry that was there has ended.
func (c *Coordinator) refreshed(ctx context.Context, took time.Duration, err error) {
	c.refreshes.Add(1)
	c.observe(ctx, Event{Kind: EventRefresh, Layer: layerLoad, Duration: took, Err: err})
}
