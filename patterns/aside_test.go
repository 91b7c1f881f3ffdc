package patterns_test

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/cachetest"
	"github.com/larder-go/larder/patterns"
)

var (
	apple = product{"apple", "fruit"}
	pear  = product{"pear", "fruit"}
	leek  = product{"leek", "vegetables"}
)

func TestAsideReadsOnceAndInvalidates(t *testing.T) {
	onCaches(t, func(t *testing.T, c cache.Cache) {
		s := newTable(map[int]product{1: apple})
		a := must(patterns.NewCacheAside(c, patterns.Repository[int, product](s), entity))
		wantLoads(t, s, 1, func() {
			wantFind(t, a, 1, apple)
			wantFind(t, a, 1, apple)
		})
		if err := a.Save(t.Context(), 1, pear); err != nil {
			t.Fatal(err)
		}
		wantLoads(t, s, 1, func() { wantFind(t, a, 1, pear) })
		if err := a.Delete(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		wantFind(t, a, 1, product{})
		s.rows[1] = leek // written by somebody else
		wantFind(t, a, 1, leek)
		s.rows[1] = apple
		wantFind(t, a, 1, leek)
		if err := a.Invalidate(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		wantFind(t, a, 1, apple)
	})
}

func TestAsideFindManyLoadsWhatIsMissing(t *testing.T) {
	onCaches(t, func(t *testing.T, c cache.Cache) {
		s := newTable(map[int]product{1: apple, 2: pear, 3: leek})
		a := must(patterns.NewCacheAside(c, patterns.Repository[int, product](s), entity))
		wantFind(t, a, 2, pear)
		s.asked = nil
		got, err := a.FindMany(t.Context(), []int{1, 2, 3, 4})
		if err != nil || !maps.Equal(got, s.rows) {
			t.Errorf("found %v, %v, want %v", got, err, s.rows)
		}
		if want := [][]int{{1, 3, 4}}; !reflect.DeepEqual(s.asked, want) {
			t.Errorf("asked for %v, want %v", s.asked, want)
		}
	})
}

func TestAsideKeepsAsTheEntitySays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTable(map[int]product{1: apple, 2: leek})
		a := must(patterns.NewCacheAside(openMemory(t), s.plain(), patterns.Entity[int, product]{
			Options: func(id int, v product) cache.EntryOptions {
				return cache.EntryOptions{TTL: time.Duration(len(v.Name)) * time.Second}
			},
			ShouldCache: func(id int, v product) bool { return v.Category == "fruit" },
			Typed:       cache.TypedOptions[product]{NegativeTTL: time.Minute},
		}))
		wantLoads(t, s, 2, func() {
			wantFind(t, a, 1, apple)
			time.Sleep(5*time.Second - time.Millisecond)
			wantFind(t, a, 1, apple)
			time.Sleep(time.Millisecond)
			wantFind(t, a, 1, apple)
		})
		wantLoads(t, s, 2, func() {
			wantFind(t, a, 2, leek)
			wantFind(t, a, 2, leek)
		})
		wantLoads(t, s, 1, func() {
			wantFind(t, a, 3, product{})
			wantFind(t, a, 3, product{})
		})
	})
}

func TestAsideReadsPastACacheThatFails(t *testing.T) {
	s := newTable(map[int]product{1: apple})
	_, c := cachetest.NewFaults(openMemory(t), 1, cachetest.Fault{Kind: cachetest.FailBefore, Err: cache.ErrUnavailable})
	a := must(patterns.NewCacheAside(c, patterns.Repository[int, product](s), patterns.Entity[int, product]{}))
	wantFind(t, a, 1, apple)
	if got, err := a.FindMany(t.Context(), []int{1, 2}); err != nil || len(got) != 1 {
		t.Errorf("found %v, %v, want one", got, err)
	}
	if err := a.Save(t.Context(), 1, pear); !errors.Is(err, cache.ErrCommittedCacheDegraded) || s.rows[1] != pear {
		t.Errorf("got %v and %v, want ErrCommittedCacheDegraded and the new row", err, s.rows[1])
	}
}

// A load that reads the source before the commit is not stored after it.
func TestReadDuringAWriteIsNotStored(t *testing.T) {
	onCaches(t, func(t *testing.T, c cache.Cache) {
		s := newTable(map[int]product{1: apple})
		for name, r := range map[string]patterns.Repository[int, product]{
			"aside":   must(patterns.NewCacheAside(c, patterns.Repository[int, product](s), entity)),
			"through": must(patterns.NewWriteThrough(c, patterns.Repository[int, product](s), entity, nil)),
		} {
			t.Run(name, func(t *testing.T) {
				s.rows[1] = apple
				s.before = func(step string) error {
					if step == "save" {
						s.before = func(string) error { return nil }
						wantFind(t, r, 1, apple) // before the commit
					}
					return nil
				}
				if err := r.Save(t.Context(), 1, pear); err != nil {
					t.Fatal(err)
				}
				wantFind(t, r, 1, pear)
			})
		}
	})
}

func TestReadThrough(t *testing.T) {
	onCaches(t, func(t *testing.T, c cache.Cache) {
		s := newTable(map[int]product{1: apple})
		r := must(patterns.NewReadThrough(c, s.Find, patterns.Entity[int, product]{}))
		for range 2 {
			if v, err := r.Find(t.Context(), 1); err != nil || v != apple {
				t.Errorf("found %v, %v, want %v", v, err, apple)
			}
		}
		if s.finds() != 1 {
			t.Errorf("asked %d times, want once", s.finds())
		}
		if got, err := r.FindMany(t.Context(), []int{1, 2}); err != nil || len(got) != 1 {
			t.Errorf("found %v, %v, want one", got, err)
		}
		s.rows[1] = pear
		if err := r.Invalidate(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if v, err := r.Find(t.Context(), 1); err != nil || v != pear {
			t.Errorf("found %v, %v, want %v", v, err, pear)
		}
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestConstructorsRefuse(t *testing.T) {
	c := openMemory(t)
	s := patterns.Repository[int, product](newTable(nil))
	aside := must(patterns.NewCacheAside(c, s, entity))
	through := must(patterns.NewWriteThrough(c, s, entity, nil))
	behind := must(patterns.NewWriteBehind(t.Context(), nil, s, newMemoryQueue(t), patterns.Entity[int, product]{}, nil))
	t.Cleanup(func() { _ = behind.Close(context.Background()) })
	hooked := must(patterns.NewHooked[int, product](aside, patterns.Hooks[int, product]{}))
	hookedSource := must(patterns.NewHooked(s, patterns.Hooks[int, product]{}))
	type repository = patterns.Repository[int, product]
	newAside := func(inner repository) error { _, err := patterns.NewCacheAside(c, inner, entity); return err }
	newThrough := func(inner repository) error { _, err := patterns.NewWriteThrough(c, inner, entity, nil); return err }
	newBehind := func(inner repository) error {
		w, err := patterns.NewWriteBehind(t.Context(), nil, inner, newMemoryQueue(t), patterns.Entity[int, product]{}, nil)
		if err == nil {
			err = w.Close(t.Context())
		}
		return err
	}
	for _, tc := range []struct {
		name string
		got  error
		want error
	}{
		{"aside around nothing", newAside(nil), cache.ErrInvalidConfig},
		{"aside around aside", newAside(aside), patterns.ErrComposition},
		{"aside around hooked aside", newAside(hooked), patterns.ErrComposition},
		{"aside around through", newAside(through), patterns.ErrComposition},
		{"aside around behind", newAside(behind), nil},
		{"aside around hooked source", newAside(hookedSource), nil},
		{"through around aside", newThrough(aside), patterns.ErrComposition},
		{"through around behind", newThrough(behind), patterns.ErrComposition},
		{"through around hooked source", newThrough(hookedSource), nil},
		{"behind around aside", newBehind(aside), patterns.ErrComposition},
		{"behind around through", newBehind(through), patterns.ErrComposition},
		{"behind around behind", newBehind(behind), patterns.ErrComposition},
		{"behind around hooked source", newBehind(hookedSource), nil},
	} {
		if !errors.Is(tc.got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, tc.got, tc.want)
		}
	}
	plain := newTable(nil).plain()
	for name, opts := range map[string]*patterns.WriteThroughOptions{
		"no transactions": {WhenCacheFails: patterns.FailWrite},
		"unknown":         {WhenCacheFails: 99},
		"negative":        {RetryFor: -1},
		"negative mark":   {Write: cache.WriteOptions{MarkTTL: -1}},
	} {
		if _, err := patterns.NewWriteThrough(c, plain, entity, opts); !errors.Is(err, cache.ErrInvalidConfig) {
			t.Errorf("%s: got %v, want ErrInvalidConfig", name, err)
		}
	}
}
