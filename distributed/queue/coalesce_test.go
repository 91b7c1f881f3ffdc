package queue_test

import (
	"context"
	"sync"
	"testing"

	redisqueue "github.com/larder-go/larder/distributed/queue"
	"github.com/larder-go/larder/internal/redistest"
	"github.com/larder-go/larder/patterns"
)

// counted is a source that counts what it is given.
type counted struct {
	mu     sync.Mutex
	values map[string]int
	writes int
}

func (c *counted) Find(_ context.Context, id string) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.values[id], nil
}

func (c *counted) Save(_ context.Context, id string, n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values[id] = n
	c.writes++
	return nil
}

func (c *counted) Delete(context.Context, string) error { return nil }

// Whoever updates one value all the time costs the source next to nothing.
func TestManyUpdatesAreFewWrites(t *testing.T) {
	server := redistest.Server(t, durable...)
	q := open(t, server.Client(), redisqueue.Options{})
	source := &counted{values: map[string]int{}}
	w, err := patterns.NewWriteBehind(t.Context(), nil, source, q, patterns.Entity[string, int]{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	const updates, writers = 10_000, 50
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for i := range updates / writers {
				if err := w.Save(t.Context(), "one", i); err != nil {
					t.Errorf("Save: got %v, want no error", err)
					return
				}
			}
		})
	}
	all.Wait()
	if err := w.Save(t.Context(), "one", updates); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(context.Background()); err != nil {
		t.Fatalf("Close: got %v, want no error", err)
	}
	if source.values["one"] != updates {
		t.Errorf("the source has %d, want the last value", source.values["one"])
	}
	if source.writes > updates/100 {
		t.Errorf("the source was written %d times for %d updates, want 1 %% at most", source.writes, updates)
	}
	t.Logf("%d updates were %d writes of the source", updates, source.writes)
}
