package engine

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// model is the engine as a plain map. It does not know who is evicted: the
// engine says so, and the model checks that it may.
type model struct {
	t       *testing.T
	entries map[string]*Node[int]
	limits  Limits
	now     func() int64
	gone    int
}

func (m *model) sums() (all, pinned Limits) {
	for _, n := range m.entries {
		all.Entries++
		all.Weight += n.Weight()
		if n.Pinned() {
			pinned.Entries++
			pinned.Weight += n.Weight()
		}
	}
	return all, pinned
}

// left is the engine's Gone.
func (m *model) left(n *Node[int], c Cause) {
	m.t.Helper()
	m.gone++
	if m.entries[n.Key()] != n {
		m.t.Fatalf("%v: a node is gone that is not there", c)
	}
	if c == Capacity && n.Pinned() {
		m.t.Fatal("a pinned node was evicted")
	}
	if c == Expired && n.Deadline() != ended && m.now() < n.Deadline() {
		m.t.Fatal("a node expired before its deadline")
	}
	delete(m.entries, n.Key())
}

// steps lets the engine and the model do the same, as the bytes of ops say.
func (m *model) steps(e *Engine[int], ops []byte, check func()) {
	t := m.t
	for i := 0; i+3 < len(ops); i += 4 {
		op, a, b, c := ops[i], ops[i+1], int64(ops[i+2]), ops[i+3]
		key := fmt.Sprint("k", a%40)
		switch op % 16 {
		default:
			m.set(e, key, b, c)
		case 7, 8, 9:
			n, want := e.Find(key), m.entries[key]
			if n != want {
				t.Fatalf("step %d: found another node than is there", i/4)
			}
			if n != nil && e.Live(n) != (m.now() < n.Deadline()) {
				t.Fatalf("step %d: Live is %t at %d, deadline %d", i/4, e.Live(n), m.now(), n.Deadline())
			}
		case 10, 11:
			e.Remove(key)
			if m.entries[key] != nil {
				t.Fatalf("step %d: removed, but nobody was told", i/4)
			}
		case 12:
			time.Sleep(time.Duration(b) * time.Duration(b) * 10 * time.Millisecond)
			synctest.Wait()
		case 13:
			if n := e.Find(key); n != nil {
				before := n.Deadline()
				live := e.Slide(n, int64(time.Minute), int64(time.Hour))
				if live != (m.now() < before) || n.Deadline() < before {
					t.Fatalf("step %d: Slide says %t at %d, deadline %d before and %d after", i/4, live, m.now(), before, n.Deadline())
				}
			}
		case 14:
			if c%8 == 0 {
				m.limits = Limits{Entries: int64(a % 20), Weight: b * 2}
				e.Resize(m.limits)
			}
		case 15:
			if c%32 == 0 {
				e.Clear()
				if len(m.entries) > 0 {
					t.Fatalf("step %d: %d entries left after Clear", i/4, len(m.entries))
				}
			}
		}
		if t.Failed() {
			return
		}
		check()
	}
}

func (m *model) set(e *Engine[int], key string, weight int64, c byte) {
	deadline := int64(Never)
	if c%3 > 0 {
		deadline = m.now() + int64(c)*int64(c)*int64(c)*int64(time.Millisecond)
	}
	next := NewNode(key, int(c), weight, deadline, c%16 == 0)
	before := m.gone
	ran := false
	change := func(old *Node[int]) *Node[int] {
		ran = true
		if old != m.entries[key] {
			m.t.Fatal("the change is shown another node than is there")
		}
		if c%8 == 5 {
			return old
		}
		m.entries[key] = next
		return next
	}
	var err error
	if c%2 == 0 {
		err = e.Compute(key, weight, change)
	} else {
		err = e.Put(next, change)
	}
	if ran != (err == nil) {
		m.t.Fatalf("got %v, and the change ran: %t", err, ran)
	}
	all, pinned := m.sums()
	switch err {
	case ErrTooHeavy:
		if m.limits.Weight == 0 || weight <= m.limits.Weight || m.gone > before {
			m.t.Fatalf("weight %d refused as too heavy for %+v", weight, m.limits)
		}
	case ErrFull:
		fits := func(limit, sum int64) bool { return limit == 0 || sum <= limit }
		if old := m.entries[key]; old == nil && fits(m.limits.Entries, pinned.Entries+1) && fits(m.limits.Weight, pinned.Weight+weight) {
			m.t.Fatalf("weight %d refused beside %+v pinned of %+v in %+v", weight, pinned, all, m.limits)
		}
	}
}

// check compares all there is.
func (m *model) check(e *Engine[int]) {
	all, pinned := m.sums()
	s := e.Stats()
	if s.Entries != all.Entries || s.Weight != all.Weight || s.Pinned != pinned {
		m.t.Fatalf("engine has %+v, model %+v with %+v pinned", s, all, pinned)
	}
	if m.limits.Entries > 0 && all.Entries > max(m.limits.Entries, pinned.Entries) ||
		m.limits.Weight > 0 && all.Weight > max(m.limits.Weight, pinned.Weight) {
		m.t.Fatalf("%+v with %+v pinned, beyond %+v", all, pinned, m.limits)
	}
	seen := 0
	for n := range e.Entries {
		if m.entries[n.Key()] != n {
			m.t.Fatal("Entries shows a node that is not there")
		}
		seen++
	}
	if seen != len(m.entries) {
		m.t.Fatalf("Entries shows %d of %d", seen, len(m.entries))
	}
	if err := e.verify(); err != nil {
		m.t.Fatal(err)
	}
}

func playModel(t *testing.T, ops []byte) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{t: t, entries: make(map[string]*Node[int]), limits: Limits{Entries: 10, Weight: 300}}
		e := New(Options[int]{Limits: m.limits, Gone: m.left})
		m.now = e.Now
		m.steps(e, ops, func() { m.check(e) })
	})
}

func TestTheEngineIsTheModel(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 50
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range rounds {
		ops := make([]byte, 4*700)
		for i := range ops {
			ops[i] = byte(random.Uint32())
		}
		playModel(t, ops)
	}
}

func FuzzTheEngineIsTheModel(f *testing.F) {
	f.Add([]byte("set0set1set2get0"))
	f.Add([]byte{0, 1, 2, 3, 7, 1, 0, 0, 12, 9, 200, 0, 14, 3, 3, 8, 10, 1, 0, 0})
	f.Fuzz(func(t *testing.T, ops []byte) { playModel(t, ops[:min(len(ops), 4000)]) })
}

// What is in the table is counted by those who put it there and by Gone, so at
// no instant may there be more than the limits; and at the end all agrees.
func TestAMillionCallsAtOnceStayWithinTheLimits(t *testing.T) {
	calls := 250_000
	if testing.Short() {
		calls = 25_000
	}
	for _, limits := range []Limits{{Entries: 1}, {Entries: 2, Weight: 20}, {Entries: 100}, {Weight: 1000}} {
		var entries, weight atomic.Int64
		e := New(Options[int]{Limits: limits, Gone: func(n *Node[int], _ Cause) {
			entries.Add(-1)
			weight.Add(-n.Weight())
		}})
		var callers sync.WaitGroup
		for id := range uint64(4) {
			callers.Go(func() { callAtRandom(t, e, &entries, &weight, limits, id, calls/4) })
		}
		callers.Wait()
		if s := e.Stats(); s.Entries != entries.Load() || s.Weight != weight.Load() {
			t.Errorf("%+v: got %+v, want %d entries of weight %d", limits, s, entries.Load(), weight.Load())
		}
		if err := e.verify(); err != nil {
			t.Errorf("%+v: %v", limits, err)
		}
	}
}

func callAtRandom(t *testing.T, e *Engine[int], entries, weight *atomic.Int64, limits Limits, id uint64, calls int) {
	random := rand.New(rand.NewPCG(id, 4))
	for i := range calls {
		key := fmt.Sprint("k", random.IntN(300))
		switch r := random.IntN(100); {
		case r < 45:
			if n := e.Find(key); n != nil && n.Key() != key {
				t.Errorf("got the node of another key")
				return
			}
		case r < 55:
			e.Remove(key)
		case r == 99 && i%50 == 0:
			e.Clear()
		case r == 98:
			e.Tidy()
		case r == 97 && i%20 == 0:
			for n := range e.Entries {
				_ = n
			}
		default:
			deadline := int64(Never)
			if r%2 == 0 {
				deadline = e.Now() + random.Int64N(int64(3*time.Second))
			}
			n := NewNode(key, i, random.Int64N(9), deadline, r == 96 && id == 0 && i%10 == 0)
			store := func(change func(old *Node[int]) *Node[int]) error { return e.Put(n, change) }
			if i%4 == 0 {
				store = func(change func(old *Node[int]) *Node[int]) error { return e.Compute(key, n.Weight(), change) }
			}
			err := store(func(old *Node[int]) *Node[int] {
				if r > 90 && r < 96 {
					return old
				}
				if old == nil {
					entries.Add(1)
				} else {
					weight.Add(-old.Weight())
				}
				weight.Add(n.Weight())
				return n
			})
			if err != nil && err != ErrFull {
				t.Errorf("got %v", err)
			}
			if limits.Entries > 0 && entries.Load() > limits.Entries || limits.Weight > 0 && weight.Load() > limits.Weight {
				t.Errorf("%d entries of weight %d, beyond %+v", entries.Load(), weight.Load(), limits)
				return
			}
		}
	}
}
