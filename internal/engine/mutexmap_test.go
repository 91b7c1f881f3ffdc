package engine

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// mutexMap is the oracle: what a table under text keys is, with one lock for all.
type mutexMap struct {
	mu     sync.Mutex
	values map[string]int
}

// swap stores value, or removes what is there if it is 0, and returns what was
// there.
func (m *mutexMap) swap(key string, value int) (old int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old = m.values[key]
	if m.values[key] = value; value == 0 {
		delete(m.values, key)
	}
	return old
}

func (m *mutexMap) get(key string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[key]
}

const mutexMapCallers = 4

// playAgainstAMutexMap has several goroutines at once do the same to an engine
// and to a mutex map, as the bytes of ops say. Each has its own keys, so it knows
// what every call must tell, but all share buckets, shards and the policy.
func playAgainstAMutexMap(t *testing.T, ops []byte) {
	e, oracle := New(Options[int]{Limits: Limits{Entries: 1 << 20}}), &mutexMap{values: make(map[string]int)}
	var callers sync.WaitGroup
	for id := range mutexMapCallers {
		callers.Go(func() {
			for i := id * 3; i+2 < len(ops); i += mutexMapCallers * 3 {
				key := fmt.Sprintf("%d of %d", int(ops[i+1])|int(ops[i+2])<<8&0x700, id)
				if msg := sameTurn(e, oracle, ops[i], key, i+1); msg != "" {
					t.Errorf("op %d: %s", i/3, msg)
					return
				}
			}
		})
	}
	callers.Wait()
	found := 0
	for n := range e.Entries {
		if found++; oracle.get(n.Key()) != n.Value {
			t.Errorf("an entry has the value %d, want %d", n.Value, oracle.get(n.Key()))
		}
	}
	if found != len(oracle.values) {
		t.Errorf("%d entries, want %d", found, len(oracle.values))
	}
	if err := e.verify(); err != nil {
		t.Error(err)
	}
}

// sameTurn does one call with both and says what differs.
func sameTurn(e *Engine[int], oracle *mutexMap, op byte, key string, value int) string {
	var got, want int
	switch op % 8 {
	case 0, 1, 2:
		if n := e.Find(key); n != nil {
			got = n.Value
		}
		want = oracle.get(key)
	case 3:
		got, want = swap(e, key, 0), oracle.swap(key, 0)
	case 4: // only if there is something
		if want = oracle.get(key); want != 0 {
			oracle.swap(key, value)
		}
		if err := e.Compute(key, 1, func(old *Node[int]) *Node[int] {
			if old == nil {
				return nil
			}
			got = old.Value
			return node(key, value)
		}); err != nil {
			return err.Error()
		}
	default:
		got, want = swap(e, key, value), oracle.swap(key, value)
	}
	if got != want {
		return fmt.Sprintf("kind %d: got %d, want %d", op%8, got, want)
	}
	return ""
}

func swap(e *Engine[int], key string, value int) (old int) {
	next := node(key, value)
	change := func(n *Node[int]) *Node[int] {
		if n != nil {
			old = n.Value
		}
		if value == 0 {
			return nil
		}
		return next
	}
	var err error
	if value%2 == 0 {
		err = e.Compute(key, 1, change)
	} else {
		err = e.Put(next, change)
	}
	if err != nil {
		return -1
	}
	return old
}

func TestTheEngineIsAMutexMap(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	ops := make([]byte, 3*1_000_000)
	if testing.Short() {
		ops = ops[:3*100_000]
	}
	for i := range ops {
		ops[i] = byte(random.Uint32())
	}
	playAgainstAMutexMap(t, ops)
}

func FuzzTheEngineIsAMutexMap(f *testing.F) {
	f.Add([]byte("set0set1set2get0rem0"))
	f.Fuzz(func(t *testing.T, ops []byte) { playAgainstAMutexMap(t, ops[:min(len(ops), 30_000)]) })
}

// The oracle must tell a table that loses a value.
func TestAMutexMapTellsWhatIsLost(t *testing.T) {
	e, oracle := New(Options[int]{}), &mutexMap{values: make(map[string]int)}
	if msg := sameTurn(e, oracle, 7, "k", 1); msg != "" {
		t.Fatal(msg)
	}
	e.Remove("k")
	for op := range byte(8) {
		if sameTurn(e, oracle, op, "k", 2) == "" {
			t.Errorf("kind %d: a lost value was not noticed", op)
		}
		oracle.swap("k", 1)
		e.Remove("k")
	}
}
