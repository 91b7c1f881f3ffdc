//go:build !race

package patterns_test

import (
	"context"
	"testing"

	"github.com/larder-go/larder/patterns"
)

// A hit through a wrapper allocates nothing, whatever its context holds.
func TestAllocationsOfAHit(t *testing.T) {
	c := openMemory(t)
	s := newTable(map[int]product{1: apple})
	plain := patterns.Entity[int, product]{}
	finds := map[string]func(context.Context, int) (product, error){
		"CacheAside":   must(patterns.NewCacheAside(c, repository(s), plain)).Find,
		"ReadThrough":  must(patterns.NewReadThrough(c, s.Find, plain)).Find,
		"WriteThrough": must(patterns.NewWriteThrough(c, repository(s), plain, nil)).Find,
	}
	for where, ctx := range map[string]context.Context{"background": context.Background(), "request": inRequest(t)} {
		for name, find := range finds {
			hit := func() {
				if v, err := find(ctx, 1); err != nil || v != apple {
					t.Errorf("%s: found %v, %v, want %v", name, v, err, apple)
				}
			}
			hit() // cached now
			if got := testing.AllocsPerRun(1000, hit); got != 0 {
				t.Errorf("%s, %s: got %v allocations, want none", name, where, got)
			}
		}
	}
	if got := s.finds(); got != 1 {
		t.Errorf("the source was asked %d times, want once", got)
	}
}
