package memory_test

import (
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

func lockEntry(t testing.TB, c *memory.Cache, key string, ttl time.Duration, force bool) cache.LockHandle {
	t.Helper()
	_, h, err := c.GetAndLock(ctx, key, ttl, cache.LockOptions{Force: force})
	if err != nil {
		t.Fatalf("GetAndLock: %v", err)
	}
	return h
}

// Reclaiming memory goes by the end of the lock, not by the deadline.
func TestLockedEntriesAreReclaimedAfterTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left evictions
		c := open(t, &memory.Options{OnEvict: left.add})
		set(t, c, "ttl", "v", cache.EntryOptions{TTL: time.Second})
		set(t, c, "sliding", "v", cache.EntryOptions{SlidingExpiration: time.Second})
		lockEntry(t, c, "ttl", time.Hour, false)
		lockEntry(t, c, "sliding", time.Hour, false)
		time.Sleep(time.Hour - time.Second)
		synctest.Wait()
		if n := c.Len(); n != 2 {
			t.Fatalf("%d entries while locked, want 2", n)
		}
		time.Sleep(35 * time.Second)
		synctest.Wait()
		if n := c.Len(); n != 0 {
			t.Errorf("%d entries after the locks, want none", n)
		}
		for _, e := range left.list() {
			if e.Cause != memory.CauseExpired {
				t.Errorf("%s left because of %v, want expired", e.Key, e.Cause)
			}
		}
		if n := len(left.list()); n != 2 {
			t.Errorf("%d evictions were told, want 2", n)
		}
	})
}

// Unlock gives the engine the deadline back: an entry does not take up memory
// for as long as its lock might have stood.
func TestUnlockedEntriesAreReclaimedAtTheirDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, nil)
		for _, opts := range []cache.EntryOptions{{TTL: time.Minute}, {SlidingExpiration: time.Minute}} {
			set(t, c, "k", "v", opts)
			h := lockEntry(t, c, "k", 1000*time.Hour, false)
			if err := c.Unlock(ctx, "k", h, 0); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if n := c.Len(); n != 0 {
				t.Errorf("%+v: %d entries, want none", opts, n)
			}
		}
	})
}

// What ends with its lock by Unlock has expired, for those who are told.
func TestUnlockPastTheDeadlineExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left evictions
		c := open(t, &memory.Options{OnEvict: left.add})
		set(t, c, "k", "v", cache.EntryOptions{TTL: time.Second})
		h := lockEntry(t, c, "k", time.Hour, false)
		time.Sleep(time.Minute)
		if err := c.Unlock(ctx, "k", h, 0); err != nil {
			t.Fatal(err)
		}
		if all := left.list(); len(all) != 1 || all[0].Cause != memory.CauseExpired || string(all[0].Value.([]byte)) != "v" {
			t.Errorf("told %+v, want one that expired", all)
		}
		if s := c.Stats(); s.Expirations != 1 || s.Entries != 0 || s.Bytes != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// A lock does not pin: the documentation says so.
func TestLockedEntriesAreEvicted(t *testing.T) {
	c := open(t, &memory.Options{MaxEntries: 10})
	set(t, c, "k", "v", cache.EntryOptions{})
	set(t, c, "pinned", "v", cache.EntryOptions{Priority: cache.PriorityPinned})
	h, pinned := lockEntry(t, c, "k", time.Hour, false), lockEntry(t, c, "pinned", time.Hour, false)
	forced := lockEntry(t, c, "absent", time.Hour, true)
	for i := range 1000 { // each of them worth more room than k
		key := strconv.Itoa(i)
		set(t, c, key, "v", cache.EntryOptions{})
		for range 5 {
			wantValue(t, c, key, "v")
		}
	}
	if n := c.Len(); n > 10 {
		t.Errorf("%d entries, want 10 at most", n)
	}
	_, err := c.PutAndUnlock(ctx, "k", []byte("new"), h, cache.EntryOptions{})
	wantError(t, err, cache.ErrNoEntry)
	wantMiss(t, c, "k")
	if _, err := c.PutAndUnlock(ctx, "pinned", []byte("new"), pinned, cache.EntryOptions{}); err != nil {
		t.Errorf("PutAndUnlock of a pinned entry: %v", err)
	}
	if _, err := c.PutAndUnlock(ctx, "absent", []byte("new"), forced, cache.EntryOptions{}); err != nil {
		t.Errorf("PutAndUnlock of an absent key: %v", err)
	}
}

// Giving an entry another lifetime is not a write: the accounts stay, whatever
// the limits are by now, and nobody is told.
func TestResetTTLKeepsTheAccounts(t *testing.T) {
	var left evictions
	c := open(t, &memory.Options{MaxBytes: 1 << 20, OnEvict: left.add})
	set(t, c, "k", "v", cache.EntryOptions{})
	set(t, c, "pinned", "v", cache.EntryOptions{Priority: cache.PriorityPinned})
	before := c.Stats()
	for range 100 {
		for _, key := range []string{"k", "pinned"} {
			if err := c.ResetTTL(ctx, key, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
	}
	after := c.Stats()
	if after.Entries != before.Entries || after.Bytes != before.Bytes || after.Sets != before.Sets || len(left.list()) != 0 {
		t.Errorf("stats %+v, before %+v, %d told", after, before, len(left.list()))
	}
	if err := c.Resize(0, 2048); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		set(t, c, strconv.Itoa(i), "v", cache.EntryOptions{})
	}
	wantValue(t, c, "pinned", "v")
	if s := c.Stats(); s.Bytes > 2048 {
		t.Errorf("%d bytes, want 2048 at most", s.Bytes)
	}
}

// Versions of two caches never meet.
func TestVersionsOfTwoCachesDiffer(t *testing.T) {
	a, b := open(t, nil), open(t, nil)
	set(t, a, "k", "v", cache.EntryOptions{})
	set(t, b, "k", "v", cache.EntryOptions{})
	item, _, err := a.GetItem(ctx, "k")
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.CompareAndSet(ctx, "k", []byte("new"), item.Version, cache.EntryOptions{})
	wantError(t, err, cache.ErrVersionMismatch)
	wantValue(t, b, "k", "v")
}

// An object is no byte value, nor the other way round.
func TestVersionsAndLocksTellKindsApart(t *testing.T) {
	c := open(t, nil)
	if err := c.SetObject(ctx, "k", "object", cache.EntryOptions{}); err != nil {
		t.Fatal(err)
	}
	_, _, err := c.GetItem(ctx, "k")
	wantError(t, err, cache.ErrWrongType)
	_, _, err = c.GetAndLock(ctx, "k", time.Hour, cache.LockOptions{Force: true})
	wantError(t, err, cache.ErrWrongType)
	_, err = c.Add(ctx, "k", []byte("v"), cache.EntryOptions{})
	wantError(t, err, cache.ErrWrongType)
	item, handle, err := c.GetObjectAndLock(ctx, "k", time.Hour, cache.LockOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.CompareAndSet(ctx, "k", []byte("v"), item.Version, cache.EntryOptions{})
	wantError(t, err, cache.ErrWrongType)
	_, err = c.PutAndUnlock(ctx, "k", []byte("v"), handle, cache.EntryOptions{})
	wantError(t, err, cache.ErrWrongType)
	wantError(t, c.SetIfNewer(ctx, "k", []byte("v"), 1, cache.EntryOptions{}), cache.ErrWrongType)
	if value, found, err := c.GetObject(ctx, "k"); value != "object" || !found || err != nil {
		t.Errorf("got %v, %v, %v", value, found, err)
	}
	if err := c.ResetTTL(ctx, "k", time.Hour); err != nil {
		t.Error(err)
	}
	if err := c.Unlock(ctx, "k", handle, 0); err != nil {
		t.Error(err)
	}
	if removed, err := c.RemoveVersion(ctx, "k", item.Version); !removed || err != nil {
		t.Errorf("RemoveVersion: got %v, %v", removed, err)
	}

	set(t, c, "bytes", "v", cache.EntryOptions{})
	_, _, err = c.GetObjectItem(ctx, "bytes")
	wantError(t, err, cache.ErrWrongType)
	_, err = c.AddObject(ctx, "bytes", "object", cache.EntryOptions{})
	wantError(t, err, cache.ErrWrongType)
	wantError(t, c.SetObjectIfNewer(ctx, "bytes", "object", 1, cache.EntryOptions{}), cache.ErrWrongType)
	wantValue(t, c, "bytes", "v")
}

// Many workers add to one number, by version and under locks, while others reset
// its lifetime and read: no addition is lost.
func TestNoUpdateIsLost(t *testing.T) {
	c := open(t, nil)
	set(t, c, "n", "0", cache.EntryOptions{SlidingExpiration: time.Hour})
	const workers, each = 8, 200
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for done := 0; done < each; {
				if addOne(c, w%2 == 0) {
					done++
				}
				_ = c.ResetTTL(ctx, "n", time.Hour)
				if _, found, err := c.Get(ctx, "n"); !found || err != nil {
					t.Errorf("Get: %v, %v", found, err)
				}
			}
		})
	}
	wg.Wait()
	wantValue(t, c, "n", strconv.Itoa(workers*each))
}

// addOne reports whether it added. Those who use locks heed locks and versions;
// those who go by versions drop locks, and their holders notice.
func addOne(c *memory.Cache, locks bool) bool {
	opts := cache.EntryOptions{SlidingExpiration: time.Hour}
	next := func(v []byte) []byte {
		n, _ := strconv.Atoi(string(v)) // digits only
		return strconv.AppendInt(nil, int64(n)+1, 10)
	}
	if locks {
		item, h, err := c.GetAndLock(ctx, "n", time.Hour, cache.LockOptions{})
		if err != nil {
			return false
		}
		_, err = c.PutAndUnlock(ctx, "n", next(item.Value), h, opts)
		return err == nil
	}
	item, _, err := c.GetItem(ctx, "n")
	if err != nil {
		return false
	}
	_, err = c.CompareAndSet(ctx, "n", next(item.Value), item.Version, opts)
	return err == nil
}
