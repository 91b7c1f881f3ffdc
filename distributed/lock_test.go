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

// The payload of a locked entry is checked by who gets it: the script that
// locked it sees the header only.
func testDamageIsNotLocked(t *testing.T, s server) {
	ctx := t.Context()
	for _, force := range []bool{false, true} {
		must(t, s.Set(ctx, "k", []byte("value"), forever))
		raw := s.stored(t, "k")
		s.raw(t, "k", raw[:len(raw)-1]+"X")
		before := s.Stats().Undecodable
		item, handle, err := s.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{Force: force})
		if s.Stats().Undecodable != before+1 {
			t.Error("the damage was not counted")
		}
		if !force {
			wantErr(t, err, cache.ErrNoEntry)
			if got := s.state(t, "k"); got != "absent" {
				t.Errorf("afterwards it is %s, want it gone", got)
			}
			continue
		}
		if err != nil || !item.Locked || item.Value != nil {
			t.Errorf("got %+v, %v, want a lock on nothing", item, err)
		}
		must(t, s.Unlock(ctx, "k", handle, 0))
	}
}

// Whatever happens to the bytes of a locked entry, no call returns a wrong
// value, and no lock is opened without its handle.
func TestDamagedLocks(t *testing.T) {
	c, m, _ := onMini(t)
	ctx := t.Context()
	must(t, c.Set(ctx, "k", []byte("value"), cache.EntryOptions{SlidingExpiration: time.Hour, TTL: 2 * time.Hour}))
	item, handle, err := c.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{})
	must(t, err)
	raw, err := m.Get("p:k")
	must(t, err)
	damaged := []string{raw + "x", raw + raw}
	for i := range len(raw) * 8 {
		bad := []byte(raw)
		bad[i/8] ^= 1 << (i % 8)
		damaged = append(damaged, string(bad))
	}
	for size := range len(raw) {
		damaged = append(damaged, raw[:size])
	}
	for _, bad := range damaged {
		put := func() { must(t, m.Set("p:k", bad)) }
		put()
		wantMiss(t, c, "k")
		if got, found, err := c.GetItem(ctx, "k"); found || err != nil {
			t.Fatalf("GetItem of %x: got %+v, %v", bad, got, err)
		}
		if got, newer, _, err := c.GetIfNewer(ctx, "k", item.Version); newer || err != nil {
			t.Fatalf("GetIfNewer of %x: got %+v, %v", bad, got, err)
		}
		must(t, c.Refresh(ctx, "k"))
		wrong := cache.LockHandle{1}
		for name, err := range map[string]error{
			"Unlock":        c.Unlock(ctx, "k", wrong, 0),
			"PutAndUnlock":  second(c.PutAndUnlock(ctx, "k", []byte("x"), wrong, forever)),
			"CompareAndSet": second(c.CompareAndSet(ctx, "k", []byte("x"), cache.Version{1}, forever)),
		} {
			if err == nil {
				t.Fatalf("%s of %x succeeded", name, bad)
			}
		}
		got, _, err := c.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{})
		if err == nil {
			t.Fatalf("GetAndLock of %x: got %+v", bad, got)
		}
		put()
		if err := c.Unlock(ctx, "k", handle, 0); err == nil {
			wantMiss(t, c, "k")
		}
	}
}

func second[T any](_ T, err error) error { return err }

// step is something to do at a time, and what is there afterwards.
type step struct {
	at   time.Duration
	do   string
	want string // as server.state describes it
}

// While a lock stands the entry does not expire; when it ends, what is past its
// deadline is gone at that moment and nobody has to do anything.
func TestLocksToTheMillisecond(t *testing.T) {
	const s = time.Second
	ms := func(d time.Duration) time.Duration { return d - time.Millisecond }
	for name, tc := range map[string]struct {
		opts  cache.EntryOptions
		steps []step
	}{
		"runs out before the deadline": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 4s", "v!"}, {ms(4 * s), "", "v!"}, {4 * s, "", "v"}, {ms(10 * s), "", "v"}, {10 * s, "", "absent"}}},
		"runs out after the deadline": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {10 * s, "", "v!"}, {ms(14 * s), "", "v!"}, {14 * s, "", "absent"}}},
		"runs out at the deadline": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 10s", "v!"}, {ms(10 * s), "", "v!"}, {10 * s, "", "absent"}}},
		"runs out on what never expires": {forever, []step{
			{0, "lock 4s", "v!"}, {ms(4 * s), "", "v!"}, {4 * s, "", "v"}, {1000 * s, "", "v"}}},
		"unlocked before the deadline": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {5 * s, "unlock 0s", "v"}, {ms(10 * s), "", "v"}, {10 * s, "", "absent"}}},
		"unlocked after the deadline": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {12 * s, "unlock 0s", "absent"}}},
		"unlocked at the deadline": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {10 * s, "unlock 0s", "absent"}}},
		"unlocked just before": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {ms(10 * s), "unlock 0s", "v"}, {10 * s, "", "absent"}}},
		"unlocked to live": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {12 * s, "unlock 5s", "v"}, {ms(17 * s), "", "v"}, {17 * s, "", "absent"}}},
		"unlocked to live shorter": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {1 * s, "unlock 5s", "v"}, {ms(6 * s), "", "v"}, {6 * s, "", "absent"}}},
		"locked again": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 4s", "v!"}, {4 * s, "lock 4s", "v!"}, {8 * s, "lock 4s", "v!"}, {ms(12 * s), "", "v!"}, {12 * s, "", "absent"}}},
		"locked again after unlock": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 4s", "v!"}, {3 * s, "unlock 0s", "v"}, {3 * s, "lock 1s", "v!"}, {4 * s, "", "v"}, {10 * s, "", "absent"}}},
		"reset while locked": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {1 * s, "reset 2s", "v!"}, {ms(14 * s), "", "v!"}, {14 * s, "", "absent"}}},
		"reset while locked, longer": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 4s", "v!"}, {1 * s, "reset 20s", "v!"}, {4 * s, "", "v"}, {ms(21 * s), "", "v"}, {21 * s, "", "absent"}}},
		"reset and unlocked": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {1 * s, "reset 2s", "v!"}, {3 * s, "unlock 0s", "absent"}}},
		"reset after the lock ran out": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 4s", "v!"}, {5 * s, "reset 20s", "v"}, {ms(25 * s), "", "v"}, {25 * s, "", "absent"}}},
		"reset": {cache.EntryOptions{TTL: 10 * s}, []step{
			{5 * s, "reset 2s", "v"}, {ms(7 * s), "", "v"}, {7 * s, "", "absent"}}},
		"reset what never expires": {forever, []step{
			{5 * s, "reset 2s", "v"}, {ms(7 * s), "", "v"}, {7 * s, "", "absent"}}},
		"sliding, not read": {cache.EntryOptions{SlidingExpiration: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {12 * s, "unlock 0s", "absent"}}},
		"sliding, read while locked": {cache.EntryOptions{SlidingExpiration: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {8 * s, "read", "v!"}, {12 * s, "unlock 0s", "v"}, {ms(18 * s), "", "v"}, {18 * s, "", "absent"}}},
		"sliding, read and run out": {cache.EntryOptions{SlidingExpiration: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {8 * s, "read", "v!"}, {14 * s, "", "v"}, {ms(18 * s), "", "v"}, {18 * s, "", "absent"}}},
		"sliding, refreshed while locked": {cache.EntryOptions{SlidingExpiration: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {8 * s, "refresh", "v!"}, {ms(18 * s), "", "v"}, {18 * s, "", "absent"}}},
		"sliding, read after the lock ran out": {cache.EntryOptions{SlidingExpiration: 10 * s}, []step{
			{0, "lock 4s", "v!"}, {9 * s, "read", "v"}, {18 * s, "read", "v"}, {ms(28 * s), "", "v"}, {28 * s, "", "absent"}}},
		"sliding in a bound, read while locked": {cache.EntryOptions{SlidingExpiration: 10 * s, TTL: 15 * s}, []step{
			{0, "lock 12s", "v!"}, {8 * s, "read", "v!"}, {ms(15 * s), "", "v"}, {15 * s, "", "absent"}}},
		"sliding in a bound that passed": {cache.EntryOptions{SlidingExpiration: 10 * s, TTL: 15 * s}, []step{
			{0, "lock 30s", "v!"}, {20 * s, "refresh", "v!"}, {21 * s, "unlock 0s", "absent"}}},
		"sliding, locking is a read": {cache.EntryOptions{SlidingExpiration: 10 * s}, []step{
			{8 * s, "lock 1s", "v!"}, {ms(18 * s), "", "v"}, {18 * s, "", "absent"}}},
		"sliding, unlocked to live": {cache.EntryOptions{SlidingExpiration: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {12 * s, "unlock 15s", "v"}, {20 * s, "read", "v"}, {ms(27 * s), "", "v"}, {27 * s, "", "absent"}}},
		"set drops the lock": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {1 * s, "set 2s", "w"}, {ms(3 * s), "", "w"}, {3 * s, "", "absent"}}},
		"put": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {12 * s, "put 2s", "w"}, {ms(14 * s), "", "w"}, {14 * s, "", "absent"}}},
		"held": {cache.EntryOptions{TTL: 1 * s}, []step{
			{1 * s, "force 4s", "held"}, {ms(5 * s), "", "held"}, {5 * s, "", "absent"}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runSteps(t, tc.opts, tc.steps) })
		})
	}
}

func runSteps(t *testing.T, opts cache.EntryOptions, steps []step) {
	m := redistest.Mini(t)
	client := redistest.MiniClient(t, m)
	s := server{open(t, client, distributed.Options{}), client, ""}
	ctx := t.Context()
	clock := newClock()
	must(t, s.Set(ctx, "k", []byte("v"), opts))
	var handle cache.LockHandle
	for _, step := range steps {
		clock.at(step.at)
		verb, arg, _ := strings.Cut(step.do, " ")
		d, _ := time.ParseDuration(arg)
		var err error
		switch verb {
		case "lock", "force":
			_, handle, err = s.GetAndLock(ctx, "k", d, cache.LockOptions{Force: verb == "force"})
		case "unlock":
			err = s.Unlock(ctx, "k", handle, d)
		case "reset":
			err = s.ResetTTL(ctx, "k", d)
		case "set":
			err = s.Set(ctx, "k", []byte("w"), cache.EntryOptions{TTL: d})
		case "put":
			_, err = s.PutAndUnlock(ctx, "k", []byte("w"), handle, cache.EntryOptions{TTL: d})
		case "read":
			_, _, err = s.Get(ctx, "k")
		case "refresh":
			err = s.Refresh(ctx, "k")
		}
		if err != nil {
			t.Fatalf("at %v: %s: %v", step.at, step.do, err)
		}
		synctest.Wait()
		if got := s.state(t, "k"); got != step.want {
			t.Fatalf("at %v: after %q it is %s, want %s", step.at, step.do, got, step.want)
		}
		if step.want != "absent" && step.want != "held" && step.do == "read" {
			wantValue(t, s, "k", strings.TrimSuffix(step.want, "!"))
		}
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
	line.lose.Store(true)
	_, handle, err := c.GetAndLock(ctx, "k", time.Hour, cache.LockOptions{})
	wantErr(t, err, cache.ErrOutcomeUnknown)
	if handle != (cache.LockHandle{}) {
		t.Error("got a handle of a lock that may not stand")
	}
	line.lose.Store(false)
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
