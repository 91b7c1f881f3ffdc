package patterns_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/patterns"
	"github.com/larder-go/larder/queue"
)

func TestBehindAcknowledgesBeforeTheSourceHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindBench(t, behindOptions{}, nil, nil)
		b.save(1, "one")
		b.source.has(t, map[int]string{})
		b.finds(1, "one")
		time.Sleep(patterns.DefaultFlushInterval + time.Millisecond)
		b.source.has(t, map[int]string{1: "one"})
		b.finds(1, "one")
	})
}

func TestBehindReadsUnflushedWritesAfterEviction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindBench(t, behindOptions{Interval: time.Hour}, nil, nil)
		b.source.rows[1], b.source.rows[3] = "old", "three"
		b.finds(1, "old")
		b.save(1, "new")
		if err := b.Delete(b.ctx, 3); err != nil {
			t.Fatal(err)
		}
		for _, evict := range []bool{false, true} {
			if evict {
				if err := b.cache.Clear(b.ctx); err != nil {
					t.Fatal(err)
				}
			}
			b.finds(1, "new")
			b.finds(2, "")
			b.finds(3, "")
			found, err := b.FindMany(b.ctx, []int{1, 2, 3})
			if err != nil || len(found) != 1 || found[1] != "new" {
				t.Errorf("FindMany: got %v, %v; want the new value only", found, err)
			}
		}
		b.source.has(t, map[int]string{1: "old", 3: "three"})
		b.flush()
		b.source.has(t, map[int]string{1: "new"})
	})
}

func TestBehindWithoutACache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, q := newShelf(), newMemoryQueue(t)
		w, err := patterns.NewWriteBehind(t.Context(), nil, source, q, shelfEntity, &behindOptions{Interval: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		b := &behindBench{T: t, WriteBehind: w, ctx: t.Context(), source: source}
		source.rows[2] = "two"
		b.save(1, "one")
		b.finds(1, "one")
		b.finds(2, "two")
		if found, err := b.FindMany(b.ctx, []int{1, 2}); err != nil || len(found) != 2 {
			t.Errorf("FindMany: got %v, %v; want both", found, err)
		}
		if err := b.Close(b.ctx); err != nil {
			t.Errorf("Close: got %v, want no error", err)
		}
		source.has(t, map[int]string{1: "one", 2: "two"})
	})
}

func newMemoryQueue(t *testing.T) *queue.Memory {
	t.Helper()
	q, err := queue.NewMemory(nil)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// A load that began before a write must not fill what it read before it.
func TestBehindLoadInFlightDoesNotBringBackTheOldValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow *slowFinder
		b := newBehindBench(t, behindOptions{Interval: time.Hour}, nil, func(s *shelf) patterns.Repository[int, string] {
			slow = &slowFinder{shelf: s, found: make(chan struct{}), answer: make(chan struct{})}
			return slow
		})
		b.source.rows[1] = "old"
		go func() { _, _ = b.Find(b.ctx, 1) }()
		<-slow.found // "old" was read, and is on its way to the cache
		b.save(1, "new")
		close(slow.answer)
		synctest.Wait()
		b.finds(1, "new")
		if v, found, err := b.view.Get(b.ctx, shelfKey(1)); !found || v != "new" || err != nil {
			t.Errorf("the cache has %q, %t, %v; want the new value", v, found, err)
		}
	})
}

// slowFinder answers only the first Find when it is told to.
type slowFinder struct {
	*shelf
	found, answer chan struct{}
	again         bool
}

func (s *slowFinder) Find(ctx context.Context, id int) (string, error) {
	v, err := s.shelf.Find(ctx, id)
	if !s.again {
		s.again = true
		close(s.found)
		<-s.answer
	}
	return v, err
}

func TestBehindCoalesces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const updates = 10_000
		b := newBehindBench(t, behindOptions{}, nil, nil)
		for i := range updates {
			b.save(1, fmt.Sprint(i))
			time.Sleep(100 * time.Microsecond) // 10,000 a second
		}
		b.flush()
		b.source.has(t, map[int]string{1: fmt.Sprint(updates - 1)})
		if b.source.saves > updates/100 {
			t.Errorf("the source got %d writes for %d updates, want at most 1 %%", b.source.saves, updates)
		}
	})
}

func TestBehindCoalescesABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const updates = 10_000
		b := newBehindBench(t, behindOptions{}, nil, nil)
		for i := range updates { // no time passes: the worker runs only when it is woken
			b.save(1, fmt.Sprint(i))
			if i%10 == 0 {
				synctest.Wait()
			}
		}
		b.flush()
		if b.source.saves > updates/500 { // a worker learns that these fill no batch
			t.Errorf("the source got %d writes for %d updates, want at most 0.2 %%", b.source.saves, updates)
		}
	})
}

func TestBehindWritesAFullBatchAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var source *batchShelf
		b := newBehindBench(t, behindOptions{Interval: time.Hour, BatchSize: 10}, nil, func(s *shelf) patterns.Repository[int, string] {
			source = &batchShelf{shelf: s}
			return source
		})
		for i := range 25 {
			b.save(i, "x")
		}
		synctest.Wait()
		if len(source.batches) == 0 || source.batches[0] != 10 {
			t.Errorf("got batches %v in no time, want a full one first", source.batches)
		}
		b.flush()
		if len(source.rows) != 25 || source.saves > 2 {
			t.Errorf("got %d rows, %d single saves; want 25 and next to none", len(source.rows), source.saves)
		}
	})
}

func TestBehindPoisonDoesNotBlockOthers(t *testing.T) {
	for name, batched := range map[string]bool{"one by one": false, "in batches": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBehindBench(t, behindOptions{MaxAttempts: 3}, nil, func(s *shelf) patterns.Repository[int, string] {
					if batched {
						return &batchShelf{shelf: s}
					}
					return s
				})
				b.source.rows[2] = "old"
				b.source.fail = func(_ int, v string) error {
					if v == "poison" {
						return errors.New("constraint violated")
					}
					return nil
				}
				b.save(1, "one")
				b.save(2, "poison")
				b.save(3, "three")
				b.finds(2, "poison")
				time.Sleep(patterns.DefaultFlushInterval + time.Millisecond)
				b.source.has(t, map[int]string{1: "one", 2: "old", 3: "three"})
				b.flush()
				if len(b.letters()) != 1 || b.letters()[0].ID != 2 || b.letters()[0].Value != "poison" || b.letters()[0].Attempts != 3 ||
					b.letters()[0].Reason != "constraint violated" {
					t.Errorf("OnDead: got %+v, want the poison", b.letters())
				}
				b.finds(2, "old") // the cache was repaired
				b.save(2, "good") // a newer value takes the dead one's place
				b.flush()
				b.source.has(t, map[int]string{1: "one", 2: "good", 3: "three"})
				if st := b.stats(); st.Queue.Dead != 0 || st.Queue.Buried != 1 {
					t.Errorf("Stats: got %+v, want no dead letter left", st.Queue)
				}
			})
		})
	}
}

func TestBehindPermanentErrorsAreNotTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindBench(t, behindOptions{}, nil, nil)
		b.source.fail = func(int, string) error { return fmt.Errorf("%w: too long", patterns.ErrPermanent) }
		b.save(1, "one")
		b.flush()
		if len(b.letters()) != 1 || b.letters()[0].Attempts != 1 || b.source.saves != 1 {
			t.Errorf("got %d dead letters after %d tries, want 1 after 1", len(b.letters()), b.source.saves)
		}
	})
}

func TestBehindDeadLettersAreRetriedAndDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindBench(t, behindOptions{MaxAttempts: 1}, nil, nil)
		b.source.fail = func(int, string) error { return errors.New("no") }
		b.save(1, "one")
		b.save(2, "two")
		b.flush()
		letters, err := b.DeadLetters(b.ctx, "", 10)
		if err != nil || len(letters) != 2 || letters[0].ID != 1 || letters[1].Value != "two" {
			t.Fatalf("DeadLetters: got %+v, %v; want both", letters, err)
		}
		b.finds(1, "")
		b.source.set(func() { b.source.fail = nil })
		if err := b.RetryDeadLetter(b.ctx, letters[0].Key, letters[0].Sequence); err != nil {
			t.Fatal(err)
		}
		b.finds(1, "one") // it is unflushed again
		if err := b.DropDeadLetter(b.ctx, letters[1].Key, letters[1].Sequence); err != nil {
			t.Fatal(err)
		}
		b.flush()
		b.source.has(t, map[int]string{1: "one"})
		if err := b.DropDeadLetter(b.ctx, letters[1].Key, letters[1].Sequence); !errors.Is(err, queue.ErrNoDeadLetter) {
			t.Errorf("DropDeadLetter again: got %v, want ErrNoDeadLetter", err)
		}
	})
}

func TestBehindParksBehindADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindBench(t, behindOptions{MaxAttempts: 1, Park: true}, nil, nil)
		b.source.fail = func(_ int, v string) error {
			if v == "poison" {
				return errors.New("no")
			}
			return nil
		}
		b.save(1, "poison")
		b.flush()
		b.save(1, "good")
		b.save(2, "two")
		b.flush()
		b.source.has(t, map[int]string{2: "two"})
		b.finds(1, "good")
		b.source.set(func() { b.source.fail = nil })
		if err := b.RetryDeadLetter(b.ctx, shelfKey(1), b.letters()[0].Sequence); err != nil {
			t.Fatal(err)
		}
		b.flush()
		b.source.has(t, map[int]string{1: "good", 2: "two"})
		if got := b.source.history[1]; !slices.Equal(got, []string{"poison", "good"}) {
			t.Errorf("the source got %q, want them in order", got)
		}
	})
}

func TestBehindAnOutageMakesNoDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindBench(t, behindOptions{MaxAttempts: 2}, nil, nil)
		b.source.fail = func(int, string) error { return fmt.Errorf("dial: %w", cache.ErrUnavailable) }
		for i := range 50 {
			b.save(i, "x")
		}
		time.Sleep(6 * time.Hour)
		if st := b.stats(); st.Queue.Queued != 50 || st.Queue.Dead != 0 {
			t.Errorf("after an outage: got %d queued, %d dead; want 50, 0", st.Queue.Queued, st.Queue.Dead)
		}
		if b.source.saves > 6*60*10 {
			t.Errorf("the source was asked %d times in six hours of outage, want a pause between", b.source.saves)
		}
		b.source.set(func() { b.source.fail = nil })
		b.flush()
		if len(b.source.rows) != 50 {
			t.Errorf("got %d rows, want all 50", len(b.source.rows))
		}
	})
}

func TestBehindPanicsOfTheSourceAreFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindBench(t, behindOptions{MaxAttempts: 2}, nil, nil)
		b.source.fail = func(int, string) error { panic("with a secret") }
		b.save(1, "one")
		b.flush()
		if len(b.letters()) != 1 || strings.Contains(b.letters()[0].Reason, "secret") {
			t.Errorf("got %+v, want a dead letter whose reason keeps the secret", b.letters())
		}
	})
}

func TestBehindUndecodableItemsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindBench(t, behindOptions{}, nil, nil)
		for i, payload := range []string{"", "\x00\x00", "\x01\xff", "\x01\x01\x05a", "\x01\x01\x00"} {
			if _, err := b.queue.Enqueue(b.ctx, queue.Write{Key: fmt.Sprint("foreign", i), Payload: []byte(payload)}); err != nil {
				t.Fatal(err)
			}
		}
		b.flush()
		letters, err := b.DeadLetters(b.ctx, "", 10)
		if err != nil || len(letters) != 5 {
			t.Fatalf("DeadLetters: got %d, %v; want 5", len(letters), err)
		}
		for _, l := range letters {
			if !errors.Is(l.Err, cache.ErrUndecodable) {
				t.Errorf("got error %v, want ErrUndecodable", l.Err)
			}
		}
		if string(letters[3].Payload) != "\x01\x01\x05a" {
			t.Errorf("got payload %q, want it as it was", letters[3].Payload)
		}
	})
}
