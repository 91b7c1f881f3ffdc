package enginebench

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/larder-go/larder/internal/engine"
)

// twins are an engine and an otter that are told the same, with room for all.
type twins struct {
	engine *engine.Engine[int]
	otter  *otter.Cache[string, int]
}

// otterClock shows otter the engine's time, and has no ticks, for which otter
// would need a goroutine.
type otterClock struct{ now func() int64 }

func (c otterClock) NowNano() int64                      { return c.now() }
func (c otterClock) Tick(time.Duration) <-chan time.Time { return nil }

func newTwins() twins {
	e := engine.New(engine.Options[int]{Limits: engine.Limits{Entries: 1 << 16}})
	return twins{e, otter.Must(&otter.Options[string, int]{
		MaximumSize: 1 << 16, Clock: otterClock{e.Now}, Executor: func(work func()) { work() },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(o otter.Entry[string, int]) time.Duration { return lifeOf(o.Value) }),
	})}
}

// lifeOf returns how long an entry with that value lives: from a millisecond to
// half a day.
func lifeOf(value int) time.Duration { return time.Millisecond << (value % 25) }

// turn does one call with both, as four bytes say, and returns what differs.
func (w twins) turn(op, a, b byte, value int) string {
	key := fmt.Sprint("k", a%64)
	n := w.engine.Find(key)
	live := n != nil && w.engine.Live(n)
	theirs, found := w.otter.GetIfPresent(key)
	if live != found || live && n.Value != theirs {
		return fmt.Sprintf("engine has something: %t, otter: %t, %d", live, found, theirs)
	}
	switch op % 8 {
	case 0, 1, 2:
		w.otter.Set(key, value)
		if err := w.engine.Set(engine.NewNode(key, value, 1, w.engine.Now()+int64(lifeOf(value)), false)); err != nil {
			return err.Error()
		}
	case 3:
		w.otter.Invalidate(key)
		w.engine.Remove(key)
	case 4:
		time.Sleep(time.Millisecond << (b % 26))
	case 5:
		time.Sleep(lifeOf(theirs) - 1)
	case 6:
		if a == 0 {
			w.otter.InvalidateAll()
			w.engine.Clear()
		}
	}
	return ""
}

func playTwins(t *testing.T, ops []byte) {
	synctest.Test(t, func(t *testing.T) {
		w := newTwins()
		for i := 0; i+2 < len(ops); i += 3 {
			if msg := w.turn(ops[i], ops[i+1], ops[i+2], i); msg != "" {
				t.Fatalf("op %d: %s", i/3, msg)
			}
		}
		live := 0
		for n := range w.engine.Entries {
			if w.engine.Live(n) {
				live++
				if theirs, found := w.otter.GetIfPresent(n.Key()); !found || theirs != n.Value {
					t.Errorf("engine has %d, otter %d, %t", n.Value, theirs, found)
				}
			}
		}
		theirs := 0
		for range w.otter.All() {
			theirs++
		}
		if live != theirs {
			t.Errorf("engine has %d entries, otter %d", live, theirs)
		}
	})
}

func TestTheEngineHoldsWhatOtterHolds(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 100 {
		ops := make([]byte, 3*1000)
		for i := range ops {
			ops[i] = byte(random.Uint32())
		}
		playTwins(t, ops)
	}
}

func FuzzTheEngineHoldsWhatOtterHolds(f *testing.F) {
	f.Add([]byte("set0set1set2get0rem0"))
	f.Fuzz(func(t *testing.T, ops []byte) { playTwins(t, ops[:min(len(ops), 10_000)]) })
}

// A twin that was told something else is caught.
func TestTwinsThatDifferAreCaught(t *testing.T) {
	w := newTwins()
	w.turn(0, 1, 0, 24)
	w.engine.Remove("k1")
	if w.turn(7, 1, 0, 24) == "" {
		t.Error("got no difference")
	}
}
