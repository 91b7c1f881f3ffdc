package patterns_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/cachetest"
	"github.com/larder-go/larder/patterns"
	"github.com/larder-go/larder/queue"
)

// shelfLists returns the lists by letter of what source has.
func shelfLists(b *behindBench, source *shelf) func(letter string, want ...int) {
	lists := must(patterns.NewQuery(b.cache, b.WriteBehind, func(_ context.Context, letter string) (ids []int, err error) {
		source.set(func() {
			for id, v := range source.rows {
				if v[:1] == letter {
					ids = append(ids, id)
				}
			}
		})
		return ids, nil
	}, patterns.QueryOptions[string, int]{Name: "shelf", Tokens: func(letter string) []cache.Token {
		return []cache.Token{cache.KeyToken("shelf", letter)}
	}}))
	return func(letter string, want ...int) {
		b.Helper()
		if got, err := lists.IDs(b.ctx, letter); !slices.Equal(got, want) || err != nil {
			b.Errorf("the list %s has %v, %v; want %v", letter, got, err, want)
		}
	}
}

// See TestListsOfAWriterThatDiedAreGuardedAgainstThoseItOverlapped.
func TestBehindListsOfAWriterThatDiedAreGuardedAgainstThoseItOverlapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &gated{newShelf(), map[string]chan struct{}{"b1": make(chan struct{}), "c1": make(chan struct{})}}
		source.rows[1] = "a1"
		b, _ := newDepending(t, source, behindOptions{}, &queue.MemoryOptions{MaxEntries: 1})
		f, faulty := cachetest.NewFaults(b.cache, 1)
		dying := must(patterns.NewWriteBehind(t.Context(), faulty, patterns.Repository[int, string](source), b.queue, byShelf,
			&behindOptions{Interval: time.Hour, WhenFull: patterns.FullWriteThrough}))
		defer func() { _ = dying.Close(t.Context()) }()
		wantIDs := shelfLists(b, source.shelf)

		start := time.Now()
		ended := make(chan error, 2)
		b.save(9, "z9") // the queue is full
		go func() { ended <- dying.Save(b.ctx, 1, "b1") }()
		synctest.Wait()
		time.Sleep(20 * time.Second)
		b.flush() // there is room
		b.save(1, "c1")
		go func() { ended <- b.Flush(b.ctx) }()
		synctest.Wait()
		f.Plan(cachetest.Fault{Kind: cachetest.FailBefore, Err: cache.ErrUnavailable})
		close(source.gates["b1"])
		<-ended // nothing more of it reaches the cache
		time.Sleep(time.Until(start.Add(40 * time.Second)))
		wantIDs("b", 1)
		close(source.gates["c1"])
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		wantIDs("b")
		wantIDs("c", 1)
	})
}

// A source that did not answer may write later: what shows the entity must not be
// stored before.
func TestBehindListsOfAWriteOfUnknownOutcomeAreNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newShelf()
		source.rows[1] = "a1"
		source.fail = func(int, string) error { return cache.ErrOutcomeUnknown }
		b, _ := newDepending(t, source, behindOptions{WhenFull: patterns.FullWriteThrough}, &queue.MemoryOptions{MaxEntries: 1})
		wantIDs := shelfLists(b, source)
		b.save(9, "z9") // the queue is full
		if err := b.Save(b.ctx, 1, "b1"); !errors.Is(err, cache.ErrOutcomeUnknown) {
			t.Fatalf("got %v, want ErrOutcomeUnknown", err)
		}
		wantIDs("a", 1)
		wantIDs("b")
		source.set(func() { source.rows[1] = "b1" })
		wantIDs("a")
		wantIDs("b", 1)
	})
}
