package patterns_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
	"github.com/larder-go/larder/patterns"
	"github.com/larder-go/larder/queue"
)

// byShelf makes every text depend on its first letter, as a product on its
// category.
var byShelf = patterns.Entity[int, string]{
	AppendKey:  shelfEntity.AppendKey,
	Dependents: func(_ int, v string) []cache.Token { return []cache.Token{cache.KeyToken("shelf", v[:1])} },
}

// newDepending returns a WriteBehind of byShelf, and list, which counts how
// often the list of a letter had to be loaded.
func newDepending(t *testing.T, source patterns.Repository[int, string], opts behindOptions, limits *queue.MemoryOptions) (b *behindBench, list func(letter string) (loads int)) {
	t.Helper()
	c, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	q, err := queue.NewMemory(limits)
	if err != nil {
		t.Fatal(err)
	}
	opts.Interval = time.Hour
	w, err := patterns.NewWriteBehind(t.Context(), c, source, q, byShelf, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.Close(context.Background())
		_ = c.Close(context.Background())
	})
	lists := cache.NewTyped[string](c, nil)
	loads := map[string]int{}
	return &behindBench{T: t, WriteBehind: w, ctx: t.Context(), queue: q, cache: c}, func(letter string) int {
		t.Helper()
		_, err := lists.GetOrCreateExclusive(t.Context(), "list:"+letter, func(_ context.Context, e *cache.Entry) (string, error) {
			e.AddToken(cache.KeyToken("shelf", letter))
			loads[letter]++
			return "", nil
		})
		if err != nil {
			t.Error(err)
		}
		return loads[letter]
	}
}

func TestBehindExpiresDependentsWhenTheSourceIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newShelf()
		source.rows[1] = "a1"
		b, list := newDepending(t, source, behindOptions{}, nil)
		for _, letter := range []string{"a", "b", "c"} {
			list(letter)
		}
		b.save(1, "b1")
		if got := list("a") + list("b"); got != 2 {
			t.Errorf("before the flush the lists were loaded %d times, want once each: the source is as it was", got)
		}
		b.flush()
		if a, b, c := list("a"), list("b"), list("c"); a != 2 || b != 2 || c != 1 {
			t.Errorf("lists were loaded %d, %d and %d times; want that of the old and of the new value again", a, b, c)
		}
		if err := b.Delete(b.ctx, 1); err != nil {
			t.Fatal(err)
		}
		b.flush()
		if got := list("b"); got != 3 {
			t.Errorf("after the deletion the list was loaded %d times, want 3", got)
		}
	})
}

// gated is a shelf whose saves of some values wait until they are let through.
type gated struct {
	*shelf
	gates map[string]chan struct{}
}

func (g *gated) Save(ctx context.Context, id int, v string) error {
	if gate, ok := g.gates[v]; ok {
		<-gate
	}
	return g.shelf.Save(ctx, id, v)
}

func TestBehindExpiresDependentsOfWhatTheQueueHadNoRoomFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newShelf()
		source.rows[1] = "a1"
		b, list := newDepending(t, source, behindOptions{WhenFull: patterns.FullWriteThrough}, &queue.MemoryOptions{MaxEntries: 1})
		b.save(9, "z9")
		for _, letter := range []string{"a", "b", "c"} {
			list(letter)
		}
		b.save(1, "b1")
		if a, b, c := list("a"), list("b"), list("c"); a != 2 || b != 2 || c != 1 {
			t.Errorf("lists were loaded %d, %d and %d times; want that of the old and of the new value again", a, b, c)
		}
	})
}

// One of two who write an entity to the source at once does not know of the lists
// that the other has put it into:
//
//	caller   reads a1, writes b1, and is done
//	reader             loads the list b, which shows 1
//	worker   reads a1,              writes c1, and expires the lists a and c
//
// The list b must not stay.
func TestBehindWritersThatOverlapLeaveNoListStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &gated{newShelf(), map[string]chan struct{}{"b1": make(chan struct{}), "c1": make(chan struct{})}}
		source.rows[1] = "a1"
		b, _ := newDepending(t, source, behindOptions{WhenFull: patterns.FullWriteThrough}, &queue.MemoryOptions{MaxEntries: 1})
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
		wantIDs := func(letter string, want ...int) {
			t.Helper()
			if got, err := lists.IDs(b.ctx, letter); !slices.Equal(got, want) || err != nil {
				t.Errorf("the list %s has %v, %v; want %v", letter, got, err, want)
			}
		}
		ended := make(chan error, 2)
		b.save(9, "z9")
		go func() { ended <- b.Save(b.ctx, 1, "b1") }() // the queue is full
		synctest.Wait()
		b.flush() // there is room
		b.save(1, "c1")
		go func() { ended <- b.Flush(b.ctx) }()
		synctest.Wait()

		close(source.gates["b1"])
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		wantIDs("b", 1)
		close(source.gates["c1"])
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		for range 2 {
			wantIDs("a")
			wantIDs("b")
			wantIDs("c", 1)
		}
		time.Sleep(time.Minute) // the last marks have run out
		wantIDs("b")
	})
}

func TestBehindWritesOfATransactionWaitForItsCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindBench(t, behindOptions{Interval: time.Hour}, nil, nil)
		outer, err := patterns.NewHooked[int, string](newShelf(), patterns.Hooks[int, string]{})
		if err != nil {
			t.Fatal(err)
		}
		no := errors.New("no")
		for _, outcome := range []error{no, nil} {
			err := outer.Transact(b.ctx, func(ctx context.Context) error {
				if err := errors.Join(b.Save(ctx, 1, "one"), b.Save(ctx, 2, "two"), b.Delete(ctx, 2)); err != nil {
					return err
				}
				if v, err := b.Find(ctx, 1); v != "one" || err != nil {
					t.Errorf("Find in the transaction: got %q, %v; want its own write", v, err)
				}
				if found, err := b.FindMany(ctx, []int{1, 2}); len(found) != 1 || err != nil {
					t.Errorf("FindMany in the transaction: got %v, %v; want its own writes", found, err)
				}
				b.finds(1, "") // from outside
				return outcome
			})
			if !errors.Is(err, outcome) {
				t.Errorf("Transact: got %v, want %v", err, outcome)
			}
			if outcome != nil {
				b.finds(1, "")
				b.flush()
				b.source.has(t, map[int]string{})
			}
		}
		b.finds(1, "one")
		b.flush()
		b.source.has(t, map[int]string{1: "one"})
	})
}

func TestBehindComposition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindBench(t, behindOptions{Interval: time.Hour}, nil, nil)
		again := func(inner patterns.Repository[int, string]) error {
			_, err := patterns.NewWriteBehind(b.ctx, nil, inner, newMemoryQueue(t), shelfEntity, nil)
			return err
		}
		aside, err := patterns.NewCacheAside(b.cache, b.source, shelfEntity)
		if err != nil {
			t.Fatal(err)
		}
		_, through := patterns.NewWriteThrough(b.cache, b.WriteBehind, shelfEntity, nil)
		_, twice := patterns.NewCacheAside(b.cache, b.WriteBehind, shelfEntity)
		for name, err := range map[string]error{
			"behind behind": again(b.WriteBehind), "behind over a cache": again(aside), "through over behind": through, "aside over behind that caches": twice,
		} {
			if !errors.Is(err, patterns.ErrComposition) {
				t.Errorf("%s: got %v, want ErrComposition", name, err)
			}
		}
	})
}

// A CacheAside around a WriteBehind without a cache is as good as one with.
func TestBehindUnderACacheAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := memory.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		source := newShelf()
		w, err := patterns.NewWriteBehind(t.Context(), nil, source, newMemoryQueue(t), shelfEntity, &behindOptions{Interval: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = errors.Join(w.Close(t.Context()), c.Close(t.Context())) }()
		aside, err := patterns.NewCacheAside(c, w, shelfEntity)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range []string{"old", "new"} {
			if err := aside.Save(t.Context(), 1, v); err != nil {
				t.Fatal(err)
			}
			if got, err := aside.Find(t.Context(), 1); got != v || err != nil {
				t.Errorf("Find: got %q, %v; want %q", got, err, v)
			}
		}
		err = aside.Transact(t.Context(), func(ctx context.Context) error { return aside.Save(ctx, 1, "newer") })
		if got, findErr := aside.Find(t.Context(), 1); got != "newer" || err != nil || findErr != nil {
			t.Errorf("Find after Transact: got %q, %v, %v; want newer", got, err, findErr)
		}
	})
}
