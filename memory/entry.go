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

// entry is the cache's part of a node. Its value and lifetime never change,
// except for a counter's number; a write stores another node.
type entry struct {
	// What a hit on an object looks at: four words, which share a cache line with
	// the key and the deadline. Immutable.
	object  any    // a counter's is its number, an *atomic.Int64
	stamp   *stamp // the regions that it depends on; nil: none
	kind    kind
	sliding bool // window > 0

	replaced bool // by what was evicted at once; under the key's lock

	// Immutable.
	bytes    string
	window   int64  // the sliding window; 0: none
	absolute int64  // the deadline that a sliding window never passes
	write    uint64 // the number of the write that made it; see Cache.version

	lock atomic.Pointer[lock] // the last one, and the order; written under the key's lock
}

// draft is what a node is made of.
type draft struct {
	kind   kind
	pinned bool
	object any
	bytes  string
	weight int64
	stamp  *stamp
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
	return engine.NewNode(key, entry{
		object: d.object, stamp: d.stamp, kind: d.kind, sliding: window > 0,
		bytes: d.bytes, window: window, absolute: absolute,
	}, d.weight, deadline, d.pinned)
}

// expired reports whether n is gone at now: at its deadline, not after it, or
// when its lock ends if that is later; and at once if a region of it expired.
func expired(n *node, now int64) bool {
	return n.Value.lapsed() || now >= n.Deadline() && n.Value.lockAt(now) == nil
}

// lapsed reports whether a region that e depends on expired. That is for good.
func (e *entry) lapsed() bool { return e.stamp != nil && e.stamp.expired() }

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

// number returns a counter's number; it is written under the key's lock.
func (e *entry) number() *atomic.Int64 { return e.object.(*atomic.Int64) }

// value returns what e holds, for somebody outside.
func (e *entry) value() any {
	switch e.kind {
	case kindObject:
		return e.object
	case kindCounter:
		return e.number().Load()
	}
	return copyOf(e.bytes)
}
