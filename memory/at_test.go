package memory_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

func TestGetObjectAtTrustsTheCallersClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		for _, opts := range []*memory.Options{nil, {Observer: cache.ObserverFunc(func(context.Context, cache.Event) {})}} {
			c, err := memory.New(opts)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range []cache.EntryOptions{{TTL: time.Minute}, {SlidingExpiration: time.Minute}} {
				if err := c.SetObject(ctx, "k", 7, e); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				for range 3 {
					value, found, err := c.GetObjectAt(ctx, "k", c.Since(time.Now()))
					if value != 7 || !found || err != nil {
						t.Errorf("GetObjectAt = %v, %v, %v, want 7", value, found, err)
					}
				}
				if value, found, err := c.GetObjectAt(ctx, "k", c.Since(time.Now().Add(time.Minute))); found || err != nil {
					t.Errorf("GetObjectAt of a moment after its time = %v, %v, %v, want a miss", value, found, err)
				}
				if value, found, err := c.GetObjectAt(ctx, "k", c.Since(time.Now())); value != 7 || !found || err != nil {
					t.Errorf("GetObjectAt after one that was late = %v, %v, %v, want 7", value, found, err)
				}
				time.Sleep(time.Minute)
				if value, found, err := c.GetObjectAt(ctx, "k", c.Since(time.Now())); found || err != nil {
					t.Errorf("GetObjectAt after its time = %v, %v, %v, want a miss", value, found, err)
				}
			}
			if s := c.Stats(); s.Hits != 8 || s.Misses != 4 {
				t.Errorf("Stats = %+v, want 8 hits and 4 misses", s)
			}
			if err := c.Close(ctx); err != nil {
				t.Fatal(err)
			}
			if _, found, err := c.GetObjectAt(ctx, "k", 0); found || err == nil {
				t.Error("GetObjectAt of a closed cache finds something")
			}
		}
	})
}
