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

// An object is gone at its deadline by the caller's clock, too, although the cache's
// own is not there yet.
func TestGetObjectAtIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, nil)
		start := c.Since(time.Now())
		if err := c.SetObject(ctx, "k", 7, cache.EntryOptions{TTL: time.Minute}); err != nil {
			t.Fatal(err)
		}
		for at, want := range map[time.Duration]bool{time.Minute - 1: true, time.Minute: false, time.Minute + 1: false} {
			if _, found, err := c.GetObjectAt(ctx, "k", start+at); found != want || err != nil {
				t.Errorf("GetObjectAt %v after it was stored: got %t, %v, want %t", at, found, err, want)
			}
		}
	})
}
