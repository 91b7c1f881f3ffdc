package memory_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

func lease(t testing.TB, c *memory.Cache, key string, want cache.LeaseState) cache.Lease {
	t.Helper()
	reply, err := c.Lease(ctx, key, time.Minute)
	if err != nil || reply.State != want {
		t.Fatalf("Lease: got %+v, %v, want state %d", reply, err, want)
	}
	return reply.Lease
}

func fill(c *memory.Cache, key, value string, lease cache.Lease) error {
	return c.Set(ctx, key, []byte(value), cache.EntryOptions{Lease: lease})
}

func TestALeaseIsGrantedOnceAndSpentOnce(t *testing.T) {
	c := open(t, nil)
	l := lease(t, c, "k", cache.LeaseGranted)
	if l == (cache.Lease{}) {
		t.Fatal("the lease is zero")
	}
	if other := lease(t, c, "k", cache.LeaseBusy); other != l {
		t.Error("a busy key does not name the lease in charge")
	}
	if other := lease(t, c, "k2", cache.LeaseGranted); other == l {
		t.Error("two keys, one lease")
	}
	if err := fill(c, "k", "v", l); err != nil {
		t.Fatal(err)
	}
	wantValue(t, c, "k", "v")
	lease(t, c, "k", cache.LeaseFound)
	wantError(t, fill(c, "k", "again", l), cache.ErrLeaseLost)
	wantValue(t, c, "k", "v")
}

func TestALeaseFillsEveryKindAndBatch(t *testing.T) {
	c := open(t, nil)
	opts := cache.EntryOptions{Lease: lease(t, c, "o", cache.LeaseGranted)}
	if err := c.SetObject(ctx, "o", 1, opts); err != nil {
		t.Error(err)
	}
	wantError(t, c.SetObject(ctx, "o", 2, opts), cache.ErrLeaseLost)
	opts.Lease = lease(t, c, "m", cache.LeaseGranted)
	err := c.SetMany(ctx, []cache.Item{
		{Key: "m", Value: []byte("1"), Options: opts}, {Key: "m", Value: []byte("2"), Options: opts}, {Key: "n", Value: []byte("3")}})
	var failed *cache.BatchError
	if !errors.As(err, &failed) || failed.Errs[0] != nil || !errors.Is(failed.Errs[1], cache.ErrLeaseLost) || failed.Errs[2] != nil {
		t.Errorf("got %v", err)
	}
	wantValue(t, c, "m", "1")
}

func TestEveryWriteVoidsTheLease(t *testing.T) {
	for name, write := range map[string]func(c *memory.Cache) error{
		"Set":       func(c *memory.Cache) error { return c.Set(ctx, "k", []byte("w"), cache.EntryOptions{}) },
		"SetObject": func(c *memory.Cache) error { return c.SetObject(ctx, "k", 1, cache.EntryOptions{}) },
		"SetMany":   func(c *memory.Cache) error { return c.SetMany(ctx, []cache.Item{{Key: "k", Value: []byte("w")}}) },
		"Remove":    func(c *memory.Cache) error { return c.Remove(ctx, "k") },
		"RemoveMany": func(c *memory.Cache) error {
			return c.RemoveMany(ctx, []string{"k"})
		},
		"Clear":     func(c *memory.Cache) error { return c.Clear(ctx) },
		"Increment": func(c *memory.Cache) error { _, err := c.Increment(ctx, "k", 1, cache.EntryOptions{}); return err },
		"Add":       func(c *memory.Cache) error { _, err := c.Add(ctx, "k", []byte("w"), cache.EntryOptions{}); return err },
		"AddObject": func(c *memory.Cache) error { _, err := c.AddObject(ctx, "k", 1, cache.EntryOptions{}); return err },
		"SetIfNewer": func(c *memory.Cache) error {
			return c.SetIfNewer(ctx, "k", []byte("w"), 1, cache.EntryOptions{})
		},
		"GetAndLock": func(c *memory.Cache) error {
			_, _, err := c.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{Force: true})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, nil)
			l := lease(t, c, "k", cache.LeaseGranted)
			if err := write(c); err != nil {
				t.Fatal(err)
			}
			wantError(t, fill(c, "k", "stale", l), cache.ErrLeaseLost)
			if err := c.Remove(ctx, "k"); err != nil {
				t.Fatal(err)
			}
			wantError(t, fill(c, "k", "stale", l), cache.ErrLeaseLost)
			wantMiss(t, c, "k")
			if next := lease(t, c, "k", cache.LeaseGranted); next == l {
				t.Error("the voided lease was given out again")
			}
		})
	}
}

func TestRefusedWritesLeaveTheLease(t *testing.T) {
	c := open(t, &memory.Options{MaxValueBytes: 10})
	l := lease(t, c, "k", cache.LeaseGranted)
	wantError(t, c.Set(ctx, "k", make([]byte, 11), cache.EntryOptions{}), cache.ErrValueTooLarge)
	wantError(t, c.Set(ctx, "k", nil, cache.EntryOptions{}), cache.ErrNilValue)
	wantError(t, fill(c, "k", "too long to be held", l), cache.ErrValueTooLarge)
	wantError(t, fill(c, "k", "forged", cache.Lease{1, 2, 3}), cache.ErrLeaseLost)
	if err := c.Refresh(ctx, "k"); err != nil {
		t.Error(err)
	}
	if err := fill(c, "k", "v", l); err != nil {
		t.Error(err)
	}
}

func TestALeaseRunsOutAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, nil)
		time.Sleep(500 * time.Millisecond) // off the timers' beat
		l := lease(t, c, "k", cache.LeaseGranted)
		time.Sleep(time.Minute - 1)
		lease(t, c, "k", cache.LeaseBusy)
		time.Sleep(time.Nanosecond)
		wantError(t, fill(c, "k", "late", l), cache.ErrLeaseLost)
		lease(t, c, "k", cache.LeaseGranted)
		time.Sleep(time.Minute)
		lease(t, c, "k", cache.LeaseGranted)
		l = lease(t, c, "k2", cache.LeaseGranted)
		time.Sleep(time.Minute - 1)
		if err := fill(c, "k2", "in time", l); err != nil {
			t.Error(err)
		}
	})
}

func TestReleaseGivesBackOnesOwnLeaseOnly(t *testing.T) {
	c := open(t, nil)
	l := lease(t, c, "k", cache.LeaseGranted)
	for _, other := range []cache.Lease{{}, {1}} {
		if err := c.Release(ctx, "k", other); err != nil {
			t.Error(err)
		}
	}
	lease(t, c, "k", cache.LeaseBusy)
	for range 2 {
		if err := c.Release(ctx, "k", l); err != nil {
			t.Error(err)
		}
	}
	wantError(t, fill(c, "k", "v", l), cache.ErrLeaseLost)
	lease(t, c, "k", cache.LeaseGranted)
}

func TestLeaseManyAnswersInOrder(t *testing.T) {
	c := open(t, nil)
	set(t, c, "found", "v", cache.EntryOptions{})
	busy := lease(t, c, "busy", cache.LeaseGranted)
	got, err := c.LeaseMany(ctx, []string{"found", "busy", "", "new"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []cache.LeaseState{cache.LeaseFound, cache.LeaseBusy, cache.LeaseRefused, cache.LeaseGranted} {
		if got[i].State != want {
			t.Errorf("%d: got %+v, want state %d", i, got[i], want)
		}
	}
	if got[1].Lease != busy || got[3].Lease == (cache.Lease{}) {
		t.Errorf("got %+v", got)
	}
	wantError(t, got[2].Err, cache.ErrInvalidKey)
}

func TestALeaseNeedsAPositiveTime(t *testing.T) {
	c := open(t, nil)
	for _, ttl := range []time.Duration{0, -1, cache.NoExpiry} {
		_, err := c.Lease(ctx, "k", ttl)
		wantError(t, err, cache.ErrInvalidTTL)
		_, err = c.LeaseMany(ctx, []string{"k"}, ttl)
		wantError(t, err, cache.ErrInvalidTTL)
	}
	if _, err := c.Lease(ctx, "k", 1<<63-1); err != nil {
		t.Errorf("the longest: %v", err)
	}
	lease(t, c, "k", cache.LeaseBusy)
}

// The race a lease is for: a load reads the source, the source and the cache
// are written, the load fills. After the write has returned, nobody may see
// what the load read, whatever the interleaving.
func TestAFillNeverOverwritesALaterWrite(t *testing.T) {
	c := open(t, nil)
	var source sync.Map // what a load would read
	const rounds = 2000
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range rounds {
				reply, err := c.Lease(ctx, "k", time.Minute)
				if err != nil {
					t.Error(err)
				}
				if reply.State != cache.LeaseGranted {
					continue
				}
				v, _ := source.LoadOrStore("k", "0")
				if err := fill(c, "k", v.(string), reply.Lease); err != nil && !errors.Is(err, cache.ErrLeaseLost) {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range rounds {
			v := string(rune('a' + i%26))
			source.Store("k", v)
			if err := c.Remove(context.Background(), "k"); err != nil {
				t.Error(err)
			}
			if got, found, _ := c.Get(ctx, "k"); found && string(got) != v {
				t.Errorf("got %q after %q was written", got, v)
			}
		}
	})
	wg.Wait()
}
