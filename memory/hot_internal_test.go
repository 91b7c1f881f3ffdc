package memory

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/larder-go/larder/cache"
)

// A read that starts after a write returned sees it, whichever table it is
// served from; and no slot of the hot table keeps what has left.
func TestHotTableServesNothingThatHasLeft(t *testing.T) {
	c, err := New(&Options{MaxEntries: 64})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	const keys, rounds = 8, 20_000
	var floors [keys]atomic.Int64
	var done atomic.Bool
	var readers, writers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for i := 0; !done.Load(); i++ {
				k := i % keys
				floor := floors[k].Load()
				value, found, err := c.GetObject(ctx, fmt.Sprint("hot", k))
				if err != nil || found && value.(int64) < floor {
					t.Errorf("got %v, %v, want at least %d", value, err, floor)
					return
				}
			}
		})
	}
	for w := range 2 {
		writers.Go(func() {
			for n := int64(1); n <= rounds; n++ {
				k := int(n)%(keys/2)*2 + w // each key has one writer
				key := fmt.Sprint("hot", k)
				write := c.Remove(ctx, key)
				if n%3 != 0 {
					write = c.SetObject(ctx, key, n, cache.EntryOptions{})
				}
				if write != nil {
					t.Error(write)
				}
				floors[k].Store(n)
				if n%16 == 0 { // push others out
					if err := c.SetObject(ctx, fmt.Sprint("cold", n), n, cache.EntryOptions{}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	writers.Wait()
	done.Store(true)
	readers.Wait()
	if err := c.SetObject(ctx, "hot", int64(0), cache.EntryOptions{}); err != nil {
		t.Error(err)
	}
	for range 4 * hotOffer {
		if _, found, err := c.GetObject(ctx, "hot"); !found || err != nil {
			t.Fatalf("got %v, %v, want a hit", found, err)
		}
	}
	if c.hot.find("hot") == nil {
		t.Error("an entry that is read again and again is not in the hot table")
	}
	for i := range c.hot.slots {
		if e := c.hot.slots[i].Load(); e != nil && (e.account.gone() || c.engine.find(e.key) != e) {
			t.Error("a slot holds an entry that has left")
		}
	}
	if err := c.Clear(ctx); err != nil {
		t.Error(err)
	}
	for i := range c.hot.slots {
		if c.hot.slots[i].Load() != nil {
			t.Error("a slot holds an entry after Clear")
		}
	}
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
}

// Hot entries are read past the engine, which must not evict them as cold.
func TestHotEntriesAreNotEvictedForColdOnes(t *testing.T) {
	c, err := New(&Options{MaxEntries: 200})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	hot := make([]string, 20)
	for i := range hot {
		hot[i] = fmt.Sprint("hot", i)
	}
	read := func() (misses int) {
		for _, key := range hot {
			if _, found, _ := c.GetObject(ctx, key); !found {
				misses++
				if err := c.SetObject(ctx, key, key, cache.EntryOptions{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		return misses
	}
	for range 100 {
		read()
	}
	misses := 0
	for i := range 5000 {
		if err := c.SetObject(ctx, fmt.Sprint("cold", i), i, cache.EntryOptions{}); err != nil {
			t.Fatal(err)
		}
		misses += read()
	}
	if misses > 100 {
		t.Errorf("hot entries were missed %d times in 100,000 reads", misses)
	}
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
}

// The interleavings of a reader that offers an entry and a writer that takes it
// away, step by step.
func TestHotTableForgetsWhatLeaves(t *testing.T) {
	var h hot
	h.seed = maphash.MakeSeed()
	e := &entry{key: "k"}
	wantGone := func(when string) {
		t.Helper()
		if h.find("k") != nil || h.slot("k").Load() != nil {
			t.Errorf("%s: the entry is still there", when)
		}
	}
	h.offer(e)
	if h.find("k") != e {
		t.Fatal("an entry that was offered is not found")
	}
	if h.find("other") != nil {
		t.Error("found an entry under another key")
	}
	h.leave(e)
	wantGone("left after it was offered")
	h.offer(e)
	wantGone("offered after it left")
	h.slot("k").Store(e) // offered, and the writer has come as far as the mark
	if h.find("k") != nil {
		t.Error("found an entry that is marked")
	}
	next := &entry{key: "k"}
	h.offer(next)
	h.leave(e)
	if h.find("k") != next {
		t.Error("an entry that left took its successor with it")
	}
}
