package engine

import (
	"math"
	"sync/atomic"
	"unsafe"
)

// Never is the deadline of a node that does not expire. Deadlines are
// nanoseconds on the engine's clock; see Engine.Now.
const Never = math.MaxInt64

// ended is the deadline of a node whose end as expired is decided: nothing
// moves it any more. It leaves room for subtraction.
const ended = math.MinInt64 / 2

// Node is what the table holds under a key. A change of the value is another
// node. It is small, so that many of them fit into the caches of a core: 32 bytes
// besides the value, so with one of four words a node is one cache line.
//
// The zero Node cannot be used; see NewNode.
type Node[V any] struct {
	text     *byte         // of the key; its length is in state
	deadline atomic.Int64  // moved by Slide, later only; by SetDeadline; ended once it expired
	state    atomic.Uint32 // how often it was used, up to maxUses, flags, and the length of the key
	hash     uint32        // written before the node is published

	// Value is for reading once the node is in a table.
	Value V

	light uint32 // the weight, or tooHeavy if it is part of a heavyNode; immutable
	pos   uint32 // the slot of its entry; written before the node is published
}

// heavyNode is a node whose weight takes more than 32 bits.
type heavyNode[V any] struct {
	node   Node[V]
	weight int64
}

const tooHeavy = math.MaxUint32

// The state of a node.
const (
	usesMask   = 3
	maxUses    = 3
	deadFlag   = 1 << 2 // it left the table; set under the lock of its key
	pinnedFlag = 1 << 3 // immutable
	keptFlag   = 1 << 4 // the wheel knows when Keep lets it go, not its deadline; under the lock of its key
)

// MaxKeyLength is the length of the longest key that a node can have.
const MaxKeyLength = 1<<(32-lengthShift) - 1

// lengthShift is where the length of the key is in a node's state. It never
// changes.
const lengthShift = 16

// NewNode returns a node for one call of Compute or Set. It panics if key is
// longer than MaxKeyLength. A weight below 0 is 0; deadline is on the engine's
// clock; a pinned node is never evicted to make room.
func NewNode[V any](key string, value V, weight, deadline int64, pinned bool) *Node[V] {
	if len(key) > MaxKeyLength {
		panic("engine: the key is too long")
	}
	var n *Node[V]
	if weight < tooHeavy {
		n = &Node[V]{light: uint32(max(0, weight))}
	} else {
		heavy := &heavyNode[V]{weight: weight}
		n = &heavy.node
		n.light = tooHeavy
	}
	n.text, n.Value = unsafe.StringData(key), value
	state := uint32(len(key)) << lengthShift
	if pinned {
		state |= pinnedFlag
	}
	// Nobody else sees n yet, so there is no need for the barriers of Store.
	*(*int64)(unsafe.Pointer(&n.deadline)) = deadline
	*(*uint32)(unsafe.Pointer(&n.state)) = state
	return n
}

// Key returns the node's key.
func (n *Node[V]) Key() string { return unsafe.String(n.text, n.state.Load()>>lengthShift) }

// is reports whether key is the node's.
func (n *Node[V]) is(key string) bool {
	return n.state.Load()>>lengthShift == uint32(len(key)) && unsafe.String(n.text, len(key)) == key
}

// Weight returns the node's weight.
func (n *Node[V]) Weight() int64 {
	if n.light == tooHeavy {
		return (*heavyNode[V])(unsafe.Pointer(n)).weight
	}
	return int64(n.light)
}

// Pinned reports whether n is never evicted to make room.
func (n *Node[V]) Pinned() bool { return n.state.Load()&pinnedFlag != 0 }

// Dead reports whether n has left the table.
func (n *Node[V]) Dead() bool { return n.state.Load()&deadFlag != 0 }

// Deadline returns when n expires: it is gone at its deadline, not after it. A
// node that was removed as expired has one in the distant past.
func (n *Node[V]) Deadline() int64 { return n.deadline.Load() }

// SetDeadline moves the deadline of n, either way. It is for the function that
// Compute runs, which then returns n, and for nodes that were not published.
func (n *Node[V]) SetDeadline(at int64) { n.deadline.Store(at) }

// Slide restarts a sliding window: it moves the deadline to now+window, but not
// beyond limit, if that is later by more than a 16th of the window, or is limit.
// So an entry may end up to that much earlier than exactly one window after its
// last use, but not before limit if its last use was in the window before that;
// and an entry that is read all the time is written 16 times per window. It
// returns false if n has expired at now.
func (n *Node[V]) Slide(now, window, limit int64) bool {
	for {
		deadline := n.deadline.Load()
		if now >= deadline {
			return false
		}
		next := min(now+window, limit)
		if !worthMoving(deadline, next, window, limit) || n.deadline.CompareAndSwap(deadline, next) {
			return true
		}
	}
}

const slideParts = 16

func worthMoving(deadline, next, window, limit int64) bool {
	return next-deadline > window/slideParts || next == limit && deadline < limit
}

// MoveDeadline moves the deadline from one time to a later one, and returns
// false if it was not the first. It is for a node that stays for now beyond its
// deadline, which Slide takes for gone; see Options.Keep.
func (n *Node[V]) MoveDeadline(from, to int64) bool { return n.deadline.CompareAndSwap(from, to) }

// End decides that n has expired at now, so that a read which was slow to move
// the deadline fails to. It returns false if one was in time. It is for the
// function that Compute runs, which then does not return n.
func (n *Node[V]) End(now int64) bool {
	for {
		deadline := n.deadline.Load()
		if now < deadline {
			return false
		}
		if deadline == ended || n.deadline.CompareAndSwap(deadline, ended) {
			return true
		}
	}
}

// use counts a use. Once the counter is full, as that of a hot entry is, it
// writes nothing.
func (n *Node[V]) use() {
	if s := n.state.Load(); s&usesMask < maxUses {
		n.state.CompareAndSwap(s, s+1)
	}
}

// takeUses sets the counter back by up to n uses and returns how many it had.
func (n *Node[V]) takeUses(by uint32) uint32 {
	for {
		s := n.state.Load()
		uses := s & usesMask
		if uses == 0 || n.state.CompareAndSwap(s, s-min(uses, by)) {
			return uses
		}
	}
}

func (n *Node[V]) kill() { n.state.Or(deadFlag) }

func (n *Node[V]) kept() bool { return n.state.Load()&keptFlag != 0 }
