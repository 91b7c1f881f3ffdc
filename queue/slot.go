package queue

import "time"

// slot is what a Memory holds of one key.
type slot struct {
	key  string
	head *item // the next for the source
	tail *item // behind it; open. Only if head was claimed

	state    slotState // of head
	due      time.Time // when head may be claimed, again if it is
	at       int       // in the heap, or notQueued
	attempts int       // of head
	token    uint64    // of its last claim
	reason   string    // why it is dead
	died     time.Time
}

type slotState uint8

const (
	slotReady slotState = iota // for its first or its next attempt, when due
	slotClaimed
	slotDead
)

// notQueued is the place in the heap of a slot that is not there.
const notQueued = -1

// item is a write that waits. Its payload is never changed.
type item struct {
	payload  []byte
	deleted  bool
	whole    bool // its mode was Replace
	tried    bool // it was claimed: the source may have it
	sequence uint64
	first    uint64
	since    time.Time // of first
	writes   int
}

// replacedBy returns the item that a write of this mode takes the place of.
func (s *slot) replacedBy(m Mode) *item {
	switch {
	case s == nil:
		return nil
	case s.tail != nil:
		return s.tail
	case !s.head.tried, m == Replace && s.state != slotClaimed:
		return s.head
	}
	return nil
}

func (it *item) sequenceOf() uint64 {
	if it == nil {
		return 0
	}
	return it.sequence
}

// takeOver makes it stand for older, too.
func (it *item) takeOver(older *item) {
	it.first, it.since = older.first, older.since
	it.writes += older.writes
}

func (it *item) copy(key string, now time.Time) Item {
	return Item{
		Key: key, Payload: append([]byte{}, it.payload...), Deleted: it.deleted,
		Sequence: it.sequence, First: it.first, Writes: it.writes, Age: now.Sub(it.since),
	}
}

func (s *slot) look(now time.Time) (state State) {
	if s.tail != nil {
		open := s.tail.copy(s.key, now)
		state.Open = &open
	}
	head := s.head.copy(s.key, now)
	switch {
	case s.state == slotDead:
		state.Dead = true
	case s.head.tried:
		state.Ahead = &head
	default:
		state.Open = &head
	}
	return state
}

func weigh(key string, payload []byte) int64 {
	return int64(len(key) + len(payload) + entryOverhead)
}

// dueHeap has the slot that is due first on top; of two the older item's.
type dueHeap []*slot

func (h dueHeap) Len() int { return len(h) }

func (h dueHeap) Less(i, j int) bool {
	if c := h[i].due.Compare(h[j].due); c != 0 {
		return c < 0
	}
	return h[i].head.first < h[j].head.first
}

func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h *dueHeap) Push(x any) {
	s := x.(*slot)
	s.at = len(*h)
	*h = append(*h, s)
}

func (h *dueHeap) Pop() any {
	old := *h
	s := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	s.at = notQueued
	return s
}
