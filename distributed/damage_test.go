package distributed_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/envelope"
)

// foreign is what other programs may keep under our keys, as text.
var foreign = []string{
	"text", "{\"json\":1}", "\x81\xa1a\x01", "", "+1", "-0", "007", " 42", "42 ", "4.2", "1e3", "9223372036854775808",
	envelope.Magic[:3], "\xc1LD\x02 of a later larder",
}

func testForeignIsLeftAlone(t *testing.T, s server) {
	ctx := t.Context()
	for i, value := range foreign {
		key := fmt.Sprint("k", i)
		s.raw(t, key, value)
		before := s.Stats().Undecodable
		wantMiss(t, s, key)
		results, err := s.GetMany(ctx, []string{key})
		if err != nil || results[0].Found || results[0].Err != nil {
			t.Errorf("%q: GetMany: got %+v, %v, want a miss", value, results, err)
		}
		if _, found, err := s.Count(ctx, key); found || err != nil {
			t.Errorf("%q: Count: got %v, %v, want a miss", value, found, err)
		}
		if got := s.Stats().Undecodable - before; got != 3 {
			t.Errorf("%q: got %d undecodable of 3 reads", value, got)
		}
		must(t, s.Refresh(ctx, key))
		if _, err := s.Increment(ctx, key, 1, cache.EntryOptions{}); err == nil {
			t.Errorf("%q: Increment accepted it", value)
		}
		wantRefused(t, s, key)
		wantErr(t, s.Set(ctx, key, []byte("v"), cache.EntryOptions{Lease: cache.Lease{1}}), cache.ErrLeaseLost)
		must(t, s.Release(ctx, key, cache.Lease{1}))
		if got := s.stored(t, key); got != value {
			t.Errorf("%q became %q", value, got)
		}
	}

	must(t, s.client.RPush(ctx, s.prefix+"list", "a", "b").Err())
	wantMiss(t, s, "list")
	if _, found, err := s.Count(ctx, "list"); found || err != nil {
		t.Errorf("Count of a list: got %v, %v, want a miss", found, err)
	}
	_, err := s.Increment(ctx, "list", 1, cache.EntryOptions{})
	wantErr(t, err, cache.ErrWrongType)
	wantRefused(t, s, "list")
	wantErr(t, s.Set(ctx, "list", []byte("v"), cache.EntryOptions{Lease: cache.Lease{1}}), cache.ErrLeaseLost)
	must(t, s.Release(ctx, "list", cache.Lease{1}))
	must(t, s.Refresh(ctx, "list"))
	if n := s.client.LLen(ctx, s.prefix+"list").Val(); n != 2 {
		t.Errorf("the list has %d elements, want it as it was", n)
	}
	must(t, s.Remove(ctx, "list"))
	wantMiss(t, s, "list")
}

func wantRefused(t *testing.T, c cache.Leaser, key string) {
	t.Helper()
	reply, err := c.Lease(t.Context(), key, time.Minute)
	if err != nil || reply.State != cache.LeaseRefused {
		t.Errorf("Lease: got %+v, %v, want refused", reply, err)
	}
}

// Whatever happens to an entry's bytes, no read returns a wrong value.
func TestDamagedEntriesAreMisses(t *testing.T) {
	c, m, _ := onMini(t)
	ctx := t.Context()
	for name, opts := range map[string]cache.EntryOptions{
		"immortal": forever,
		"TTL":      {TTL: time.Hour},
		"sliding":  {SlidingExpiration: time.Hour},
		"bounded":  {SlidingExpiration: time.Minute, TTL: time.Hour},
	} {
		must(t, c.Set(ctx, "k", []byte("value"), opts))
		raw, err := m.Get("p:k")
		must(t, err)
		damaged := make([]string, 0, len(raw)*10)
		for bit := range len(raw) * 8 {
			bad := []byte(raw)
			bad[bit/8] ^= 1 << (bit % 8)
			damaged = append(damaged, string(bad))
		}
		for size := range len(raw) {
			damaged = append(damaged, raw[:size])
		}
		damaged = append(damaged, raw+"\x00", raw+raw, string(bytes.Repeat([]byte{0xff}, 100)))
		before := c.Stats().Undecodable
		for _, bad := range damaged {
			must(t, m.Set("p:k", bad))
			wantMiss(t, c, "k")
			if _, err := c.Increment(ctx, "k", 1, cache.EntryOptions{}); err == nil {
				if n, _ := m.Get("p:k"); n != "1" || len(bad) != envelope.HeaderSize {
					t.Fatalf("%s: Increment took %x for a counter", name, bad)
				}
			}
		}
		if got := c.Stats().Undecodable - before; got != uint64(len(damaged)) {
			t.Errorf("%s: got %d undecodable, want %d", name, got, len(damaged))
		}
	}
}

func testLeaseReplacesDamage(t *testing.T, s server) {
	ctx := t.Context()
	must(t, s.Set(ctx, "good", []byte("value"), forever))
	good := s.stored(t, "good")
	for name, bad := range map[string]string{
		"payload":     good[:len(good)-1] + "X",
		"truncated":   good[:len(good)-1],
		"header only": good[:20],
		"another's":   good,
	} {
		s.raw(t, "k", bad)
		token := lease(t, s, "k")
		must(t, s.Set(ctx, "k", []byte(name), cache.EntryOptions{Lease: token}))
		wantValue(t, s, "k", name)
		must(t, s.Remove(ctx, "k"))
	}
	wantValue(t, s, "good", "value")
}

// The entry that is replaced must be the one that was found damaged.
func TestLeaseDoesNotReplaceWhatCameInstead(t *testing.T) {
	c, m, _ := onMini(t)
	must(t, c.Set(t.Context(), "k", []byte("value"), forever))
	good, err := m.Get("p:k")
	must(t, err)
	must(t, m.Set("p:k", good[:len(good)-1]))
	watch(m, func(cmd string) {
		if cmd == "EVALSHA" {
			_ = m.Set("p:k", good)
		}
	})
	wantRefused(t, c, "k")
	wantValue(t, c, "k", "value")
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
