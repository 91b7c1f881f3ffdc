package memory

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
)

// hot is a table of the entries that are read, in front of the engine: a hit in
// it costs one hash and two cache lines, that of a bucket and that of the entry.
// It has room for all entries up to about a million, and beyond that for those
// that are read most. It may forget an entry at any time; the engine has it.
//
// What it must not do is return an entry that has left the engine's table. So
// an entry that leaves is marked, under the lock of its key and before what
// takes its place can be seen, and then taken out of its slot; and who puts an
// entry into a slot looks at the mark afterwards. A reader that found the entry
// before it was marked read it before the write that marked it returned.
//
// A slot keeps no entry in memory that has left: either the one who puts it
// there sees the mark, or the one who marks it finds it there. A larger table
// takes the place of another only while it is empty, so that this holds for
// whoever sees either: who looked up the smaller one after the entry was marked
// puts it where nobody keeps it.
type hot struct {
	seed   maphash.Seed
	table  atomic.Pointer[[]hotBucket] // a power of two of them
	fitted sync.Mutex                  // held while another table is made
}

// hotBucket is one cache line. A tag is eight bits of the hash of its slot's
// key, so that a look-up need not follow the pointers to other keys. It is a
// hint: who changes a slot changes the tag a moment later.
type hotBucket struct {
	tags  atomic.Uint64 // a byte for each slot
	slots [hotWays]atomic.Pointer[entry]
}

const (
	hotWays = 7

	// hotFill is how many entries a bucket shall have on average, at most: then
	// one entry in twenty finds no slot.
	hotFill = 5

	hotMinBuckets = 1 << 6
	hotMaxBuckets = 1 << 18 // 16 MiB

	// hotOffer is how many of a stripe's hits go by before one offers its entry
	// to a full bucket, so that keys which share one do not fight over it.
	hotOffer = 4

	// hotSilence is how many nanoseconds go by between two hits of a stripe that
	// the engine is told of, and hotReport how many hits at most, for a clock
	// that stands still.
	hotSilence = 2000
	hotReport  = 64
)

func (h *hot) init() {
	h.seed = maphash.MakeSeed()
	h.table.Store(new(make([]hotBucket, hotMinBuckets)))
}

// bucket returns where key belongs, and its tag.
func (h *hot) bucket(key string) (*hotBucket, uint8) {
	hash := maphash.String(h.seed, key)
	table := *h.table.Load()
	return &table[hash&uint64(len(table)-1)], uint8(hash >> 56)
}

// find returns the entry under key, or nil if it is not in the table.
func (h *hot) find(key string) *entry {
	b, tag := h.bucket(key)
	for found := equalBytes(b.tags.Load(), tag); found != 0; found &= found - 1 {
		e := b.slots[bits.TrailingZeros64(found)/8].Load()
		if e != nil && e.key == key && !e.account.gone() {
			return e
		}
	}
	return nil
}

// equalBytes sets the highest bit of each of the low seven bytes of word that
// equal b, and maybe of one above such a byte.
func equalBytes(word uint64, b uint8) uint64 {
	const ones = 0x0101010101010101
	word ^= ones * uint64(b)
	return (word - ones) &^ word & (ones << 7) << 8 >> 8
}

// offer puts e into a slot of its bucket: one that is free, or else at every
// hotOffer-th turn one of the others.
func (h *hot) offer(e *entry, turn uint64) {
	b, tag := h.bucket(e.key)
	way := b.find(e)
	if way < 0 {
		way = b.find(nil)
	}
	if way < 0 {
		if turn%hotOffer != 0 {
			return
		}
		way = int(turn / hotOffer % hotWays)
	}
	b.slots[way].Store(e)
	b.tag(way, tag)
	if e.account.gone() {
		b.slots[way].CompareAndSwap(e, nil)
	}
}

// leave marks e and takes it out of the table. The lock of its key is held.
func (h *hot) leave(e *entry) {
	e.account.leave()
	b, _ := h.bucket(e.key)
	for i := range b.slots {
		if b.slots[i].Load() == e {
			b.slots[i].CompareAndSwap(e, nil)
		}
	}
}

// find returns the slot that holds e, or -1.
func (b *hotBucket) find(e *entry) int {
	for i := range b.slots {
		if b.slots[i].Load() == e {
			return i
		}
	}
	return -1
}

// tag sets the tag of a slot.
func (b *hotBucket) tag(way int, tag uint8) {
	shift := 8 * way
	for {
		old := b.tags.Load()
		next := old&^(0xff<<shift) | uint64(tag)<<shift
		if next == old || b.tags.CompareAndSwap(old, next) {
			return
		}
	}
}

// fit makes the table fit that many entries. Another table is empty at first.
func (h *hot) fit(entries int64) {
	if wanted(int64(len(*h.table.Load())), entries) == 0 || !h.fitted.TryLock() {
		return
	}
	defer h.fitted.Unlock()
	if n := wanted(int64(len(*h.table.Load())), entries); n > 0 {
		h.table.Store(new(make([]hotBucket, n)))
	}
}

// wanted returns how many buckets there should be instead of so many, or 0 if
// they do.
func wanted(buckets, entries int64) int64 {
	switch {
	case entries > buckets*hotFill && buckets < hotMaxBuckets:
	case entries < buckets*hotFill/16 && buckets > hotMinBuckets:
	default:
		return 0
	}
	fit := int64(1) << bits.Len64(uint64(entries/hotFill))
	return min(max(fit, hotMinBuckets), hotMaxBuckets)
}
