package distributed_test

import (
	"context"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// After a failover that was asked for, the old primary goes on for ten seconds or so
// with what it has. Nobody may read that, or write there.
func TestPlannedFailover(t *testing.T) {
	ctx := t.Context()
	s := redistest.Sentinel(t)
	c, err := distributed.New(s.Client(), &distributed.Options{Budget: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if err := c.Set(ctx, "k", []byte("old"), cache.EntryOptions{}); err != nil {
		t.Fatal(err)
	}
	s.Failover()
	s.AwaitFailover()
	if err := s.Replica.Client().Del(ctx, "k").Err(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for {
		if _, found, err := c.Get(ctx, "k"); err == nil && !found {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("what the old primary has was read for %v", d)
	}
	if err := c.Set(ctx, "k", []byte("new"), cache.EntryOptions{}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Replica.Client().Exists(ctx, "k").Result(); n != 1 || err != nil {
		t.Errorf("the new primary has %d of what was written, %v", n, err)
	}
}
