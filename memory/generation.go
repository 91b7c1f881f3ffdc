package memory

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/larder-go/larder/cache"
)

// generation is a token from one expiration to the next. Entries point to those
// that they were loaded under, so that one mark makes all of them misses.
type generation struct {
	// Immutable.
	token cache.Token
	made  uint64 // how many expirations there had been when it was made, or at most

	expired atomic.Bool           // for good
	alone   atomic.Pointer[stamp] // the last of an entry with this token only, to be shared
}

// stamp is the generations that an entry depends on. It is immutable, but for last.
type stamp struct {
	side        side                 // of entries that have nothing else
	last        atomic.Pointer[side] // see sideOf
	generations []*generation        // those of its tokens first, then those they belong to; each once
	tokens      int                  // how many are those of its tokens
	few         [2]*generation       // where they are if they are no more
}

func (s *stamp) expired() bool {
	for _, g := range s.generations {
		if g.expired.Load() {
			return true
		}
	}
	return false
}

// made returns when the last of the generations was made.
func (s *stamp) made() (last uint64) {
	for _, g := range s.generations {
		last = max(last, g.made)
	}
	return last
}

// list returns the tokens of an entry with that stamp, which may be nil, but for
// those that others belong to.
func (s *stamp) list() []cache.Token {
	if s == nil {
		return nil
	}
	list := make([]cache.Token, s.tokens)
	for i := range list {
		list[i] = s.generations[i].token
	}
	return slices.DeleteFunc(list, func(t cache.Token) bool {
		return slices.ContainsFunc(s.generations[:s.tokens], func(g *generation) bool { return g.belongsTo(t) })
	})
}

// belongsTo reports whether t is above the generation's token.
func (g *generation) belongsTo(t cache.Token) bool {
	for parent, ok := g.token.Parent(); ok; parent, ok = parent.Parent() {
		if parent == t {
			return true
		}
	}
	return false
}

// regions knows the current generation of each token, or when it was last
// expired, in a history that counts expirations.
//
// It is bounded: it keeps no generation alive that no entry points to, and
// forgets a token that has none unless it was among the last to expire. Of what
// it forgot it remembers when the last one was expired, and takes every token
// that it does not know for having expired then. So to forget may refuse a fill,
// but never accepts one.
//
// A token has one generation at most that has not expired and that anybody points
// to: the next is made under the lock, when that one was marked or collected. So
// whoever finds one that has not expired has found the current one, and needs no
// lock for it; see docs/engine.md.
type regions struct {
	id      uint64 // immutable; random: of this cache's history
	counter atomic.Uint64
	records records

	mu     sync.Mutex
	forgot uint64 // no forgotten token was expired later
}

const (
	// remembered is how many expirations of tokens without entries are
	// remembered, so that loads that began before them are told apart from
	// others. A record takes about 100 bytes.
	remembered = 1 << 15

	// swept is how many chains of records are looked at for each that is made.
	// Eight keep the useless ones at an eighth of the chains, which is a quarter
	// of all at most, as there are at least half as many as chains once they grew.
	swept = 8
)

func newRegions() *regions {
	return &regions{id: rand.Uint64(), records: records{seed: maphash.MakeSeed()}}
}

func (r *regions) moment() cache.Moment {
	var m cache.Moment
	binary.BigEndian.PutUint64(m[:8], r.id)
	binary.BigEndian.PutUint64(m[8:], r.counter.Load())
	return m
}

// read returns how many expirations there were at m, if m is of this history.
func (r *regions) read(m cache.Moment) (counter uint64, ok bool) {
	return binary.BigEndian.Uint64(m[8:]), binary.BigEndian.Uint64(m[:8]) == r.id && m != cache.Moment{}
}

// stamp returns the current generations of tokens, or nil if one of them expired
// after since, unless that is zero.
//
// There is no need to look again when the entry is stored: if one of them is
// expired meanwhile the entry is dead when it gets there.
func (r *regions) stamp(tokens []cache.Token, since cache.Moment) *stamp {
	before := uint64(math.MaxUint64)
	if (since != cache.Moment{}) {
		var ok bool
		if before, ok = r.read(since); !ok {
			return nil
		}
	}
	s := r.shared(tokens)
	if s == nil {
		s = r.build(tokens)
	}
	if before != math.MaxUint64 && s.made() > before {
		return nil
	}
	return s
}

// shared returns the stamp that entries with a single token share, if it stands.
func (r *regions) shared(tokens []cache.Token) *stamp {
	if len(tokens) != 1 {
		return nil
	}
	g := r.records.find(&tokens[0]).generation()
	if g == nil {
		return nil
	}
	s := g.alone.Load()
	if s == nil || s.expired() {
		return nil
	}
	return s
}

func (r *regions) build(tokens []cache.Token) *stamp {
	s := &stamp{}
	s.side.stamp, s.generations = s, s.few[:0]
	add := func(t cache.Token) {
		if g := r.current(t); !slices.Contains(s.generations, g) {
			s.generations = append(s.generations, g)
		}
	}
	for _, t := range tokens {
		add(t)
	}
	s.tokens = len(s.generations)
	for _, t := range tokens {
		for parent, ok := t.Parent(); ok; parent, ok = parent.Parent() {
			add(parent)
		}
	}
	if s.tokens == 1 {
		s.generations[0].alone.Store(s)
	}
	return s
}

// current returns the generation of t, made if need be.
func (r *regions) current(t cache.Token) *generation {
	if g := r.records.find(&t).generation(); g != nil && !g.expired.Load() {
		return g
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.records.find(&t)
	if g := rec.generation(); g != nil {
		return g
	}
	if rec == nil {
		rec = r.addLocked(t, r.forgot)
	}
	g := &generation{token: t, made: rec.expired}
	rec.current.Store(&weakGeneration{weak.Make(g)})
	return g
}

// expire ends the generations of tokens.
func (r *regions) expire(tokens []cache.Token) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.counter.Add(uint64(len(tokens)))
	for _, t := range tokens {
		rec := r.records.find(&t)
		if g := rec.generation(); g != nil {
			g.expired.Store(true)
		}
		if rec == nil {
			r.addLocked(t, now)
			continue
		}
		rec.expired = now
		rec.current.Store(nil)
	}
}

// unexpired reports whether none of tokens expired after since.
func (r *regions) unexpired(since cache.Moment, tokens []cache.Token) bool {
	before, ok := r.read(since)
	if !ok {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range tokens {
		for ok := true; ok; t, ok = t.Parent() {
			expired := r.forgot
			if rec := r.records.find(&t); rec != nil {
				expired = rec.expired
			}
			if expired > before {
				return false
			}
		}
	}
	return true
}

// addLocked makes a record of t, which has none, and forgets a few others that
// nobody will miss.
func (r *regions) addLocked(t cache.Token, expired uint64) *record {
	now := r.counter.Load()
	r.records.someLocked(swept, func(rec *record) bool {
		old := rec.expired <= r.forgot || now-rec.expired >= remembered
		if !old || rec.generation() != nil {
			return false
		}
		r.forgot = max(r.forgot, rec.expired)
		return true
	})
	return r.records.addLocked(t, expired)
}
