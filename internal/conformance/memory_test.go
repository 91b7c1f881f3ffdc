package conformance

import (
	"context"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/cachetest"
	"github.com/larder-go/larder/memory"
)

func newMemory(opts *memory.Options) func(testing.TB) cache.Cache {
	return func(tb testing.TB) cache.Cache {
		c, err := memory.New(opts)
		if err != nil {
			tb.Fatal(err)
		}
		closeAtEnd(tb, c)
		return c
	}
}

func closeAtEnd(tb testing.TB, c cache.Backend) {
	tb.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
}

func TestConformanceMemory(t *testing.T) {
	cachetest.Run(t, cachetest.Config{New: newMemory(nil)})
}

func TestConformanceMemoryWatched(t *testing.T) {
	cachetest.Run(t, behindWatcher(cachetest.Config{New: newMemory(nil)}))
}

func TestConformanceMemoryPrefixed(t *testing.T) {
	cachetest.Run(t, behindPrefix(cachetest.Config{New: newMemory(nil)}))
}

func TestConformanceMemoryBounded(t *testing.T) {
	opts := &memory.Options{
		MaxEntries:    100_000,
		MaxBytes:      64 << 20,
		MaxValueBytes: 1 << 20,
		Defaults:      cache.EntryOptions{TTL: 10 * time.Minute},
		Observer:      cache.ObserverFunc(func(context.Context, cache.Event) {}),
		OnEvict:       func(memory.Eviction) {},
	}
	cachetest.Run(t, cachetest.Config{New: newMemory(opts), DefaultTTL: 10 * time.Minute, MaxValueBytes: opts.MaxValueBytes})
}
