package engine

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// shard is a part of the table with a lock of its own: what "the lock of a key"
// means. Finding an entry does not take it.
//
// The lock is held for every change of the table, and for nothing that waits,
// except for the lock of the policy, which comes after it.
type shard[V any] struct {
	table atomic.Pointer[table[V]]

	mu    sync.Mutex
	count int // entries in the table

	_ [40]byte // keeps neighbours off this cache line
}

// table is open-addressed, in buckets of a cache line. A table that was replaced
// by another never changes again.
type table[V any] struct {
	buckets []bucket[V]
	mask    uint32
}

// bucket is a word of tags and the nodes they belong to. Byte i of the word is
// the tag of node i, 0 if there is none. The byte at the top counts the entries
// which belong here but found no room and went on to a later bucket; once that
// is 255, it stays.
//
// A node is stored before its tag and stays in its place until it is removed;
// see docs/engine.md on what a reader may see of it.
type bucket[V any] struct {
	tags  atomic.Uint64
	nodes [bucketSize]atomic.Pointer[Node[V]]
}

const (
	bucketSize = 7

	eachByte  = 0x0001010101010101 // times a tag: in the place of each
	eachTop   = 0x0080808080808080
	passedOne = 1 << 56
	passedMax = 255
)

func newTable[V any](buckets int) *table[V] {
	return &table[V]{buckets: make([]bucket[V], buckets), mask: uint32(buckets - 1)}
}

// tagOf returns the tag of a hash, which is not 0.
func tagOf(hash uint64) uint64 { return hash&0xff | 1 }

// home is the part of a hash that says where an entry belongs; its upper bits
// choose the shard.
func home(hash uint64) uint32 { return uint32(hash >> 32) }

// matches has the top bit of each byte set that may be tag: of all that are,
// and of a few others.
func matches(tags, tag uint64) uint64 {
	x := tags ^ tag*eachByte
	return (x - eachByte) & ^x & eachTop
}

// find returns the node under key, or nil.
func (t *table[V]) find(hash uint64, key string) *Node[V] {
	b := &t.buckets[home(hash)&t.mask]
	tags := b.tags.Load()
	for m := matches(tags, tagOf(hash)); m != 0; m &= m - 1 {
		n := b.nodes[bits.TrailingZeros64(m)/8].Load()
		if n != nil && n.is(key) {
			return n
		}
	}
	if tags < passedOne {
		return nil
	}
	return t.findBeyond(hash, key)
}

// findBeyond looks in the buckets after the one where key belongs.
func (t *table[V]) findBeyond(hash uint64, key string) *Node[V] {
	for i := uint32(1); i <= t.mask; i++ {
		b := &t.buckets[(home(hash)+i)&t.mask]
		tags := b.tags.Load()
		for m := matches(tags, tagOf(hash)); m != 0; m &= m - 1 {
			n := b.nodes[bits.TrailingZeros64(m)/8].Load()
			if n != nil && n.is(key) {
				return n
			}
		}
		if tags < passedOne {
			return nil
		}
	}
	return nil
}

// insert puts n into a free place; there is one. The key is not in the table.
func (t *table[V]) insert(n *Node[V], tag uint64) {
	for i := n.hash & t.mask; ; i = (i + 1) & t.mask {
		b := &t.buckets[i]
		tags := b.tags.Load()
		if free := freePlace(tags); free < bucketSize {
			b.nodes[free].Store(n)
			b.tags.Store(tags | tag<<(8*free))
			return
		}
		if tags>>56 < passedMax {
			b.tags.Store(tags + passedOne)
		}
	}
}

// freePlace returns the first place whose tag is 0, or bucketSize.
func freePlace(tags uint64) int {
	for i := range bucketSize {
		if tags>>(8*i)&0xff == 0 {
			return i
		}
	}
	return bucketSize
}

// replace puts next into the place of old, which is in the table.
func (t *table[V]) replace(old, next *Node[V]) {
	b, i := t.locate(old)
	b.nodes[i].Store(next)
}

// remove takes n out, which is in the table.
func (t *table[V]) remove(n *Node[V]) {
	b, i := t.locate(n)
	b.tags.Store(b.tags.Load() &^ (0xff << (8 * i)))
	b.nodes[i].Store(nil)
	for j := n.hash & t.mask; &t.buckets[j] != b; j = (j + 1) & t.mask {
		passed := &t.buckets[j]
		if tags := passed.tags.Load(); tags>>56 < passedMax {
			passed.tags.Store(tags - passedOne)
		}
	}
}

func (t *table[V]) locate(n *Node[V]) (*bucket[V], int) {
	for i := n.hash & t.mask; ; i = (i + 1) & t.mask {
		b := &t.buckets[i]
		for place := range b.nodes {
			if b.nodes[place].Load() == n {
				return b, place
			}
		}
	}
}

// rebuilt returns a table with that many buckets and what is in t.
func (t *table[V]) rebuilt(buckets int) *table[V] {
	next := newTable[V](buckets)
	for i := range t.buckets {
		b := &t.buckets[i]
		tags := b.tags.Load()
		for place := range b.nodes {
			if n := b.nodes[place].Load(); n != nil {
				next.insert(n, tags>>(8*place)&0xff)
			}
		}
	}
	return next
}

// insertLocked puts n into the table, in a larger one if it is full.
func (s *shard[V]) insertLocked(n *Node[V], tag uint64) {
	t := s.table.Load()
	if places := len(t.buckets) * bucketSize; s.count >= places-places/8 {
		t = t.rebuilt(2 * len(t.buckets))
		s.table.Store(t)
	}
	t.insert(n, tag)
	s.count++
}

// removeLocked takes n out of the table, which gets smaller if it is nearly
// empty then.
func (s *shard[V]) removeLocked(n *Node[V]) {
	t := s.table.Load()
	t.remove(n)
	s.count--
	if len(t.buckets) > 1 && s.count < len(t.buckets)*bucketSize/8 {
		s.table.Store(t.rebuilt(len(t.buckets) / 2))
	}
}
