package engine

import "sync/atomic"

// slots is where the policy and the wheel keep their lists. Each entry has a
// slot for as long as it is in the table, whichever node is its value, so that
// a replaced value changes no list.
//
// Lists are circular, by the numbers of slots rather than pointers: half the
// size, and nothing for the garbage collector to follow. The first few slots
// are the heads of the lists.
//
// Everything but the nodes is guarded by the lock of the policy. The node of a
// slot changes under the lock of its key.
type slots[V any] struct {
	chunks atomic.Pointer[[]*chunk[V]]
	next   uint32 // none was used from here on
}

type chunk[V any] struct {
	slots [chunkSlots]slot[V]
	where [chunkSlots]queue
}

// slot is the place of an entry in two lists: one of the policy's queues, and
// one of the wheel's buckets.
type slot[V any] struct {
	node  atomic.Pointer[Node[V]]
	queue link
	timer link
}

type link struct{ prev, next uint32 }

const chunkSlots = 256

// queue is the list of the policy that a slot is in.
type queue uint8

const (
	queueNone   queue = iota // no list: free, or its entry is being published
	queueWindow              // new entries, in order
	queueMain                // entries that have proved themselves
	queuePinned              // entries that are never evicted
	queueTaken               // none, until the one who took it out to evict it decides
	queues
)

// The first slots are heads of lists: of free slots, then of each queue at its
// own number, then of the wheel's buckets.
const (
	headFree  = uint32(queueNone)
	headWheel = uint32(queues)
	headsEnd  = headWheel + wheelLists
)

func newSlots[V any]() *slots[V] {
	s := &slots[V]{}
	s.chunks.Store(new([]*chunk[V]))
	for s.next < headsEnd {
		pos := s.fresh()
		s.at(pos).queue = link{pos, pos}
	}
	return s
}

func (s *slots[V]) at(pos uint32) *slot[V] {
	return &(*s.chunks.Load())[pos/chunkSlots].slots[pos%chunkSlots]
}

func (s *slots[V]) where(pos uint32) *queue {
	return &(*s.chunks.Load())[pos/chunkSlots].where[pos%chunkSlots]
}

// fresh returns a slot that was never used. Readers of the list of chunks have
// either the old header or the new one of an array whose start is the same.
func (s *slots[V]) fresh() uint32 {
	pos := s.next
	if chunks := *s.chunks.Load(); int(pos/chunkSlots) == len(chunks) {
		chunks = append(chunks, new(chunk[V]))
		s.chunks.Store(&chunks)
	}
	s.next++
	s.at(pos).timer = link{pos, pos}
	return pos
}

// take returns a slot that is not in use.
func (s *slots[V]) take() uint32 {
	if pos := s.at(headFree).queue.next; pos != headFree {
		s.unlink(pos)
		return pos
	}
	return s.fresh()
}

// free gives a slot back, which is in no queue.
func (s *slots[V]) free(pos uint32) {
	s.unlinkTimer(pos)
	s.at(pos).node.Store(nil)
	*s.where(pos) = queueNone
	s.push(headFree, pos)
}

// push puts a slot at the end of the list of head.
func (s *slots[V]) push(head, pos uint32) {
	h, p := &s.at(head).queue, &s.at(pos).queue
	*p = link{h.prev, head}
	s.at(h.prev).queue.next = pos
	h.prev = pos
}

func (s *slots[V]) unlink(pos uint32) {
	p := s.at(pos).queue
	s.at(p.prev).queue.next = p.next
	s.at(p.next).queue.prev = p.prev
}

func (s *slots[V]) pushTimer(head, pos uint32) {
	h, p := &s.at(head).timer, &s.at(pos).timer
	*p = link{h.prev, head}
	s.at(h.prev).timer.next = pos
	h.prev = pos
}

// unlinkTimer takes a slot out of its bucket; it does nothing if it is in none.
func (s *slots[V]) unlinkTimer(pos uint32) {
	p := &s.at(pos).timer
	s.at(p.prev).timer.next = p.next
	s.at(p.next).timer.prev = p.prev
	*p = link{pos, pos}
}
