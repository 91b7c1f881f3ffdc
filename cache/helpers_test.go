package cache_test

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
	"github.com/larder-go/larder/memory"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// four is a cache with the four methods and nothing else; entries never expire.
type four struct {
	mu sync.Mutex
	m  map[string][]byte
}

func newFour() *four { return &four{m: map[string][]byte{}} }

func (c *four) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return nil, false, err
	}
	if err := cache.CheckKey(key); err != nil {
		return nil, false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.m[key]
	return bytes.Clone(v), ok, nil
}

func (c *four) Set(ctx context.Context, key string, value []byte, opts cache.EntryOptions) error {
	if err := cache.CheckContext(ctx); err != nil {
		return err
	}
	if _, _, err := opts.Resolve(cache.EntryOptions{}, time.Now()); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.m[key] = bytes.Clone(value)
	return nil
}

func (c *four) Refresh(context.Context, string) error { return nil }

func (c *four) Remove(ctx context.Context, key string) error {
	if err := cache.CheckContext(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.m, key)
	return nil
}

// kinds are the sorts of cache that the typed layer treats differently.
var kinds = []struct {
	name string
	open func(t testing.TB) cache.Cache
}{
	{"four methods", func(testing.TB) cache.Cache { return newFour() }},
	{"memory", func(t testing.TB) cache.Cache { return openMemory(t) }},
	{"redis", func(t testing.TB) cache.Cache { return openRedis(t) }},
}

func openMemory(t testing.TB) *memory.Cache {
	c, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeCache(t, c) })
	return c
}

// openRedis has time to spare: what is tested here is not how a slow machine is
// coped with.
func openRedis(t testing.TB) *distributed.Cache {
	c, err := distributed.New(redistest.MiniClient(t, redistest.Mini(t)), &distributed.Options{Budget: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeCache(t, c) })
	return c
}

func closeCache(t testing.TB, c cache.Backend) {
	if err := c.Close(context.Background()); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// typed opens a view on c and closes it with the test.
func typed[V any](t testing.TB, c cache.Cache, opts *cache.TypedOptions[V]) *cache.Typed[V] {
	v := cache.NewTyped(c, opts)
	t.Cleanup(func() {
		if err := v.Close(context.Background()); err != nil {
			t.Errorf("Typed.Close: %v", err)
		}
	})
	return v
}
