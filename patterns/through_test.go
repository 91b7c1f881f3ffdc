package patterns_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/cachetest"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
	"github.com/larder-go/larder/patterns"
)

type repository = patterns.Repository[int, product]

func newThrough(t *testing.T, c cache.Cache, s repository, opts *patterns.WriteThroughOptions) *patterns.WriteThrough[int, product] {
	t.Helper()
	w, err := patterns.NewWriteThrough(c, s, entity, opts)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestThroughStoresWhatItWrote(t *testing.T) {
	onCaches(t, func(t *testing.T, c cache.Cache) {
		for name, s := range map[string]*table{"transactions": newTable(map[int]product{}), "none": newTable(map[int]product{})} {
			t.Run(name, func(t *testing.T) {
				inner := repository(s)
				if name == "none" {
					inner = s.plain()
				}
				w := newThrough(t, c, inner, nil)
				if err := w.Save(t.Context(), 1, apple); err != nil {
					t.Fatal(err)
				}
				if err := w.SaveMany(t.Context(), map[int]product{2: pear, 3: leek}); err != nil {
					t.Fatal(err)
				}
				wantLoads(t, s, 0, func() {
					wantFind(t, w, 1, apple)
					wantFind(t, w, 2, pear)
					wantFind(t, w, 3, leek)
				})
				if err := w.Delete(t.Context(), 1); err != nil {
					t.Fatal(err)
				}
				wantFind(t, w, 1, product{})
				if s.rows[3] != leek || len(s.rows) != 2 {
					t.Errorf("the source has %v", s.rows)
				}
			})
		}
	})
}

func TestThroughKeepsForAsLongAsItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTable(map[int]product{})
		w := newThrough(t, openMemory(t), s, nil)
		if err := w.SaveFor(t.Context(), 1, apple, cache.EntryOptions{TTL: time.Second}); err != nil {
			t.Fatal(err)
		}
		wantLoads(t, s, 0, func() { wantFind(t, w, 1, apple) })
		time.Sleep(time.Second)
		wantLoads(t, s, 1, func() { wantFind(t, w, 1, apple) })
		if err := w.SaveFor(t.Context(), 1, pear, cache.EntryOptions{TTL: -1}); !errors.Is(err, cache.ErrInvalidTTL) || s.rows[1] != apple {
			t.Errorf("got %v and %v, want ErrInvalidTTL and nothing written", err, s.rows[1])
		}
	})
}

// Whatever fails in a transaction leaves the old value, in the source and for
// readers, during it and afterwards.
func TestRolledBackWritesAreNeverSeen(t *testing.T) {
	onCaches(t, func(t *testing.T, c cache.Cache) {
		for _, at := range []string{"save", "commit", "function", "panic"} {
			t.Run(at, func(t *testing.T) {
				s := newTable(map[int]product{1: apple, 2: leek})
				w := newThrough(t, c, s, nil)
				wantFind(t, w, 1, apple)
				s.before = func(step string) error {
					if step == at {
						wantFind(t, w, 1, apple) // by another, with a context of its own
						return errSource
					}
					return nil
				}
				err := func() (err error) {
					defer func() {
						if p := recover(); p != nil {
							err = p.(error)
						}
					}()
					return w.Transact(t.Context(), func(ctx context.Context) error {
						if err := w.Save(ctx, 2, pear); err != nil {
							return err
						}
						if v, err := w.Find(ctx, 2); err != nil || v != pear {
							t.Errorf("the transaction found %v, %v, want its own %v", v, err, pear)
						}
						wantFind(t, w, 2, leek)
						if err := w.Save(ctx, 1, pear); err != nil {
							return err
						}
						switch at {
						case "function":
							return errSource
						case "panic":
							panic(errSource)
						}
						return nil
					})
				}()
				if !errors.Is(err, errSource) {
					t.Errorf("got %v, want the source's error", err)
				}
				s.before = func(string) error { return nil }
				for range 2 {
					wantFind(t, w, 1, apple)
					wantFind(t, w, 2, leek)
				}
				if err := w.Delete(t.Context(), 1); err != nil {
					t.Fatal(err)
				}
			})
		}
	})
}

// A write of one entity in a transaction begun by the wrapper of another waits
// for its end.
func TestTransactionsSpanWrappers(t *testing.T) {
	onCaches(t, func(t *testing.T, c cache.Cache) {
		s := newTable(map[int]product{})
		orders := patterns.Entity[int, product]{AppendKey: func(b []byte, id int) []byte { return fmt.Appendf(b, "order-%d", id) }}
		a := must(patterns.NewCacheAside(c, repository(s), orders))
		w := newThrough(t, c, s, nil)
		for _, fails := range []error{errSource, nil} {
			err := w.Transact(t.Context(), func(ctx context.Context) error {
				return errors.Join(w.Save(ctx, 1, apple), a.Save(ctx, 2, pear),
					a.Transact(ctx, func(ctx context.Context) error { return a.Save(ctx, 3, leek) }), fails)
			})
			if !errors.Is(err, fails) {
				t.Errorf("got %v, want %v", err, fails)
			}
			for id, want := range map[int]product{1: apple, 2: pear, 3: leek} {
				if fails != nil {
					want = product{}
				}
				wantFind(t, w, id, want)
				wantFind(t, a, id, want)
			}
		}
	})
}

func TestCacheFailurePolicies(t *testing.T) {
	down := cachetest.Fault{Kind: cachetest.FailBefore, Err: cache.ErrUnavailable}
	var ends, marks, gets cachetest.Fault = down, down, down
	ends.Ops = []string{"set", "set_object", "end_write", "remove", "expire_tokens"}
	marks.Ops = []string{"begin_write"}
	gets.Ops = []string{"get"}
	for _, tc := range []struct {
		name    string
		policy  patterns.CacheFailure
		fault   cachetest.Fault
		want    error
		written bool
	}{
		{"Invalidate, unreachable", patterns.Invalidate, down, cache.ErrCommittedCacheDegraded, true},
		{"Invalidate, no marks", patterns.Invalidate, marks, nil, true},
		{"Invalidate, ends fail", patterns.Invalidate, ends, cache.ErrCommittedCacheDegraded, true},
		{"Continue, unreachable", patterns.Continue, down, nil, true},
		{"FailWrite, unreachable", patterns.FailWrite, down, cache.ErrUnavailable, false},
		{"FailWrite, no marks", patterns.FailWrite, marks, cache.ErrUnavailable, false},
		{"FailWrite, gone before the commit", patterns.FailWrite, gets, cache.ErrUnavailable, false},
		{"FailWrite, gone after the commit", patterns.FailWrite, ends, cache.ErrCommittedCacheDegraded, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTable(map[int]product{1: apple})
			f, c := cachetest.NewFaults(openMemory(t), 1)
			w := must(patterns.NewWriteThrough(c, repository(s), patterns.Entity[int, product]{}, &patterns.WriteThroughOptions{WhenCacheFails: tc.policy}))
			wantFind(t, w, 1, apple)
			f.Plan(tc.fault)
			if err := w.Save(t.Context(), 1, pear); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if written := s.rows[1] == pear; written != tc.written {
				t.Errorf("written: %v, want %v", written, tc.written)
			}
			if kept := tc.policy == patterns.Continue; (w.Unheard() == 1) != kept {
				t.Errorf("%d failures were kept quiet about", w.Unheard())
			}
		})
	}
}

func TestRetryCacheTellsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTable(map[int]product{1: apple})
		f, c := cachetest.NewFaults(openMemory(t), 1)
		w := newThrough(t, c, s, &patterns.WriteThroughOptions{WhenCacheFails: patterns.RetryCache})
		wantFind(t, w, 1, apple)
		f.Plan(cachetest.Fault{Kind: cachetest.FailBefore, Err: cache.ErrUnavailable})
		time.AfterFunc(time.Second, func() { f.Plan() })
		if err := w.Save(t.Context(), 1, pear); err != nil {
			t.Error(err)
		}
		wantFind(t, w, 1, pear)

		f.Plan(cachetest.Fault{Kind: cachetest.FailBefore, Err: cache.ErrUnavailable})
		start := time.Now()
		if err := w.Save(t.Context(), 1, leek); !errors.Is(err, cache.ErrCommittedCacheDegraded) {
			t.Errorf("got %v, want ErrCommittedCacheDegraded", err)
		}
		if d := time.Since(start); d > patterns.DefaultRetryFor || d < patterns.DefaultRetryFor/2 {
			t.Errorf("it took %v, want about %v", d, patterns.DefaultRetryFor)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		if err := w.Save(ctx, 1, apple); !errors.Is(err, cache.ErrCommittedCacheDegraded) {
			t.Errorf("got %v, want ErrCommittedCacheDegraded", err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("it took %v, want 1s", d)
		}
	})
}

// Processes that write one entity at once leave the cache equal to the source.
func TestWritersOfOneKeyAgree(t *testing.T) {
	m := redistest.Mini(t)
	s := newTable(map[int]product{})
	var wrappers []repository
	for range 2 {
		c, err := distributed.New(redistest.MiniClient(t, m), &distributed.Options{Budget: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeCache(t, c) })
		wrappers = append(wrappers, newThrough(t, c, s, nil), must(patterns.NewCacheAside(c, repository(s), entity)))
	}
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	for round := range rounds {
		var all sync.WaitGroup
		for i, w := range wrappers {
			all.Go(func() {
				v := product{fmt.Sprint(round, i), "fruit"}
				if err := w.Save(t.Context(), 1, v); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, w := range wrappers {
			wantFind(t, w, 1, s.rows[1])
		}
	}
}

// newLists returns the ids by category.
func newLists(t *testing.T, c cache.Cache, s *table, entities patterns.ManyFinder[int, product]) *patterns.Query[string, int, product] {
	t.Helper()
	q, err := patterns.NewQuery(c, entities, func(_ context.Context, category string) ([]int, error) {
		return s.in(category), s.before("ask")
	}, patterns.QueryOptions[string, int]{
		Name:      "by-category",
		Tokens:    func(category string) []cache.Token { return []cache.Token{cache.KeyToken("category", category)} },
		Normalize: func(category string) string { return category[:min(len(category), 10)] },
	})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func wantList(t *testing.T, q *patterns.Query[string, int, product], category string, want ...product) {
	t.Helper()
	if got, err := q.Find(t.Context(), category); err != nil || !slices.Equal(got, want) {
		t.Errorf("%s: got %v, %v, want %v", category, got, err, want)
	}
}

func TestQueryFollowsItsEntities(t *testing.T) {
	onCaches(t, func(t *testing.T, c cache.Cache) {
		s := newTable(map[int]product{1: apple, 2: leek})
		w := newThrough(t, c, s, nil)
		q := newLists(t, c, s, w)
		asks := 0
		s.before = func(step string) error {
			if step == "ask" {
				asks++
			}
			return nil
		}
		for range 2 {
			wantList(t, q, "fruit", apple)
			wantList(t, q, "vegetables", leek)
			wantList(t, q, "none")
		}
		if asks != 3 {
			t.Errorf("asked %d times for 3 lists", asks)
		}
		green := product{"green apple", "vegetables"}
		if err := w.Save(t.Context(), 1, green); err != nil { // it moves
			t.Fatal(err)
		}
		wantList(t, q, "fruit")
		wantList(t, q, "vegetables", green, leek)
		asks = 0
		wantList(t, q, "none")
		if asks != 0 {
			t.Error("a list that has nothing to do with it was asked for again")
		}
		if err := w.Delete(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		wantList(t, q, "vegetables", green)
		delete(s.rows, 1) // by somebody else
		if err := w.Invalidate(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		wantList(t, q, "vegetables") // the id is left out
		var bad *cache.OptionError
		if _, err := patterns.NewQuery(c, w, q.IDs, patterns.QueryOptions[string, int]{Name: "x"}); !errors.As(err, &bad) {
			t.Errorf("got %v, want an OptionError", err)
		}
	})
}

// A list that is read while an entity that belongs to it is being written is not
// kept; and if the writer dies after its commit, it is not kept either.
func TestListsReadDuringAWriteAreNotStored(t *testing.T) {
	onCaches(t, func(t *testing.T, c cache.Cache) {
		s := newTable(map[int]product{1: apple})
		f, faulty := cachetest.NewFaults(c, 1)
		w := newThrough(t, faulty, s, nil)
		q := newLists(t, c, s, must(patterns.NewCacheAside(c, repository(s), entity)))
		wantList(t, q, "fruit", apple)
		s.before = func(step string) error {
			if step == "commit" {
				s.before = func(string) error { return nil }
				wantList(t, q, "fruit", apple)
				// The process dies: nothing more of it reaches the cache.
				f.Plan(cachetest.Fault{Kind: cachetest.FailBefore, Err: cache.ErrUnavailable})
			}
			return nil
		}
		if err := w.Save(t.Context(), 2, pear); !errors.Is(err, cache.ErrCommittedCacheDegraded) {
			t.Fatalf("got %v, want ErrCommittedCacheDegraded", err)
		}
		wantList(t, q, "fruit", apple, pear)
	})
}

func TestHooksHearOfWhatWasCommitted(t *testing.T) {
	onCaches(t, func(t *testing.T, c cache.Cache) {
		s := newTable(map[int]product{})
		var heard []string
		var panics int
		hooks := func(name string, check func()) patterns.Hooks[int, product] {
			return patterns.Hooks[int, product]{
				OnSaved: func(_ context.Context, id int, v product) {
					heard = append(heard, fmt.Sprint(name, " saved ", id))
					check()
					panic("a hook")
				},
				OnDeleted: func(_ context.Context, id int) { heard = append(heard, fmt.Sprint(name, " deleted ", id)) },
				OnPanic:   func(context.Context, any) { panics++ },
			}
		}
		below := must(patterns.NewHooked(repository(s), hooks("below", func() {})))
		w := must(patterns.NewWriteThrough(c, repository(below), entity, nil))
		r := must(patterns.NewHooked(repository(w), hooks("around", func() {
			wantLoads(t, s, 0, func() { _, _ = w.Find(t.Context(), 1) }) // the cache knows
		})))
		want := func(want ...string) {
			t.Helper()
			if !reflect.DeepEqual(heard, want) {
				t.Errorf("heard %q, want %q", heard, want)
			}
			heard = nil
		}
		if err := r.Save(t.Context(), 1, apple); err != nil {
			t.Fatal(err)
		}
		want("below saved 1", "around saved 1")
		for _, fails := range []error{errSource, nil} {
			err := r.Transact(t.Context(), func(ctx context.Context) error {
				err := errors.Join(r.Save(ctx, 1, pear), r.Delete(ctx, 2), fails)
				want()
				if v, _ := r.Find(ctx, 1); v != pear {
					t.Errorf("the transaction found %v, want its own", v)
				}
				return err
			})
			if !errors.Is(err, fails) {
				t.Errorf("got %v, want %v", err, fails)
			}
			if fails != nil {
				want()
				wantFind(t, r, 1, apple)
			}
		}
		want("below saved 1", "below deleted 2", "around saved 1", "around deleted 2")
		wantFind(t, r, 1, pear)
		if panics != 4 {
			t.Errorf("told of %d panics, want 4", panics)
		}
	})
}

// What a transaction reads through the wrapper is the source's, also of entities
// that are cached or that it wrote past the wrapper, and is not cached.
func TestTransactionsReadTheSource(t *testing.T) {
	onCaches(t, func(t *testing.T, c cache.Cache) {
		s := newTable(map[int]product{1: apple})
		w := newThrough(t, c, s, nil)
		wantFind(t, w, 1, apple) // cached now
		err := w.Transact(t.Context(), func(ctx context.Context) error {
			for id := 1; id <= 2; id++ {
				if err := s.Save(ctx, id, pear); err != nil {
					return err
				}
				if v, err := w.Find(ctx, id); err != nil || v != pear {
					t.Errorf("the transaction found %v, %v, want its own %v", v, err, pear)
				}
			}
			if got, err := w.FindMany(ctx, []int{1, 2}); err != nil || got[1] != pear || got[2] != pear {
				t.Errorf("the transaction found %v, %v, want its own", got, err)
			}
			return errSource
		})
		if !errors.Is(err, errSource) {
			t.Errorf("got %v, want the source's error", err)
		}
		wantFind(t, w, 1, apple)
		wantFind(t, w, 2, product{})
	})
}

// A transaction of the source that was not begun through a wrapper reads what it
// wrote, too, if its context says what it is.
func TestReadsInATransactionOfTheSource(t *testing.T) {
	onCaches(t, func(t *testing.T, c cache.Cache) {
		s := newTable(map[int]product{1: apple})
		w := newThrough(t, c, s, nil)
		wantFind(t, w, 1, apple) // cached now
		err := s.Transact(cache.InTransaction(t.Context()), func(ctx context.Context) error {
			if err := s.Save(ctx, 1, pear); err != nil {
				return err
			}
			if v, err := w.Find(ctx, 1); err != nil || v != pear {
				t.Errorf("the transaction found %v, %v, want its own %v", v, err, pear)
			}
			if got, err := w.FindMany(ctx, []int{1}); err != nil || got[1] != pear {
				t.Errorf("the transaction found %v, %v, want its own", got, err)
			}
			return errSource
		})
		if !errors.Is(err, errSource) {
			t.Errorf("got %v, want the source's error", err)
		}
		wantFind(t, w, 1, apple)
	})
}
