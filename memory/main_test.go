package memory_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

// open returns a cache that is closed when the test ends.
func open(t testing.TB, opts *memory.Options) *memory.Cache {
	t.Helper()
	c, err := memory.New(opts)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

func set(t testing.TB, c *memory.Cache, key, value string, opts cache.EntryOptions) {
	t.Helper()
	if err := c.Set(ctx, key, []byte(value), opts); err != nil {
		t.Fatalf("Set: %v", err)
	}
}

func wantValue(t testing.TB, c *memory.Cache, key, want string) {
	t.Helper()
	got, found, err := c.Get(ctx, key)
	if err != nil || !found || string(got) != want {
		t.Errorf("Get %s: got %q, %v, %v, want %q", key, got, found, err, want)
	}
}

func wantMiss(t testing.TB, c *memory.Cache, key string) {
	t.Helper()
	if got, found, err := c.Get(ctx, key); found || err != nil || got != nil {
		t.Errorf("Get %s: got %q, %v, %v, want a miss", key, got, found, err)
	}
}

func wantError(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got error %v, want %v", got, want)
	}
}

// evictions records what OnEvict is told.
type evictions struct {
	mu  sync.Mutex
	all []memory.Eviction
}

func (e *evictions) add(ev memory.Eviction) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

func (e *evictions) list() []memory.Eviction {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]memory.Eviction(nil), e.all...)
}

// events counts what an Observer is told.
type events struct {
	mu  sync.Mutex
	all []cache.Event
}

func (e *events) Observe(_ context.Context, ev cache.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

// count returns how many keys events of that kind concern.
func (e *events) count(kind cache.EventKind) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, ev := range e.all {
		if ev.Kind == kind {
			n += max(1, ev.Count)
		}
	}
	return n
}
