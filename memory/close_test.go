package memory_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

// Calls and Close meet in every order: each call works or is ErrClosed, none
// panics or hangs, and nothing is in the cache afterwards.
func TestCallsRaceWithClose(t *testing.T) {
	for range 5 {
		c, err := memory.New(&memory.Options{MaxEntries: 20, OnEvict: func(memory.Eviction) {}})
		if err != nil {
			t.Fatal(err)
		}
		calls := allCalls()
		var wg sync.WaitGroup
		for g := range 200 {
			wg.Go(func() {
				for i := range 20 {
					if g%20 == 0 && i == 10 {
						if err := c.Close(ctx); err != nil {
							t.Errorf("Close: %v", err)
						}
					}
					call := calls[(g+i)%len(calls)]
					err := call.do(c, ctx, strconv.Itoa((g*i)%50))
					if err != nil && !errors.Is(err, cache.ErrClosed) && !errors.Is(err, cache.ErrWrongType) {
						t.Errorf("%s: %v", call.name, err)
					}
				}
			})
		}
		wg.Wait()
		if s := c.Stats(); s.Entries != 0 || s.Bytes != 0 {
			t.Errorf("after Close: %+v", s)
		}
	}
}

func TestCloseEndsLoadsAndWaitsForThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, nil)
		started := make(chan struct{})
		load := func(ctx context.Context, _ *cache.Entry) (string, error) {
			close(started)
			<-ctx.Done()
			time.Sleep(time.Minute) // a loader that is slow to give up
			return "late", nil
		}
		result := make(chan error, 1)
		go func() {
			_, err := cache.GetOrCreateExclusive(ctx, c, "k", load)
			result <- err
		}()
		<-started
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		wantError(t, c.Close(short), context.DeadlineExceeded)
		wantError(t, <-result, cache.ErrClosed)
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseDropsWithoutCallbacks(t *testing.T) {
	left := &evictions{}
	c := open(t, &memory.Options{OnEvict: left.add})
	set(t, c, "k", "v", cache.EntryOptions{})
	if err := c.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if n := len(left.list()); n != 0 {
		t.Errorf("%d callbacks", n)
	}
}

// A caller that never closes its cache in a bubble would be told by the bubble.
func TestACacheLivesAndEndsInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := memory.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 1000 {
			set(t, c, strconv.Itoa(i), "v", cache.EntryOptions{SlidingExpiration: time.Duration(i+1) * time.Second})
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if c.Len() != 0 {
			t.Errorf("%d entries left", c.Len())
		}
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	})
}

// Years pass in no time, because no timer is set while nothing expires.
func TestTimersRestAndFireInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const year = 365 * 24 * time.Hour
		c := open(t, nil)
		set(t, c, "years", "v", cache.EntryOptions{TTL: 9 * year})
		set(t, c, "always", "v", cache.EntryOptions{TTL: cache.NoExpiry})
		time.Sleep(year)
		set(t, c, "minute", "v", cache.EntryOptions{TTL: time.Minute})
		time.Sleep(time.Minute + 2200*time.Millisecond)
		if n := c.Len(); n != 2 {
			t.Errorf("%d entries after a minute, want 2", n)
		}
		time.Sleep(8*year + 3*time.Second)
		if n := c.Len(); n != 1 {
			t.Errorf("%d entries after nine years, want 1", n)
		}
		time.Sleep(100 * year)
		wantValue(t, c, "always", "v")
	})
}
