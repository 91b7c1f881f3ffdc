package engine

import (
	"errors"
	"hash/maphash"
	"math/bits"
	"sync/atomic"
	"time"
)

// Engine is a bounded table of nodes. Make one with New. It is safe for
// concurrent use. Nothing has to be done at its end: an engine that nobody
// refers to is collected. See Close.
type Engine[V any] struct {
	// Immutable.
	seed   maphash.Seed
	shift  uint // of a 32-bit hash: what is left chooses the shard
	shards []shard[V]
	clock  *clock
	gone   func(*Node[V], Cause)
	keep   func(*Node[V], int64) int64
	tidied func()

	heaviest atomic.Int64 // the limit of weight

	_      [64]byte // keeps what changes all the time off the lines of the rest
	policy policy[V]

	counters   counters
	invariants invariants[V]
}

// Options are what New takes. The zero value is an engine without limits.
type Options[V any] struct {
	Limits Limits

	// Start is time 0 of the engine's clock; the zero time is now.
	Start time.Time

	// Gone is told about each node that leaves other than by being replaced,
	// once, under the lock of its key: it must be short, and must not call the
	// engine. nil: nobody wants to know.
	Gone func(*Node[V], Cause)

	// Keep is asked under the lock of its key whether a node that has expired
	// at now shall stay for now, as one that is locked; it returns until when.
	// nil: none does.
	Keep func(n *Node[V], now int64) int64

	// Tidied is called with no lock held after the engine, by itself, has
	// reclaimed what expired: on the goroutine of a timer, and on two at once if
	// it takes longer than the next timer.
	Tidied func()
}

// Cause is why a node left.
type Cause uint8

const (
	Removed  Cause = iota // by a call
	Expired               // its deadline has passed
	Capacity              // to make room
)

var (
	// ErrTooHeavy is what a change returns that would store a node heavier than
	// the limit. It was refused before anything happened.
	ErrTooHeavy = errors.New("engine: heavier than the limit")

	// ErrFull is what a change returns for which pinned nodes leave no room.
	ErrFull = errors.New("engine: pinned entries leave no room")
)

const (
	mostShards    = 128
	entriesAShard = 32 // at least, where the limit is known
)

// New returns an empty engine. Limits must not be negative.
func New[V any](o Options[V]) *Engine[V] {
	if o.Start.IsZero() {
		o.Start = time.Now()
	}
	e := &Engine[V]{
		seed: maphash.MakeSeed(), clock: newClock(o.Start),
		gone: o.Gone, keep: o.Keep, tidied: o.Tidied,
	}
	count, shift := 1, uint(32)
	for count < mostShards && (o.Limits.Entries == 0 || int64(count)*entriesAShard < o.Limits.Entries) {
		count *= 2
		shift--
	}
	e.shift, e.shards = shift, make([]shard[V], count)
	for i := range e.shards {
		e.shards[i].table.Store(newTable[V](1))
	}
	p := &e.policy
	p.limits, p.slots, p.clock = o.Limits, newSlots[V](), e.clock
	p.mu.init()
	p.freed.L = &p.mu
	e.heaviest.Store(o.Limits.heaviest())
	p.wheel.time, p.armed = e.clock.now(), Never
	p.wakeUp = waker(e)
	p.climber.share = firstShare
	return e
}

// Now returns the time on the engine's clock.
func (e *Engine[V]) Now() int64 { return e.clock.now() }

// Live reports whether n has not expired. It reads the clock only if n expires
// within a second or so.
func (e *Engine[V]) Live(n *Node[V]) bool { return e.clock.before(n.deadline.Load()) }

// Slide is Live for a node with a sliding window, which it restarts; see
// Node.Slide. It reads the clock only if it has to move the deadline, or n
// expires within a second or so.
func (e *Engine[V]) Slide(n *Node[V], window, limit int64) bool {
	deadline := n.deadline.Load()
	seen := e.clock.cached.Load()
	if seen < deadline-int64(clockMargin) && !worthMoving(deadline, min(seen+window, limit), window, limit) {
		return true
	}
	return n.Slide(e.clock.exact(), window, limit)
}

func (e *Engine[V]) shardOf(hash uint64) *shard[V] { return &e.shards[hash>>32>>e.shift] }

// shardOfNode returns the shard of a node that is in the table, or was.
func (e *Engine[V]) shardOfNode(n *Node[V]) *shard[V] { return &e.shards[uint64(n.hash)>>e.shift] }

// Find returns the node under key, or nil. It counts as a use of it, but not
// as a hit; the node may have expired. It takes no lock and does not keep key.
//
// It is table.find written out, which saves a hit the tenth part of its time.
func (e *Engine[V]) Find(key string) *Node[V] {
	hash := maphash.String(e.seed, key)
	t := e.shardOf(hash).table.Load()
	b := &t.buckets[home(hash)&t.mask]
	tags := b.tags.Load()
	for m := matches(tags, tagOf(hash)); m != 0; m &= m - 1 {
		n := b.nodes[bits.TrailingZeros64(m)/8].Load()
		if n != nil && n.is(key) {
			n.use()
			return n
		}
	}
	if tags < passedOne {
		return nil
	}
	n := t.findBeyond(hash, key)
	if n != nil {
		n.use()
	}
	return n
}

// Peek is Find without a use.
func (e *Engine[V]) Peek(key string) *Node[V] {
	hash := maphash.String(e.seed, key)
	return e.shardOf(hash).table.Load().find(hash, key)
}

// Get returns the value under key if it has not expired, and counts a hit or a
// miss.
func (e *Engine[V]) Get(key string) (value V, ok bool) {
	n := e.Find(key)
	if n == nil || !e.Live(n) {
		e.Miss()
		return value, false
	}
	e.Hit()
	return n.Value, true
}

// Set stores n, whatever is under its key.
func (e *Engine[V]) Set(n *Node[V]) error {
	return e.Put(n, func(*Node[V]) *Node[V] { return n })
}

// Remove takes out what is under key.
func (e *Engine[V]) Remove(key string) {
	_ = e.Compute(key, Nothing, func(*Node[V]) *Node[V] { return nil })
}

// Compute replaces the node under key, or nil, by what change returns: the same
// to leave it alone (and take over a deadline that change has set), nil to
// remove it, or a new node of that key, no heavier than weight. weight is Nothing
// if change stores nothing, and SameWeight if it may store what is no heavier
// than the node under key.
//
// change runs once, alone among all changes of that key, evictions included,
// unless Compute returns an error: then it did not run. It must be short and
// must not call the engine. Room is made before it runs, so it costs somebody
// else's entry even if change decides not to store; but what has the same
// weight as the node under key needs none.
func (e *Engine[V]) Compute(key string, weight int64, change func(old *Node[V]) *Node[V]) error {
	hash := maphash.String(e.seed, key)
	s := e.shardOf(hash)
	held, old, err := e.lockWithRoom(s, hash, key, weight)
	if err != nil {
		return err
	}
	e.changeLocked(s, hash, key, old, weight, held, change)
	return nil
}

// changeLocked has change say what takes the place of old, which may be nil and
// is under key in s; what it may store has its room. It unlocks s.
func (e *Engine[V]) changeLocked(s *shard[V], hash uint64, key string, old *Node[V], weight int64, held room, change func(*Node[V]) *Node[V]) {
	beyond := false // pinned entries alone may be: see Resize
	defer func() {  // also if change panics
		s.mu.Unlock()
		e.giveBack(held)
		if beyond {
			e.shrink()
		}
		e.invariants.check(e)
	}()
	deadline := int64(Never)
	if old != nil {
		deadline = old.Deadline()
	}
	switch next := change(old); {
	case next == old:
		if old != nil && (old.Deadline() < deadline || old.kept()) {
			old.state.And(^uint32(keptFlag))
			e.policy.reschedule(old)
		}
	case next == nil:
		e.removeLocked(s, old, Removed)
	case next.Weight() > allowed(old, weight) || !next.is(key) || next.pos != 0:
		panic("engine: not the node that was announced, or one that was used before")
	case old == nil:
		next.hash = home(hash)
		held = e.insertLocked(s, next, tagOf(hash), held)
	default:
		next.hash = home(hash)
		beyond = old.Pinned() && !next.Pinned()
		held = e.replaceLocked(s, old, next, deadline, held)
	}
}

// allowed returns how heavy a node in the place of old may be.
func allowed[V any](old *Node[V], weight int64) int64 {
	if weight == SameWeight && old != nil {
		return old.Weight()
	}
	return weight
}

// lockWithRoom locks s, reserves what a node of that weight needs in the place
// of the one under key, and returns that one. It first looks without the lock
// what is needed, since nobody may make room with the lock of a key held; what
// it finds under the lock decides.
func (e *Engine[V]) lockWithRoom(s *shard[V], hash uint64, key string, weight int64) (held room, old *Node[V], err error) {
	if weight >= 0 {
		old = s.table.Load().find(hash, key)
	}
	for {
		if weight > e.heaviest.Load() {
			e.giveBack(held)
			return room{}, nil, ErrTooHeavy
		}
		if need := roomFor(old, weight); !held.covers(need) {
			e.giveBack(held)
			if held, err = e.makeRoom(need); err != nil {
				return room{}, nil, err
			}
		}
		s.mu.Lock()
		if old = s.table.Load().find(hash, key); held.covers(roomFor(old, weight)) {
			return held, old, nil
		}
		s.mu.Unlock()
	}
}

// insertLocked publishes n, whose room is held, and returns what is still held.
// Who finds n in a queue before it is published waits for the lock of its key.
func (e *Engine[V]) insertLocked(s *shard[V], n *Node[V], tag uint64, held room) room {
	p := &e.policy
	p.mu.Lock()
	p.enter(p.slots.take(), n)
	p.release(room{held.entries - 1, held.weight - n.Weight(), held.reserved})
	p.mu.Unlock()
	s.insertLocked(n, tag)
	return room{}
}

// replaceLocked publishes next in the place of old, and returns what is still
// held. registered is the deadline that the wheel knows, or later than that. If
// nothing changes for the policy, its lock is not taken.
func (e *Engine[V]) replaceLocked(s *shard[V], old, next *Node[V], registered int64, held room) room {
	p := &e.policy
	next.pos = old.pos
	next.state.Or(old.state.Load() & usesMask)
	next.use()
	at := next.Deadline()
	kept := old.kept()
	same := old.Weight() == next.Weight() && at >= registered && !old.Pinned() && !next.Pinned() && !kept
	if !same {
		p.mu.Lock()
		defer p.mu.Unlock()
	}
	s.table.Load().replace(old, next)
	p.slots.at(next.pos).node.Store(next)
	old.kill()
	if same {
		return held
	}
	if at < registered || kept {
		p.schedule(next.pos, at)
	}
	p.repin(old, next)
	grown := next.Weight() - old.Weight()
	p.release(room{held.entries, held.weight - grown, held.reserved})
	return room{}
}

// removeLocked takes n out of the table and the policy.
func (e *Engine[V]) removeLocked(s *shard[V], n *Node[V], cause Cause) {
	s.removeLocked(n)
	e.left(n, cause)
	e.policy.mu.Lock()
	e.policy.leave(n)
	e.policy.mu.Unlock()
}

// left tells everybody that n was taken out of the table. The lock of its key
// is held.
func (e *Engine[V]) left(n *Node[V], cause Cause) {
	n.kill()
	if e.gone != nil {
		e.gone(n, cause)
	}
}
