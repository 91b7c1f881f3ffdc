package conformance

import (
	"context"
	"testing"

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
