package engine

import (
	"errors"
	"fmt"
	"hash/maphash"
	"runtime"
	"strconv"
	"testing"
)

// A victim that was pinned just before its lock was got stays, and is pinned.
func TestAVictimThatIsPinnedMeanwhileStays(t *testing.T) {
	e := New(Options[int]{Limits: Limits{Entries: 2}})
	mustSet(t, e, node("a", 0))
	mustSet(t, e, node("b", 0))
	p := &e.policy
	p.mu.Lock()
	pos, _ := p.victim(0)
	victim := p.slots.at(pos).node.Load()
	p.mu.Unlock()
	mustSet(t, e, pinning(victim.Key(), 1))
	p.mu.Lock()
	e.evictLocked([]*Node[int]{victim}, 0)
	p.mu.Unlock()
	if err := e.verify(); err != nil {
		t.Error(err)
	}
	for i := range 100 {
		mustSet(t, e, node(fmt.Sprint(i), i))
	}
	wantValue(t, e, victim.Key(), 0)
}

// A node over a limit that was made smaller does not let its like in.
func TestTooHeavyAnEntryIsRefusedInThePlaceOfAHeavierOne(t *testing.T) {
	e := New(Options[int]{Limits: Limits{Weight: 10}})
	mustSet(t, e, pinning("a", 9))
	e.Resize(Limits{Weight: 5})
	if err := e.Put(pinning("a", 8), func(*Node[int]) *Node[int] { panic("called") }); !errors.Is(err, ErrTooHeavy) {
		t.Errorf("got %v, want ErrTooHeavy", err)
	}
}

// Resize has returned only when nobody is at work who knows no limit of weight.
func TestResizeWaitsForThoseWhoKnowNoLimitOfWeight(t *testing.T) {
	e := New(Options[int]{Limits: Limits{Entries: 10}})
	s := &e.shards[0]
	s.mu.Lock() // as they do
	resized := make(chan struct{})
	go func() {
		e.Resize(Limits{Weight: 10})
		close(resized)
	}()
	for range 1000 {
		runtime.Gosched()
	}
	select {
	case <-resized:
		t.Error("got it resized, want it to wait")
	default:
	}
	s.mu.Unlock()
	<-resized
}

// A lighter entry that takes the place of a heavier one leaves room for others only
// when that is gone, as its owner sees it.
func TestWhatIsLeftOfAPlaceIsFreeOnceItsOwnerKnows(t *testing.T) {
	var e *Engine[int]
	stored := make(chan struct{})
	other := ""
	e = New(Options[int]{Limits: Limits{Weight: 10}, Gone: func(n *Node[int], _ Cause) {
		if n.Key() != "heavy" {
			return
		}
		go func() {
			defer close(stored)
			_ = e.Set(weighing(other, 7))
		}()
		for range 1000 {
			runtime.Gosched()
		}
		if e.Peek(other) != nil {
			t.Error("got another stored in a place that is not free yet")
		}
	}})
	mustSet(t, e, weighing("heavy", 9))
	shard := func(key string) *shard[int] { return e.shardOf(maphash.String(e.seed, key)) }
	for i := 0; other == ""; i++ { // whose lock nobody holds meanwhile
		if key := strconv.Itoa(i); shard(key) != shard("heavy") && shard(key) != shard("light") {
			other = key
		}
	}
	mustSet(t, e, weighing("light", 3))
	<-stored
	if err := e.verify(); err != nil || e.Peek("light") == nil || e.Peek(other) == nil {
		t.Errorf("got %v, and not both stored", err)
	}
}
