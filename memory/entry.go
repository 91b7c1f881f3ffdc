package memory

import (
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/engine"
)

// kind is what an entry holds; calls for another kind fail with ErrWrongType.
type kind uint8

const (
	kindBytes kind = iota
	kindObject
	kindCounter
)

// never is the deadline of an entry that does not expire. Deadlines are
// nanoseconds on the cache's clock.
const never = engine.Never

// node is what the engine holds under a key: an entry with its key, weight and
// deadline.
type node = engine.Node[entry]

// entry is the cache's part of a node: 32 bytes, so that a node is a cache line.
// Its value and lifetime never change, except for a counter's number; a write
// stores another node.
type entry struct {
	object any                  // bytes are a *text, a counter is its *number; immutable
	side   atomic.Pointer[side] // regions, sliding window, lock, order; nil: none; changed under the key's lock
	write  uint64               // the number of the write that made it; see Cache.version
}

// number is that of a counter.
type number struct{ atomic.Int64 }

func (e *entry) kind() kind {
	// A switch would look into the type; these compare pointers to it.
	if _, ok := e.object.(*text); ok {
		return kindBytes
	}
	if _, ok := e.object.(*number); ok {
		return kindCounter
	}
	return kindObject
}

// draft is what a node is made of.
type draft struct {
	pinned bool
	object any // as in an entry
	weight int64
	stamp  *stamp
	last   *atomic.Pointer[side] // see sideOf
	life   cache.Lifetime
}

// node returns a node that begins to live at now.
func (d *draft) node(key string, now int64) *node {
	absolute := int64(never)
	if d.life.TTL > 0 {
		absolute = now + int64(d.life.TTL)
	}
	return newNode(key, d, int64(d.life.Sliding), absolute, now)
}

func newNode(key string, d *draft, window, absolute, now int64) *node {
	deadline := absolute
	if window > 0 {
		deadline = min(deadline, now+window)
	}
	n := engine.NewNode(key, entry{object: d.object}, d.weight, deadline, d.pinned)
	n.Value.begin(sideOf(d.stamp, window, absolute, d.last))
	return n
}

// expired reports whether n is gone at now: at its deadline, not after it, or
// when its lock ends if that is later; and at once if a region of it expired.
func expired(n *node, now int64) bool {
	return n.Value.lapsed() || now >= n.Deadline() && n.Value.lockAt(now) == nil
}

// lapsed reports whether a region that e depends on expired. That is for good.
func (e *entry) lapsed() bool { return e.side.Load().lapsed() }

// end makes sure that a node that has expired at now stays so: a read that was
// slow to move the deadline fails to. It returns false if one was in time, or n
// has not expired. The key's lock is held.
func end(n *node, now int64) bool {
	return n.Value.lapsed() || now >= n.Deadline() && n.Value.lockAt(now) == nil && n.End(now)
}

// standing returns old if it is live at now, and nil if it is not and stays so.
// The key's lock is held.
func standing(old *node, now int64) *node {
	if old == nil || end(old, now) {
		return nil
	}
	return old
}

// causeAt returns why n leaves that something takes away at now.
func causeAt(n *node, now int64, cause Cause) Cause {
	switch {
	case n.Value.lapsed():
		return CauseRemoved
	case expired(n, now):
		return CauseExpired
	}
	return cause
}

// left returns how long n lives if nothing befalls it.
func left(n *node, now int64) time.Duration {
	end := n.Deadline()
	if end == never {
		return cache.NoExpiry
	}
	if l := n.Value.lockAt(now); l != nil {
		end = max(end, l.end)
	}
	return time.Duration(max(0, end-now))
}

// text returns the value of an entry of bytes.
func (e *entry) text() string { return e.object.(*text).string() }

// number returns a counter's number; it is written under the key's lock.
func (e *entry) number() *number { return e.object.(*number) }

// value returns what e holds, for somebody outside.
func (e *entry) value() any {
	switch v := e.object.(type) {
	case *text:
		return copyOf(v.string())
	case *number:
		return v.Load()
	}
	return e.object
}
