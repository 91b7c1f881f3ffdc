package memory

import (
	"context"
	"fmt"
	"math/bits"
	"strconv"
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
	if _, found, err := c.GetObject(ctx, "hot"); !found || err != nil {
		t.Fatalf("got %v, %v, want a hit", found, err)
	}
	if c.hot.find("hot") == nil {
		t.Error("an entry that was read is not in the hot table")
	}
	for e := range c.hot.all {
		if e.account.gone() || c.engine.find(e.key) != e {
			t.Error("a slot holds an entry that has left")
		}
	}
	if err := c.Clear(ctx); err != nil {
		t.Error(err)
	}
	for range c.hot.all {
		t.Error("a slot holds an entry after Clear")
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

// all calls yield for every slot that holds something.
func (h *hot) all(yield func(*entry) bool) {
	for i, table := 0, *h.table.Load(); i < len(table); i++ {
		for j := range table[i].slots {
			if e := table[i].slots[j].Load(); e != nil && !yield(e) {
				return
			}
		}
	}
}

// The interleavings of a reader that offers an entry and a writer that takes it
// away, step by step.
func TestHotTableForgetsWhatLeaves(t *testing.T) {
	var h hot
	h.init()
	e := &entry{key: "k"}
	wantGone := func(when string) {
		t.Helper()
		if h.find("k") != nil {
			t.Errorf("%s: the entry is found", when)
		}
		for range h.all {
			t.Errorf("%s: the entry is still there", when)
		}
	}
	h.offer(e, 0)
	h.offer(e, 0)
	if h.find("k") != e {
		t.Fatal("an entry that was offered is not found")
	}
	if h.find("other") != nil {
		t.Error("found an entry under another key")
	}
	h.leave(e)
	wantGone("left after it was offered")
	h.offer(e, 0)
	wantGone("offered after it left")

	bucket, tag := h.bucket("k")
	bucket.tag(3, tag)
	bucket.slots[3].Store(e) // offered, and the writer has come as far as the mark
	if h.find("k") != nil {
		t.Error("found an entry that is marked")
	}
	next := &entry{key: "k"}
	h.offer(next, 0)
	h.leave(e)
	if h.find("k") != next {
		t.Error("an entry that left took its successor with it")
	}
	bucket.slots[5].Store(next) // two readers offered it at once
	bucket.tag(5, tag)
	h.leave(next)
	wantGone("left two slots")
}

// Another table is empty: what left while it was made cannot be in it, and a
// reader that still has the one before puts nothing into it.
func TestHotTableGrowsAndShrinks(t *testing.T) {
	var h hot
	h.init()
	e := &entry{key: "k"}
	h.offer(e, 0)
	small := h.table.Load()
	bucket, _ := h.bucket("k")
	h.fit(hotMinBuckets * hotFill)
	if h.table.Load() != small {
		t.Error("got another table for entries that the first one has room for")
	}
	h.fit(hotMinBuckets*hotFill + 1)
	if h.table.Load() == small || h.find("k") != nil {
		t.Error("got no empty table for one entry more")
	}
	h.leave(e)
	bucket.slots[0].Store(e) // a reader that was slow
	for range h.all {
		t.Error("an entry that left is in the new table")
	}
	for _, tc := range []struct{ entries, buckets int64 }{
		{hotMinBuckets * hotFill * 2, 4 * hotMinBuckets}, // it was passed at the last one but one
		{1 << 40, hotMaxBuckets}, {hotMaxBuckets, hotMaxBuckets}, {0, hotMinBuckets},
	} {
		h.fit(tc.entries)
		if n := int64(len(*h.table.Load())); n > tc.buckets || n*hotFill < min(tc.entries, hotMaxBuckets*hotFill) {
			t.Errorf("got %d buckets for %d entries", n, tc.entries)
		}
	}
}

// What finds no free slot takes the place of another entry, now and then.
func TestHotTableReplacesWhatIsInTheWay(t *testing.T) {
	var h hot
	h.init()
	entries := make([]*entry, 4*hotWays*hotMinBuckets)
	for i := range entries {
		entries[i] = &entry{key: strconv.Itoa(i)}
		h.offer(entries[i], 1)
	}
	held := 0
	for range h.all {
		held++
	}
	if held < hotWays*hotMinBuckets*9/10 {
		t.Errorf("%d slots of %d hold an entry", held, hotWays*hotMinBuckets)
	}
	last := entries[len(entries)-1]
	if h.find(last.key) != nil {
		t.Error("an entry took the place of another at the first offer")
	}
	h.offer(last, 3*hotOffer)
	if h.find(last.key) != last {
		t.Error("an entry that was offered again and again is not found")
	}
	for e := range h.all {
		if e.key == last.key {
			h.leave(e)
		}
	}
	if h.find(last.key) != nil {
		t.Error("found an entry that has left")
	}
}

// A tag that does not fit its slot hides an entry until it is offered again.
func TestHotTableHealsTags(t *testing.T) {
	var h hot
	h.init()
	e := &entry{key: "k"}
	h.offer(e, 0)
	bucket, tag := h.bucket("k")
	for way := range hotWays {
		bucket.tag(way, ^tag)
	}
	if h.find("k") != nil {
		t.Error("found an entry with the wrong tag")
	}
	h.offer(e, 0)
	if h.find("k") != e {
		t.Error("not found although it was offered")
	}
}

func TestEqualBytes(t *testing.T) {
	for tag := range 256 {
		for way := range hotWays {
			word := uint64(0)
			for i := range 8 {
				b := uint8(tag + 1 + i*31%254)
				if i == way {
					b = uint8(tag)
				}
				word |= uint64(b) << (8 * i)
			}
			found := equalBytes(word, uint8(tag))
			if bits.TrailingZeros64(found) != 8*way+7 || found>>56 != 0 {
				t.Fatalf("%#x in %#x: got %#x", tag, word, found)
			}
		}
	}
}
