package distributed_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/envelope"
	"github.com/larder-go/larder/internal/redistest"
)

// lockKey takes a lock that must be free.
func lockKey(tb testing.TB, c cache.Locker, key string, ttl time.Duration) cache.LockHandle {
	tb.Helper()
	_, handle, err := c.GetAndLock(tb.Context(), key, ttl, cache.LockOptions{})
	must(tb, err)
	if handle == (cache.LockHandle{}) {
		tb.Fatal("got no handle")
	}
	return handle
}

// Locking and unlocking leaves every byte as it was, and while the lock stands
// the bytes are those that package envelope would write.
func testLockedLayout(t *testing.T, s server) {
	ctx := t.Context()
	for name, opts := range map[string]cache.EntryOptions{
		"forever": forever,
		"TTL":     {TTL: time.Hour},
		"sliding": {SlidingExpiration: time.Hour},
		"bounded": {SlidingExpiration: time.Hour, TTL: 2 * time.Hour},
	} {
		must(t, s.Set(ctx, name, []byte("value"), opts))
		before := s.stored(t, name)
		ttl := time.Hour
		if name == "forever" {
			ttl = -1
		}
		now, err := s.client.Time(ctx).Result()
		must(t, err)
		handle := lockKey(t, s, name, time.Minute)
		locked := s.stored(t, name)
		digest := envelope.Digest(s.prefix + name)
		h, payload, err := envelope.Decode([]byte(locked), digest)
		must(t, err)
		wantAfter := int64(0)
		if ttl > 0 {
			wantAfter = now.Add(ttl).UnixMilli()
		}
		off := func(got, want int64) bool { return got < want-30_000 || got > want+30_000 }
		if h.Kind != envelope.Locked || h.Lock.Handle != envelope.ID(handle) || string(payload) != "value" ||
			off(h.Lock.Until, now.Add(time.Minute).UnixMilli()) || off(h.Lock.After, wantAfter) || wantAfter == 0 && h.Lock.After != 0 {
			t.Errorf("%s: got %+v, %q at %d, of a TTL of %v", name, h, payload, now.UnixMilli(), ttl)
		}
		if raw := envelope.Append(nil, h, digest, payload); string(raw) != locked ||
			locked[:4]+"V"+locked[5:len(locked)-envelope.LockSize] != before {
			t.Errorf("%s: it became %x, locked %x", name, before, locked)
		}
		s.wantTTL(t, name, ttl)
		must(t, s.Unlock(ctx, name, handle, 0))
		if got := s.stored(t, name); got != before {
			t.Errorf("%s: it was %x, and is %x", name, before, got)
		}
		s.wantTTL(t, name, ttl)
	}

	_, handle, err := s.GetAndLock(ctx, "held", time.Minute, cache.LockOptions{Force: true})
	must(t, err)
	h, payload, err := envelope.Decode([]byte(s.stored(t, "held")), envelope.Digest(s.prefix+"held"))
	if err != nil || h.Kind != envelope.Hold || h.Lock.Handle != envelope.ID(handle) || len(payload) != 0 {
		t.Errorf("got %+v, %q, %v, want a hold", h, payload, err)
	}
	s.wantTTL(t, "held", time.Minute)
}

// The server keeps the key as long as the entry or its lock lasts.
func testLockedTTL(t *testing.T, s server) {
	ctx := t.Context()
	must(t, s.Set(ctx, "k", []byte("v"), cache.EntryOptions{TTL: time.Minute}))
	handle := lockKey(t, s, "k", time.Hour)
	s.wantTTL(t, "k", time.Hour)
	must(t, s.ResetTTL(ctx, "k", 2*time.Hour))
	s.wantTTL(t, "k", 2*time.Hour)
	must(t, s.ResetTTL(ctx, "k", 2*time.Minute))
	s.wantTTL(t, "k", time.Hour)
	wantErr(t, s.Unlock(ctx, "k", cache.LockHandle{1}, time.Hour), cache.ErrInvalidHandle)
	s.wantTTL(t, "k", time.Hour)
	must(t, s.Unlock(ctx, "k", handle, 0))
	s.wantTTL(t, "k", 2*time.Minute)

	handle = lockKey(t, s, "k", time.Hour)
	must(t, s.Unlock(ctx, "k", handle, 3*time.Hour))
	s.wantTTL(t, "k", 3*time.Hour)
	handle = lockKey(t, s, "k", time.Hour)
	must(t, s.Unlock(ctx, "k", handle, cache.NoExpiry))
	s.wantTTL(t, "k", -1)
	handle = lockKey(t, s, "k", time.Hour)
	s.wantTTL(t, "k", -1)
	must(t, s.ResetTTL(ctx, "k", time.Minute))
	s.wantTTL(t, "k", time.Hour)
	must(t, s.Unlock(ctx, "k", handle, 0))
	s.wantTTL(t, "k", time.Minute)

	// A window stays, and with it the deadline that it never passes.
	must(t, s.Set(ctx, "w", []byte("v"), cache.EntryOptions{SlidingExpiration: time.Hour}))
	header := func(deadline time.Duration) {
		t.Helper()
		now, err := s.client.Time(ctx).Result()
		must(t, err)
		h, _, err := envelope.Decode([]byte(s.stored(t, "w")), envelope.Digest(s.prefix+"w"))
		must(t, err)
		left := time.UnixMilli(h.Deadline).Sub(now)
		if h.Window != time.Hour || deadline == 0 && h.Deadline != 0 ||
			deadline != 0 && (left > deadline || left < deadline-30*time.Second) {
			t.Errorf("got %+v, %v away, want a deadline in %v", h, left, deadline)
		}
	}
	must(t, s.ResetTTL(ctx, "w", 3*time.Hour))
	header(3 * time.Hour)
	s.wantTTL(t, "w", time.Hour)
	handle = lockKey(t, s, "w", time.Minute)
	must(t, s.ResetTTL(ctx, "w", time.Minute/2))
	header(time.Minute / 2)
	s.wantTTL(t, "w", time.Minute)
	must(t, s.Unlock(ctx, "w", handle, 2*time.Hour))
	header(2 * time.Hour)
	s.wantTTL(t, "w", time.Hour)
	handle = lockKey(t, s, "w", time.Minute)
	must(t, s.Unlock(ctx, "w", handle, cache.NoExpiry))
	header(0)
	s.wantTTL(t, "w", time.Hour)
	wantValue(t, s, "w", "v")
}

func testLockHasOneWinner(t *testing.T, s server) {
	other := open(t, s.client, distributed.Options{Prefix: s.prefix})
	for _, force := range []bool{false, true} {
		for range 10 {
			must(t, s.Remove(t.Context(), "k"))
			if !force {
				must(t, s.Set(t.Context(), "k", []byte("v"), forever))
			}
			var won atomic.Int64
			var wg sync.WaitGroup
			for i := range 20 {
				c := []*distributed.Cache{s.Cache, other}[i%2]
				wg.Go(func() {
					switch _, _, err := c.GetAndLock(context.Background(), "k", time.Minute, cache.LockOptions{Force: force}); {
					case err == nil:
						won.Add(1)
					case !errors.Is(err, cache.ErrLocked):
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 {
				t.Fatalf("force %v: %d callers got the lock, want 1", force, won.Load())
			}
		}
	}
}

// A forced lock refuses leases, so that what is loaded is not stored.
func testHoldRefusesLeases(t *testing.T, s server) {
	ctx := t.Context()
	old := lease(t, s, "k")
	item, handle, err := s.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{Force: true})
	if err != nil || !item.Locked || item.Value != nil || item.Version != (cache.Version{}) || item.TTL != 0 {
		t.Fatalf("got %+v, %v, want nothing but a lock", item, err)
	}
	wantErr(t, s.Set(ctx, "k", []byte("stale"), fillWith(old)), cache.ErrLeaseLost)
	wantRefused(t, s, "k")
	if value, reply, err := s.Peek(ctx, "k"); value != nil || reply.State != cache.LeaseRefused || err != nil {
		t.Errorf("Peek: got %q, %+v, %v, want refused", value, reply, err)
	}
	if stands, err := s.Extend(ctx, "k", old, time.Hour); stands || err != nil {
		t.Errorf("Extend: got %v, %v, want false", stands, err)
	}
	got, err := cache.GetOrCreateExclusive(ctx, s.Cache, "k", func(context.Context, *cache.Entry) (string, error) { return "loaded", nil })
	if got != "loaded" || err != nil {
		t.Errorf("got %q, %v, want what was loaded", got, err)
	}
	wantMiss(t, s, "k")
	if got := s.state(t, "k"); got != "held" {
		t.Errorf("it is %s, want it held still", got)
	}
	v, err := s.PutAndUnlock(ctx, "k", []byte("v"), handle, forever)
	must(t, err)
	if item := wantItem(t, s, "k", "v"); item.Version != v || item.Locked {
		t.Errorf("got %+v, want version %x, unlocked", item, v)
	}
	if reply, err := s.Lease(ctx, "k", time.Minute); err != nil || reply.State != cache.LeaseFound {
		t.Errorf("got %+v, %v, want the value found", reply, err)
	}
	lockKey(t, s, "k", time.Minute)
	if reply, err := s.Lease(ctx, "k", time.Minute); err != nil || reply.State != cache.LeaseFound {
		t.Errorf("locked: got %+v, %v, want the value found", reply, err)
	}
	if value, reply, err := s.Peek(ctx, "k"); string(value) != "v" || reply.State != cache.LeaseFound || err != nil {
		t.Errorf("locked: Peek: got %q, %+v, %v, want the value", value, reply, err)
	}
}

// A lock whose handle nobody got is taken back.
func TestLockWithoutAnAnswerIsTakenBack(t *testing.T) {
	m := redistest.Mini(t)
	var line line
	c := open(t, line.client(t, m), distributed.Options{})
	sure := open(t, redistest.MiniClient(t, m), distributed.Options{})
	ctx := t.Context()
	must(t, sure.Set(ctx, "k", []byte("v"), forever))
	must(t, sure.Unlock(ctx, "k", lockKey(t, sure, "k", time.Minute), 0)) // brings the scripts
	wantValue(t, c, "k", "v")
	line.once.Store(true) // and not what takes the lock back
	_, handle, err := c.GetAndLock(ctx, "k", time.Hour, cache.LockOptions{})
	wantErr(t, err, cache.ErrOutcomeUnknown)
	if handle != (cache.LockHandle{}) {
		t.Error("got a handle of a lock that may not stand")
	}
	wantValue(t, c, "k", "v") // what waits in the background goes along
	for end := time.Now().Add(patient); wantItem(t, sure, "k", "v").Locked; {
		if time.Now().After(end) {
			t.Fatal("the lock stands")
		}
	}
}

// A hit on a locked entry costs what any hit costs.
func TestLockedHitIsOneGet(t *testing.T) {
	c, m, _ := onMini(t)
	must(t, c.Set(t.Context(), "k", []byte("v"), forever))
	lockKey(t, c, "k", time.Minute)
	var commands []string
	watch(m, func(cmd string) { commands = append(commands, cmd) })
	wantValue(t, c, "k", "v")
	if got := strings.Join(commands, " "); got != "GET" {
		t.Errorf("it took %s, want one GET", got)
	}
}

// An Unlock that removes the entry ends loads of its key, one that leaves it
// does not.
func TestUnlockInvalidates(t *testing.T) {
	for want, at := range map[bool]time.Duration{false: 5 * time.Second, true: 12 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			c, _, _ := onMini(t)
			clock := newClock()
			must(t, c.Set(t.Context(), "k", []byte("v"), cache.EntryOptions{TTL: 10 * time.Second}))
			handle := lockKey(t, c, "k", time.Minute)
			clock.at(at)
			var loads atomic.Int64
			_, err := cache.GetOrCreateExclusive(t.Context(), cache.Cache(bypassReads{c}), "k", func(ctx context.Context, _ *cache.Entry) (string, error) {
				if loads.Add(1) == 1 {
					must(t, c.Unlock(context.WithoutCancel(ctx), "k", handle, 0))
				}
				return "loaded", nil
			})
			must(t, err)
			if got := loads.Load() > 1; got != want {
				t.Errorf("unlocked at %v: the load was ended: %v, want %v", at, got, want)
			}
		})
	}
}

// bypassReads misses always, so that a load goes on beside the entry.
type bypassReads struct{ *distributed.Cache }

func (bypassReads) Get(context.Context, string) ([]byte, bool, error) { return nil, false, nil }

func (bypassReads) Lease(context.Context, string, time.Duration) (cache.LeaseReply, error) {
	return cache.LeaseReply{State: cache.LeaseRefused}, nil
}

func (bypassReads) Peek(context.Context, string) ([]byte, cache.LeaseReply, error) {
	return nil, cache.LeaseReply{State: cache.LeaseRefused}, nil
}
