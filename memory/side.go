package memory

import (
	"sync/atomic"
	"unsafe"
)

// side is what an entry has besides its value and its deadline. Most entries have
// none, or share the one of their regions. It is immutable, but for that an entry
// may get another: with another lock or order, under the key's lock. The rest of
// it is the same then.
type side struct {
	stamp    *stamp // the regions that the entry depends on; nil: none
	window   int64  // the sliding window; 0: none
	absolute int64  // the deadline that a sliding window never passes; of no use without one
	lock     *lock  // the last one, and the order; nil: neither
	replaced bool   // by what was evicted at once
}

// sideOf returns what an entry has that was not locked, is in the regions of s
// and slides by that window. last, unless it is nil, is where the last one is that
// entries of these regions which slide for ever share: mostly they have one
// window.
func sideOf(s *stamp, window, absolute int64, last *atomic.Pointer[side]) *side {
	switch {
	case window > 0 && absolute == never && last != nil:
		shared := last.Load()
		if shared == nil || shared.window != window {
			shared = &side{stamp: s, window: window, absolute: absolute}
			last.Store(shared)
		}
		return shared
	case window > 0:
		return &side{stamp: s, window: window, absolute: absolute}
	case s != nil:
		return &s.side
	}
	return nil
}

// lapsed reports whether a region expired. That is for good.
func (s *side) lapsed() bool { return s != nil && s.stamp != nil && s.stamp.expired() }

func (e *entry) stamp() *stamp {
	if s := e.side.Load(); s != nil {
		return s.stamp
	}
	return nil
}

// sliding returns the sliding window and the deadline that it never passes; 0
// is no window.
func (e *entry) sliding() (window, absolute int64) {
	if s := e.side.Load(); s != nil {
		return s.window, s.absolute
	}
	return 0, 0
}

// lastLock returns the last lock on e, which may have ended, and the order; nil
// if there is neither.
func (e *entry) lastLock() *lock {
	if s := e.side.Load(); s != nil {
		return s.lock
	}
	return nil
}

// begin gives e, which nobody else sees yet, its side. It does without the
// barrier of a Store.
func (e *entry) begin(s *side) { *(*unsafe.Pointer)(unsafe.Pointer(&e.side)) = unsafe.Pointer(s) }

// setLock is for who holds the key's lock, or made e.
func (e *entry) setLock(l *lock) {
	if l == e.lastLock() {
		return
	}
	window, absolute := e.sliding()
	if l == nil && window == 0 && !e.replaced() {
		e.side.Store(sideOf(e.stamp(), 0, 0, nil))
		return
	}
	e.side.Store(&side{e.stamp(), window, absolute, l, e.replaced()})
}

// replaced reports whether e was replaced by what was evicted at once. The key's
// lock is held, as for setReplaced.
func (e *entry) replaced() bool {
	s := e.side.Load()
	return s != nil && s.replaced
}

func (e *entry) setReplaced() {
	var s side
	if old := e.side.Load(); old != nil {
		s = *old
	}
	s.replaced = true
	e.side.Store(&s)
}
