package patterns_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/patterns"
	"github.com/larder-go/larder/queue"
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

// An increment that comes between another's look at the queue and its write must
// not be lost.
func TestBehindIncrementComesBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &interrupted{Memory: newMemoryQueue(t)}
		source := newShelf()
		w, err := patterns.NewWriteBehind(t.Context(), nil, source, q, shelfEntity, &behindOptions{Interval: time.Hour, Merge: appended})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = w.Close(t.Context()) }()
		b := &behindBench{T: t, WriteBehind: w, ctx: t.Context(), source: source}
		b.save(1, "a")
		for _, v := range []string{"b", "c"} {
			q.after = func() { b.save(1, v) }
			b.save(1, "x")
		}
		b.flush()
		source.has(t, map[int]string{1: "abxcx"})
	})
}

// interrupted is a queue that runs after, once, when a Lookup has its answer.
type interrupted struct {
	*queue.Memory
	after func()
}

func (q *interrupted) Lookup(ctx context.Context, keys []string) ([]queue.State, error) {
	states, err := q.Memory.Lookup(ctx, keys)
	if after := q.after; after != nil {
		q.after = nil
		after()
	}
	return states, err
}

// A sum that may count an increment twice is not kept.
func TestBehindSumsWhileBeingWrittenAreNotCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late *lateAnswer
		b := newBehindBench(t, behindOptions{Merge: appended}, nil, func(s *shelf) patterns.Repository[int, string] {
			s.add = true
			late = &lateAnswer{shelf: s, answer: make(chan struct{})}
			return late
		})
		b.save(1, "a")
		time.Sleep(time.Second) // the source has it, and has not said so
		if _, err := b.Find(b.ctx, 1); err != nil {
			t.Fatal(err)
		}
		if v, found, err := b.view.Get(b.ctx, shelfKey(1)); found || err != nil {
			t.Errorf("the cache has %q, %v; want nothing", v, err)
		}
		close(late.answer)
		b.flush()
		b.finds(1, "a")
	})
}

// Increments wait in the queue while the source is away; their sum needs what it has,
// unless that is known to be nothing.
func TestBehindSumsNeedTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := &unread{}
		b := newBehindBench(t, behindOptions{Interval: time.Hour, Merge: appended}, nil, func(s *shelf) patterns.Repository[int, string] {
			s.add = true
			s.rows[1], s.rows[2] = "a", "b"
			away.shelf = s
			return away
		})
		b.finds(1, "a") // cached now
		b.finds(2, "b")
		away.err = errSource
		b.finds(1, "a")
		b.save(1, "b")
		if v, err := b.Find(b.ctx, 1); !errors.Is(err, errSource) {
			t.Errorf("Find: got %q, %v; want the error of the source", v, err)
		}
		if err := b.Delete(b.ctx, 2); err != nil {
			t.Fatal(err)
		}
		b.save(2, "x")
		b.finds(2, "x")
		away.err = nil
		b.finds(1, "ab")
		b.flush()
		b.source.has(t, map[int]string{1: "ab", 2: "x"})
	})
}

// unread is a shelf whose reads fail.
type unread struct {
	*shelf
	err error
}

func (s *unread) Find(ctx context.Context, id int) (string, error) {
	if s.err != nil {
		return "", s.err
	}
	return s.shelf.Find(ctx, id)
}

// lateAnswer is a shelf that does not answer a Save for long after it has it.
type lateAnswer struct {
	*shelf
	answer chan struct{}
}

func (s *lateAnswer) Save(ctx context.Context, id int, v string) error {
	err := s.shelf.Save(ctx, id, v)
	<-s.answer
	return err
}

// A load that saw an increment in the queue, and then in the source, too, must
// leave nothing behind.
func TestBehindLoadSeesAnIncrementTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newAdding(t, behindOptions{Interval: time.Hour})
		q := &interrupted{Memory: b.queue}
		w, err := patterns.NewWriteBehind(b.ctx, b.cache, b.source, q, shelfEntity, &behindOptions{Interval: time.Hour, Merge: appended})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = w.Close(b.ctx) }()
		b.save(1, "a")
		q.after = func() { _ = b.Flush(context.Background()) } // the test may be over before it is
		if _, err := w.Find(b.ctx, 1); err != nil {            // until the queue is told, it may count the increment twice
			t.Fatal(err)
		}
		b.flush()
		if got, err := w.Find(b.ctx, 1); got != "a" || err != nil {
			t.Errorf("Find: got %q, %v; want the increment once", got, err)
		}
	})
}
