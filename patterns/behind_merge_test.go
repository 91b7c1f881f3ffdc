package patterns_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/patterns"
)

// Increments of these tests are texts that are appended: what is added twice, or
// in another order, is seen.
func appended(older, newer string) string { return older + newer }

func newAdding(t *testing.T, opts behindOptions) *behindBench {
	opts.Merge = appended
	b := newBehindBench(t, opts, nil, nil)
	b.source.add = true
	return b
}

func TestBehindMergesIncrements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newAdding(t, behindOptions{Interval: time.Hour})
		b.source.rows[1] = "a"
		b.save(1, "b")
		b.save(1, "c")
		b.finds(1, "abc")
		b.save(2, "x")
		b.finds(2, "x")
		found, err := b.FindMany(b.ctx, []int{1, 2, 3})
		if err != nil || len(found) != 2 || found[1] != "abc" || found[2] != "x" {
			t.Errorf("FindMany: got %v, %v; want abc and x", found, err)
		}
		b.flush()
		b.source.has(t, map[int]string{1: "abc", 2: "x"})
		b.finds(1, "abc")
		if got := b.source.history[1]; !slices.Equal(got, []string{"bc"}) {
			t.Errorf("the source got %q, want one increment", got)
		}
	})
}

// An increment that the source may have must not be merged with a later one: if
// it has, it would be added twice.
func TestBehindIncrementsBeingWrittenStayApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newAdding(t, behindOptions{})
		b.source.block = make(chan struct{})
		b.save(1, "a")
		time.Sleep(time.Second)
		b.save(1, "b")
		b.save(1, "c")
		b.finds(1, "abc")
		close(b.source.block)
		b.flush()
		if got := b.source.history[1]; !slices.Equal(got, []string{"a", "bc"}) {
			t.Errorf("the source got %q, want a and then bc", got)
		}
		b.finds(1, "abc")
	})
}

func TestBehindIncrementsFailInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newAdding(t, behindOptions{})
		tries := 0
		b.source.fail = func(int, string) error {
			if tries++; tries < 4 {
				return errors.New("not yet")
			}
			return nil
		}
		for _, v := range []string{"a", "b", "c", "d"} {
			b.save(1, v)
			time.Sleep(patterns.DefaultFlushInterval)
		}
		b.flush()
		b.source.has(t, map[int]string{1: "abcd"})
		b.finds(1, "abcd")
	})
}

func TestBehindIncrementsAfterADeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newAdding(t, behindOptions{Interval: time.Hour})
		b.source.rows[1] = "old"
		b.save(1, "lost")
		if err := b.Delete(b.ctx, 1); err != nil {
			t.Fatal(err)
		}
		b.finds(1, "")
		b.save(1, "a")
		b.save(1, "b")
		b.finds(1, "ab")
		b.flush()
		b.source.has(t, map[int]string{1: "ab"})
	})
}

func TestBehindMergesConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newAdding(t, behindOptions{Interval: time.Millisecond, Workers: 2})
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 50 {
					if err := b.Save(b.ctx, 1, "x"); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		b.flush()
		if got := len(b.source.rows[1]); got != 400 {
			t.Errorf("the source has %d increments, want 400", got)
		}
	})
}
