package queue

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/larder-go/larder/cache"
)

// Defaults of MemoryOptions.
const (
	DefaultMaxEntries = 100_000
	DefaultMaxBytes   = 256 << 20
)

// entryOverhead is what an item is counted with beside its key and payload:
// about what the memory queue itself needs for it.
const entryOverhead = 256

// MemoryOptions configure a Memory. The zero value, and nil, mean the defaults.
type MemoryOptions struct {
	// MaxEntries is how many items are held at most, dead letters included.
	// Zero: DefaultMaxEntries. Negative: refused.
	MaxEntries int
	// MaxBytes is how much they weigh at most, with their keys and 256 bytes for
	// each, but without the reasons of dead letters: MaxReason bytes each. Zero: DefaultMaxBytes. Negative: refused.
	MaxBytes int64
}

// Memory is a queue in the memory of this process: what it accepted is lost with
// the process. It never holds more than its options allow. It starts no
// goroutine. Each call takes one lock, for a time that grows with the logarithm
// of the number of keys.
type Memory struct {
	maxEntries int
	maxBytes   int64

	mu    sync.Mutex
	slots map[string]*slot
	due   dueHeap // of the slots that can be claimed some time: all but the dead
	last  uint64  // sequence
	token uint64
	items int
	bytes int64
	stats Stats
}

var (
	_ Queue       = (*Memory)(nil)
	_ DeadLetters = (*Memory)(nil)
	_ Flusher     = (*Memory)(nil)
	_ Sequencer   = (*Memory)(nil)
	_ Volatile    = (*Memory)(nil)
)

// NewMemory returns an empty queue. Bad options are reported together, with
// cache.ErrInvalidConfig.
func NewMemory(opts *MemoryOptions) (*Memory, error) {
	var o MemoryOptions
	if opts != nil {
		o = *opts
	}
	var errs []error
	if o.MaxEntries < 0 {
		errs = append(errs, invalid("MemoryOptions.MaxEntries", o.MaxEntries, "must not be negative"))
	}
	if o.MaxBytes < 0 {
		errs = append(errs, invalid("MemoryOptions.MaxBytes", o.MaxBytes, "must not be negative"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	m := &Memory{maxEntries: o.MaxEntries, maxBytes: o.MaxBytes, slots: map[string]*slot{}}
	if m.maxEntries == 0 {
		m.maxEntries = DefaultMaxEntries
	}
	if m.maxBytes == 0 {
		m.maxBytes = DefaultMaxBytes
	}
	return m, nil
}

// Volatile implements Volatile.
func (m *Memory) Volatile() {}

// Enqueue implements Queue. ErrFull and ErrTooLarge are by MemoryOptions.
func (m *Memory) Enqueue(ctx context.Context, w Write) (uint64, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return 0, err
	}
	if err := w.Check(); err != nil {
		return 0, err
	}
	if weigh(w.Key, w.Payload) > m.maxBytes {
		return 0, ErrTooLarge
	}
	payload := append([]byte(nil), w.Payload...)
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.slots[w.Key]
	replaced := s.replacedBy(w.Mode)
	if w.Mode == Merge && w.Onto != replaced.sequenceOf() {
		return 0, ErrConflict
	}
	if !m.roomLocked(w, replaced) {
		m.stats.Rejected++
		return 0, ErrFull
	}
	if s == nil {
		s = &slot{key: w.Key, at: notQueued}
		m.slots[w.Key] = s
	}
	m.last = NextSequence(m.last, now)
	it := &item{payload: payload, deleted: w.Deleted, whole: w.Mode == Replace,
		sequence: m.last, first: m.last, since: now, writes: 1}
	m.stats.Enqueued++
	m.putLocked(s, it, replaced, now)
	return it.sequence, nil
}

// roomLocked reports whether w fits when it takes the place of replaced.
func (m *Memory) roomLocked(w Write, replaced *item) bool {
	items, grown := m.items, m.bytes+weigh(w.Key, w.Payload)
	if replaced != nil {
		grown -= weigh(w.Key, replaced.payload)
	} else {
		items++
	}
	return items <= m.maxEntries && (grown <= m.maxBytes || grown <= m.bytes)
}

// putLocked puts it in the place of replaced, or behind what is there.
func (m *Memory) putLocked(s *slot, it, replaced *item, now time.Time) {
	if replaced != nil {
		it.takeOver(replaced)
		m.stats.Coalesced++
		m.countLocked(s, replaced, -1)
	}
	m.countLocked(s, it, 1)
	switch {
	case s.head == nil:
		m.leadLocked(s, it, now)
	case s.head != replaced && (s.state == slotClaimed || !it.whole):
		s.tail = it
	default:
		m.insteadLocked(s, it, replaced, now)
	}
}

// insteadLocked puts it in the place of the first item, and of the one behind.
// What waits stays due when it was.
func (m *Memory) insteadLocked(s *slot, it, replaced *item, now time.Time) {
	if s.head != replaced { // which was the one behind
		it.takeOver(s.head)
		m.countLocked(s, s.head, -1)
		s.tail = nil
	}
	if s.state == slotDead {
		m.stats.Dead--
		m.leadLocked(s, it, now)
		return
	}
	s.head, s.attempts = it, 0
}

// leadLocked makes it the item that is next to be claimed.
func (m *Memory) leadLocked(s *slot, it *item, due time.Time) {
	s.head, s.state, s.attempts = it, slotReady, 0
	m.dueLocked(s, due)
}

func (m *Memory) dueLocked(s *slot, due time.Time) {
	s.due = due
	if s.at == notQueued {
		heap.Push(&m.due, s)
	} else {
		heap.Fix(&m.due, s.at)
	}
}

func (m *Memory) countLocked(s *slot, it *item, n int) {
	m.items += n
	m.bytes += int64(n) * weigh(s.key, it.payload)
}

// Lookup implements Queue.
func (m *Memory) Lookup(ctx context.Context, keys []string) ([]State, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return nil, err
	}
	now := time.Now()
	states := make([]State, len(keys))
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, key := range keys {
		if s := m.slots[key]; s != nil {
			states[i] = s.look(now)
		}
	}
	return states, nil
}

// Claim implements Queue.
func (m *Memory) Claim(ctx context.Context, o ClaimOptions) ([]Claim, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return nil, err
	}
	if err := o.Check(); err != nil {
		return nil, err
	}
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	var claims []Claim
	for len(claims) < o.Max && len(m.due) > 0 && !m.due[0].due.After(now) {
		claims = append(claims, m.claimLocked(m.due[0], now, o.Visibility))
	}
	return claims, nil
}

func (m *Memory) claimLocked(s *slot, now time.Time, visibility time.Duration) Claim {
	if s.state == slotClaimed {
		m.stats.Redelivered++
		m.replaceLocked(s)
	}
	m.token++
	s.state, s.token = slotClaimed, m.token
	s.head.tried = true
	s.attempts++
	m.stats.Claimed++
	m.dueLocked(s, now.Add(visibility))
	return Claim{Item: s.head.copy(s.key, now), Attempt: s.attempts, Token: s.token}
}

// replaceLocked puts the item behind the first in its place if it is whole. It
// reports whether it did.
func (m *Memory) replaceLocked(s *slot) bool {
	if s.tail == nil || !s.tail.whole {
		return false
	}
	m.countLocked(s, s.head, -1)
	s.tail.takeOver(s.head)
	s.head, s.tail, s.attempts = s.tail, nil, 0
	m.stats.Replaced++
	return true
}

// Settle implements Queue.
func (m *Memory) Settle(ctx context.Context, outcomes []Outcome) ([]Settled, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return nil, err
	}
	if err := CheckOutcomes(outcomes); err != nil {
		return nil, err
	}
	now := time.Now()
	settled := make([]Settled, len(outcomes))
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, o := range outcomes {
		settled[i] = m.settleLocked(o, now)
	}
	return settled, nil
}

func (m *Memory) settleLocked(o Outcome, now time.Time) Settled {
	s := m.slots[o.Claim.Key]
	if s == nil || s.state != slotClaimed || s.token != o.Claim.Token || s.head.sequence != o.Claim.Sequence {
		m.stats.Lost++
		return SettledLost
	}
	if o.Result == Done {
		m.stats.Done++
		m.removeLocked(s, now)
		return SettledDone
	}
	m.stats.Failed++
	if o.Result == Deferred {
		s.attempts--
	}
	s.state = slotReady
	if m.replaceLocked(s) {
		m.dueLocked(s, now.Add(o.After))
		return SettledReplaced
	}
	if o.Result == Dead {
		s.state, s.reason, s.died = slotDead, CutReason(o.Reason), now
		heap.Remove(&m.due, s.at)
		m.stats.Buried++
		m.stats.Dead++
		return SettledDead
	}
	m.dueLocked(s, now.Add(o.After))
	return SettledQueued
}

// removeLocked removes the first item; the one behind it is due.
func (m *Memory) removeLocked(s *slot, now time.Time) {
	m.countLocked(s, s.head, -1)
	s.reason = ""
	if s.tail != nil {
		next := s.tail
		s.tail = nil
		m.leadLocked(s, next, now)
		return
	}
	if s.at != notQueued {
		heap.Remove(&m.due, s.at)
	}
	delete(m.slots, s.key)
}

// Stats implements Queue. It takes time in proportion to the number of items.
func (m *Memory) Stats(ctx context.Context) (Stats, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return Stats{}, err
	}
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	st := m.stats
	st.Queued, st.Bytes = m.items-st.Dead, m.bytes
	for _, s := range m.slots {
		if s.state == slotClaimed && now.Before(s.due) {
			st.InFlight++
		}
		for _, it := range [...]*item{s.head, s.tail} {
			if it != nil && (it != s.head || s.state != slotDead) {
				st.Oldest = max(st.Oldest, now.Sub(it.since))
			}
		}
	}
	return st, nil
}

// NextSequence implements Sequencer.
func (m *Memory) NextSequence(ctx context.Context, key string) (uint64, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return 0, err
	}
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = NextSequence(m.last, now)
	return m.last, nil
}

// Barrier implements Flusher.
func (m *Memory) Barrier(ctx context.Context) (Barrier, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return Barrier{m.last}, nil
}

// Before implements Flusher. It takes time in proportion to the number of items.
func (m *Memory) Before(ctx context.Context, b Barrier) (int, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return 0, err
	}
	if len(b) != 1 {
		return 0, invalid("Barrier", len(b), "is another queue's")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, s := range m.slots {
		if s.state == slotDead {
			continue
		}
		for _, it := range [...]*item{s.head, s.tail} {
			if it != nil && it.first <= b[0] {
				n++
			}
		}
	}
	return n, nil
}
