package distributed_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
)

// Orders are compared as numbers of 64 bits, of which Lua knows 53.
func testOrdered(t *testing.T, s server) {
	ctx := t.Context()
	orders := []uint64{
		1, 2, 255, 256, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<53 - 1, 1 << 53, 1<<53 + 1, 1<<53 + 2,
		1<<63 - 1, 1 << 63, 1<<63 + 1, math.MaxUint64 - 1, math.MaxUint64,
	}
	for i, order := range orders {
		must(t, s.SetIfNewer(ctx, "k", []byte("v"), order, cache.EntryOptions{TTL: time.Hour}))
		item := wantItem(t, s, "k", "v")
		if item.Order != order {
			t.Fatalf("got order %d, want %d", item.Order, order)
		}
		s.wantTTL(t, "k", time.Hour)
		for _, older := range orders[:i+1] {
			err := s.SetIfNewer(ctx, "k", []byte("other"), older, forever)
			var outdated *cache.OutdatedError
			switch {
			case older == order && err != nil:
				t.Fatalf("the same order: got %v", err)
			case older < order && (!errors.As(err, &outdated) || outdated.Current != order):
				t.Fatalf("%d after %d: got %v", older, order, err)
			}
		}
		if got := wantItem(t, s, "k", "v"); got.Version != item.Version {
			t.Fatalf("order %d: the entry was written", order)
		}
		s.wantTTL(t, "k", time.Hour)
	}
}

// What is no newer value makes room, and what is not larder's stays.
func testOrderedReplaces(t *testing.T, s server) {
	ctx := t.Context()
	newer := func(key string) error { return s.SetIfNewer(ctx, key, []byte("new"), 7, forever) }
	must(t, s.Set(ctx, "plain", []byte("v"), cache.EntryOptions{TTL: time.Hour}))
	must(t, newer("plain"))
	wantItem(t, s, "plain", "new")
	if ttl := s.client.PTTL(ctx, s.prefix+"plain").Val(); ttl > 0 {
		t.Errorf("got a TTL of %v, want none", ttl)
	}

	lease(t, s, "leased")
	must(t, newer("leased"))
	wantItem(t, s, "leased", "new")

	_, handle, err := s.GetAndLock(ctx, "held", time.Minute, cache.LockOptions{Force: true})
	must(t, err)
	must(t, newer("held"))
	wantErr(t, s.Unlock(ctx, "held", handle, 0), cache.ErrNotLocked)

	must(t, newer("locked"))
	item, handle, err := s.GetAndLock(ctx, "locked", time.Minute, cache.LockOptions{})
	must(t, err)
	if item.Order != 7 {
		t.Errorf("a lock's item has order %d, want 7", item.Order)
	}
	if got := wantItem(t, s, "locked", "new"); got.Order != 7 || !got.Locked {
		t.Errorf("locked: got %+v", got)
	}
	must(t, newer("locked"))
	must(t, s.ResetTTL(ctx, "locked", time.Hour))
	must(t, s.Unlock(ctx, "locked", handle, 0))
	item, newerOne, found, err := s.GetIfNewer(ctx, "locked", s.version(t, "locked"))
	if item.Order != 7 || newerOne || !found || err != nil {
		t.Errorf("unlocked: got %+v, %v, %v, %v", item, newerOne, found, err)
	}

	must(t, newer("damaged"))
	good := s.stored(t, "damaged")
	for _, bad := range []string{good[:len(good)-1], good[:60], good + "x"} {
		s.raw(t, "damaged", bad)
		must(t, s.SetIfNewer(ctx, "damaged", []byte("older"), 3, forever))
		wantItem(t, s, "damaged", "older")
	}

	_, err = s.Increment(ctx, "counter", 1, forever)
	must(t, err)
	wantErr(t, newer("counter"), cache.ErrWrongType)
	s.raw(t, "foreign", "text")
	wantErr(t, newer("foreign"), cache.ErrWrongType)
	if got := s.stored(t, "foreign"); got != "text" {
		t.Errorf("foreign data became %q", got)
	}
}

// Each lock's token is greater than the one before, and fits an int64.
func testFences(t *testing.T, s server) {
	ctx := t.Context()
	must(t, s.Set(ctx, "k", []byte("v"), forever))
	last := map[string]uint64{}
	for range 20 {
		for _, key := range []string{"k", "absent"} {
			item, handle, err := s.GetAndLock(ctx, key, time.Minute, cache.LockOptions{Force: true})
			must(t, err)
			if item.Fence <= last[key] || item.Fence > math.MaxInt64 {
				t.Fatalf("%s: got token %d after %d", key, item.Fence, last[key])
			}
			last[key] = item.Fence
			must(t, s.Unlock(ctx, key, handle, 0))
		}
		if item := wantItem(t, s, "k", "v"); item.Fence != 0 {
			t.Errorf("GetItem has token %d, want none", item.Fence)
		}
	}
}

// The server's clock may go back. A lock then stands for longer, so the next one's
// token is greater all the same.
func TestFenceDoesNotFollowTheClockBack(t *testing.T) {
	c, m, _ := onMini(t)
	ctx := t.Context()
	now := time.Now()
	m.SetTime(now)
	must(t, c.Set(ctx, "k", []byte("v"), forever))
	last := uint64(0)
	granted := 0
	for i, step := range []time.Duration{0, 1, -5, 3, 1, 1, 1, -1, 1, 1, 2, -9, 20} {
		now = now.Add(step * time.Millisecond)
		m.SetTime(now)
		item, _, err := c.GetAndLock(ctx, "k", time.Millisecond, cache.LockOptions{})
		if errors.Is(err, cache.ErrLocked) {
			continue
		}
		must(t, err)
		if granted++; item.Fence != uint64(now.UnixMicro()) || item.Fence <= last {
			t.Errorf("step %d: got token %d after %d, want the time, %d", i, item.Fence, last, now.UnixMicro())
		}
		last = item.Fence
	}
	if granted < 3 {
		t.Errorf("%d locks granted, want some", granted)
	}
}
