package patterns_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/cachetest"
	"github.com/larder-go/larder/patterns"
)

// late is a source whose answer is lost, and which commits only afterwards.
type late struct {
	*table
	commit func()
}

func (l *late) Save(_ context.Context, id int, v product) error {
	l.commit = func() { l.rows[id] = v }
	return cache.ErrOutcomeUnknown
}

func (l *late) Transact(ctx context.Context, do func(context.Context) error) error { return do(ctx) }

// A write whose outcome nobody knows may still happen after the caller was told so.
func TestWritesOfUnknownOutcomeLeaveNothingStale(t *testing.T) {
	type repository = patterns.Repository[int, product]
	for name, wrap := range map[string]func(cache.Cache, repository) (repository, error){
		"aside": func(c cache.Cache, s repository) (repository, error) {
			return patterns.NewCacheAside(c, s, entity)
		},
		"through": func(c cache.Cache, s repository) (repository, error) {
			return patterns.NewWriteThrough(c, s, entity, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			onCaches(t, func(t *testing.T, c cache.Cache) {
				s := &late{table: newTable(map[int]product{1: apple})}
				r := must(wrap(c, s))
				q := newLists(t, c, s.table, r.(patterns.ManyFinder[int, product]))
				wantFind(t, r, 1, apple)
				if err := r.Save(t.Context(), 1, leek); !errors.Is(err, cache.ErrOutcomeUnknown) {
					t.Fatalf("got %v, want ErrOutcomeUnknown", err)
				}
				wantFind(t, r, 1, apple)
				wantList(t, q, "fruit", apple)
				s.commit()
				wantFind(t, r, 1, leek)
				wantList(t, q, "fruit")
			})
		})
	}
}

// fourMethods hides all capabilities of a cache.
type fourMethods struct{ cache.Cache }

// A reader that is loading while a write comes and goes must not bring back the
// value from before.
func TestWritesVoidLoadsOnACacheOfFourMethods(t *testing.T) {
	s := newTable(map[int]product{1: apple})
	source := s.plain().(patterns.Funcs[int, product])
	read, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	source.FindFunc = func(ctx context.Context, id int) (product, error) {
		v, err := s.Find(ctx, id)
		once.Do(func() {
			close(read)
			<-release
		})
		return v, err
	}
	a := must(patterns.NewCacheAside(fourMethods{openMemory(t)}, patterns.Repository[int, product](source), patterns.Entity[int, product]{}))
	t.Cleanup(func() { _ = a.Close(context.Background()) })
	ended := make(chan error)
	go func() {
		_, err := a.Find(t.Context(), 1)
		ended <- err
	}()
	<-read
	if err := a.Save(t.Context(), 1, leek); err != nil {
		t.Error(err)
	}
	close(release)
	if err := <-ended; err != nil && !errors.Is(err, cache.ErrInvalidated) {
		t.Error(err)
	}
	wantFind(t, a, 1, leek)
}

// Hooks around a source without transactions do not give it any.
func TestFailWriteNeedsRealTransactions(t *testing.T) {
	c := openMemory(t)
	opts := &patterns.WriteThroughOptions{WhenCacheFails: patterns.FailWrite}
	hooked := must(patterns.NewHooked(newTable(nil).plain(), patterns.Hooks[int, product]{}))
	if _, err := patterns.NewWriteThrough(c, patterns.Repository[int, product](hooked), patterns.Entity[int, product]{}, opts); !errors.Is(err, cache.ErrInvalidConfig) {
		t.Errorf("hooks around a source without transactions: got %v, want ErrInvalidConfig", err)
	}
	hooked = must(patterns.NewHooked(patterns.Repository[int, product](newTable(nil)), patterns.Hooks[int, product]{}))
	if _, err := patterns.NewWriteThrough(c, patterns.Repository[int, product](hooked), patterns.Entity[int, product]{}, opts); err != nil {
		t.Errorf("hooks around a source with transactions: got %v, want no error", err)
	}
}

// Of two writers of one entity each has looked at it before the other committed.
func TestListsOfOverlappingWritersAgree(t *testing.T) {
	onCaches(t, func(t *testing.T, c cache.Cache) {
		s := newTable(map[int]product{1: apple})
		one, other := newThrough(t, c, s, nil), newThrough(t, c, s, nil)
		q := newLists(t, c, s, one)
		err := one.Transact(t.Context(), func(ctx context.Context) error {
			err := one.Save(ctx, 1, product{"egg", "others"})
			if err != nil {
				return err
			}
			err = other.Save(t.Context(), 1, leek)
			wantList(t, q, "vegetables", leek)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		wantList(t, q, "others", product{"egg", "others"})
		wantList(t, q, "vegetables")
		wantList(t, q, "fruit")
	})
}

// A writer that dies after its commit cannot see to the lists that it has put the
// entity into, and another that has looked at the entity before does not know of them:
//
//	one     marks, reads fruit,                writes vegetables, and dies
//	other                       reads fruit,                                        writes others
//	reader                                                         loads vegetables
//
// The list vegetables must not stay, however late the other is.
func TestListsOfAWriterThatDiedAreGuardedAgainstThoseItOverlapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openMemory(t)
		s := newTable(map[int]product{1: apple})
		f, faulty := cachetest.NewFaults(c, 1)
		one, other := newThrough(t, faulty, s, nil), newThrough(t, c, s, nil)
		q := newLists(t, c, s, other)
		var commits atomic.Int32
		s.before = func(step string) error {
			if step != "commit" {
				return nil
			}
			first := commits.Add(1) == 1
			time.Sleep(24 * time.Second) // as long as a write may take
			if first {                   // its process dies: nothing more of it reaches the cache
				f.Plan(cachetest.Fault{Kind: cachetest.FailBefore, Err: cache.ErrUnavailable})
			}
			return nil
		}
		start := time.Now()
		ended := make(chan error, 2)
		go func() { ended <- one.Save(t.Context(), 1, leek) }()
		time.Sleep(20 * time.Second)
		egg := product{"egg", "others"}
		go func() { ended <- other.Save(t.Context(), 1, egg) }()
		if err := <-ended; !errors.Is(err, cache.ErrCommittedCacheDegraded) {
			t.Fatalf("got %v, want ErrCommittedCacheDegraded", err)
		}
		time.Sleep(time.Until(start.Add(40 * time.Second)))
		wantList(t, q, "vegetables", leek)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		wantList(t, q, "vegetables")
		wantList(t, q, "others", egg)
		asks := 0
		s.before = func(step string) error {
			if step == "ask" {
				asks++
			}
			return nil
		}
		time.Sleep(time.Until(start.Add(61 * time.Second)))
		for range 2 {
			wantList(t, q, "vegetables")
		}
		if asks != 1 {
			t.Errorf("asked %d times once nobody can be writing, want 1", asks)
		}
	})
}
