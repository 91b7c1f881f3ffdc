package memory

import (
	"hash/maphash"
	"sync/atomic"
)

// hot is a small table of entries that are read again and again, in front of
// the engine: a hit in it costs a hash and a comparison.
//
// What it must not do is return an entry that has left the engine's table. So
// an entry that leaves is marked, under the lock of its key and before what
// takes its place can be seen, and then taken out of its slot; and who puts an
// entry into a slot looks at the mark afterwards. A reader that found the entry
// before it was marked read it before the write that marked it returned.
//
// A slot keeps no entry in memory that has left: either the one who puts it
// there sees the mark, or the one who marks it finds it there.
type hot struct {
	seed  maphash.Seed
	slots [hotSlots]atomic.Pointer[entry]
}

const (
	hotSlots = 2048

	// hotOffer is how many of a stripe's hits go by before one offers its entry
	// to the table, so that keys which share a slot do not fight over it.
	hotOffer = 4

	// hotReport is how many of them go by before one goes to the engine, whose
	// policy shall not take hot entries for cold ones.
	hotReport = 16
)

func (h *hot) slot(key string) *atomic.Pointer[entry] {
	return &h.slots[maphash.String(h.seed, key)%hotSlots]
}

// find returns the entry under key, or nil if it is not in the table.
func (h *hot) find(key string) *entry {
	e := h.slot(key).Load()
	if e == nil || e.key != key || e.account.gone() {
		return nil
	}
	return e
}

// offer puts e into its slot.
func (h *hot) offer(e *entry) {
	slot := h.slot(e.key)
	if slot.Load() == e {
		return
	}
	slot.Store(e)
	if e.account.gone() {
		slot.CompareAndSwap(e, nil)
	}
}

// leave marks e and takes it out of the table. The lock of its key is held.
func (h *hot) leave(e *entry) {
	e.account.leave()
	h.slot(e.key).CompareAndSwap(e, nil)
}
