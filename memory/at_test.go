package memory_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

func TestGetObjectAtTellsWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		for _, opts := range []*memory.Options{nil, {Observer: cache.ObserverFunc(func(context.Context, cache.Event) {})}} {
			c, err := memory.New(opts)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			for _, e := range []cache.EntryOptions{{TTL: time.Minute}, {SlidingExpiration: time.Minute}} {
				if err := c.SetObject(ctx, "k", 7, e); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				for range 3 {
					value, at, found, err := c.GetObjectAt(ctx, "k")
					if value != 7 || !found || err != nil || at != c.Since(time.Now()) || at < time.Since(began) {
						t.Errorf("GetObjectAt = %v, %v, %v, %v, want 7 at %v", value, at, found, err, time.Since(began))
					}
				}
				time.Sleep(time.Minute)
				if value, _, found, err := c.GetObjectAt(ctx, "k"); found || err != nil {
					t.Errorf("GetObjectAt after its time = %v, %v, %v, want a miss", value, found, err)
				}
			}
			if s := c.Stats(); s.Hits != 6 || s.Misses != 2 {
				t.Errorf("Stats = %+v, want 6 hits and 2 misses", s)
			}
			if err := c.Close(ctx); err != nil {
				t.Fatal(err)
			}
			if _, _, found, err := c.GetObjectAt(ctx, "k"); found || err == nil {
				t.Error("GetObjectAt of a closed cache finds something")
			}
		}
	})
}
