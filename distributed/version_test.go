package distributed_test

import (
	"context"
	"errors"
	"strconv"
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

// wantItem reads an item that must be there.
func wantItem(tb testing.TB, c cache.Versioner, key, value string) cache.VersionedItem {
	tb.Helper()
	item, found, err := c.GetItem(tb.Context(), key)
	if err != nil || !found || item.Value == nil || string(item.Value) != value {
		tb.Fatalf("GetItem: got %q, %v, %v, want %q", item.Value, found, err, value)
	}
	return item
}

func (s server) version(tb testing.TB, key string) cache.Version {
	tb.Helper()
	h, _, err := envelope.Decode([]byte(s.stored(tb, key)), envelope.Digest(s.prefix+key))
	must(tb, err)
	return cache.Version(h.ID)
}

func testVersions(t *testing.T, s server) {
	ctx := t.Context()
	seen := make(map[cache.Version]bool)
	wantNew := func(v cache.Version, err error) cache.Version {
		t.Helper()
		must(t, err)
		if v == (cache.Version{}) || seen[v] || v != s.version(t, "k") || v != wantItem(t, s, "k", "v").Version {
			t.Fatalf("got version %x, want one that was never seen, and is the entry's", v)
		}
		seen[v] = true
		return v
	}
	for range 2 {
		v := wantNew(s.Add(ctx, "k", []byte("v"), forever))
		wantNew(s.CompareAndSet(ctx, "k", []byte("v"), v, cache.EntryOptions{TTL: time.Hour}))
		s.wantTTL(t, "k", time.Hour)
		_, err := s.CompareAndSet(ctx, "k", []byte("other"), v, forever)
		var mismatch *cache.VersionMismatchError
		if !errors.As(err, &mismatch) || mismatch.Current != s.version(t, "k") {
			t.Fatalf("got %v, want a mismatch that tells the entry's version", err)
		}
		s.wantTTL(t, "k", time.Hour)
		must(t, s.Set(ctx, "k", []byte("v"), forever))
		wantNew(s.version(t, "k"), nil)
		_, handle, err := s.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{})
		must(t, err)
		v = wantNew(s.PutAndUnlock(ctx, "k", []byte("v"), handle, forever))
		if removed, err := s.RemoveVersion(ctx, "k", v); !removed || err != nil {
			t.Fatalf("RemoveVersion: got %v, %v", removed, err)
		}
		wantMiss(t, s, "k")
	}

	bounded := cache.EntryOptions{SlidingExpiration: time.Minute, TTL: time.Hour}
	v, err := s.Add(ctx, "bounded", []byte("v"), bounded)
	must(t, err)
	for range 2 {
		h, _, err := envelope.Decode([]byte(s.stored(t, "bounded")), envelope.Digest(s.prefix+"bounded"))
		if err != nil || h.Deadline == 0 || h.Window != time.Minute {
			t.Errorf("got %+v, %v, want a window within a bound", h, err)
		}
		s.wantTTL(t, "bounded", time.Minute)
		v, err = s.CompareAndSet(ctx, "bounded", []byte("v"), v, bounded)
		must(t, err)
	}
}

func testGetItem(t *testing.T, s server) {
	ctx := t.Context()
	for key, tc := range map[string]struct {
		opts cache.EntryOptions
		want time.Duration
	}{
		"forever": {forever, cache.NoExpiry},
		"TTL":     {cache.EntryOptions{TTL: time.Hour}, time.Hour},
		"sliding": {cache.EntryOptions{SlidingExpiration: time.Hour, TTL: 2 * time.Hour}, time.Hour},
	} {
		must(t, s.Set(ctx, key, []byte("v"), tc.opts))
		check := func(item cache.VersionedItem, locked bool) {
			t.Helper()
			if item.Version != s.version(t, key) || item.Locked != locked ||
				item.TTL > tc.want || tc.want > 0 && item.TTL < tc.want-30*time.Second {
				t.Errorf("%s: got %+v, want a TTL of %v", key, item, tc.want)
			}
		}
		item := wantItem(t, s, key, "v")
		check(item, false)
		item, newer, found, err := s.GetIfNewer(ctx, key, cache.Version{1})
		if err != nil || !newer || !found || string(item.Value) != "v" {
			t.Errorf("%s: GetIfNewer: got %+v, %v, %v, %v", key, item, newer, found, err)
		}
		check(item, false)
		item, newer, found, err = s.GetIfNewer(ctx, key, item.Version)
		if err != nil || newer || !found || item.Value != nil {
			t.Errorf("%s: GetIfNewer of the same: got %+v, %v, %v, %v", key, item, newer, found, err)
		}
		item, handle, err := s.GetAndLock(ctx, key, time.Minute, cache.LockOptions{})
		must(t, err)
		check(item, true)
		check(wantItem(t, s, key, "v"), true)
		must(t, s.Unlock(ctx, key, handle, 0))
		check(wantItem(t, s, key, "v"), false)
	}
	hits, misses := s.Stats().Hits, s.Stats().Misses
	wantItem(t, s, "forever", "v")
	_, _, _, err := s.GetIfNewer(ctx, "forever", s.version(t, "forever"))
	must(t, err)
	_, _, err = s.GetItem(ctx, "none")
	must(t, err)
	_, _, _, err = s.GetIfNewer(ctx, "none", cache.Version{})
	must(t, err)
	if got := s.Stats(); got.Hits != hits+2 || got.Misses != misses+2 {
		t.Errorf("got %d hits and %d misses of 2 each", got.Hits-hits, got.Misses-misses)
	}
}

// However many callers change one version at once, one does.
func testVersionHasOneHeir(t *testing.T, s server) {
	other := open(t, s.client, distributed.Options{Prefix: s.prefix})
	for what, change := range map[string]func(c *distributed.Cache, value []byte, v cache.Version) (cache.Version, error){
		"compare and set": func(c *distributed.Cache, value []byte, v cache.Version) (cache.Version, error) {
			return c.CompareAndSet(context.Background(), "k", value, v, forever)
		},
		"add": func(c *distributed.Cache, value []byte, _ cache.Version) (cache.Version, error) {
			return c.Add(context.Background(), "none", value, forever)
		},
	} {
		for range 10 {
			must(t, s.Set(t.Context(), "k", []byte("v"), forever))
			must(t, s.Remove(t.Context(), "none"))
			v := s.version(t, "k")
			var won atomic.Int64
			var heir atomic.Value
			var wg sync.WaitGroup
			for i := range 20 {
				c := []*distributed.Cache{s.Cache, other}[i%2]
				wg.Go(func() {
					mine, err := change(c, []byte(strconv.Itoa(i)), v)
					switch {
					case err == nil:
						won.Add(1)
						heir.Store(cache.VersionedItem{Value: []byte(strconv.Itoa(i)), Version: mine})
					case !errors.Is(err, cache.ErrVersionMismatch) && !errors.Is(err, cache.ErrExists):
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 {
				t.Fatalf("%s: %d callers won, want 1", what, won.Load())
			}
			key := map[string]string{"add": "none"}[what] + map[string]string{"compare and set": "k"}[what]
			want := heir.Load().(cache.VersionedItem)
			if got := wantItem(t, s, key, string(want.Value)); got.Version != want.Version {
				t.Fatalf("%s: got version %x, want the winner's %x", what, got.Version, want.Version)
			}
		}
	}
}

// An optimistic counter that many callers raise loses nothing.
func testOptimisticIncrements(t *testing.T, s server) {
	other := open(t, s.client, distributed.Options{Prefix: s.prefix})
	must(t, s.Set(t.Context(), "k", []byte("0"), forever))
	const callers, times = 8, 10
	var wg sync.WaitGroup
	for i := range callers {
		c := []*distributed.Cache{s.Cache, other}[i%2]
		wg.Go(func() {
			for done := 0; done < times; {
				item, _, err := c.GetItem(context.Background(), "k")
				if err != nil {
					t.Error(err)
					return
				}
				n, _ := strconv.Atoi(string(item.Value))
				_, err = c.CompareAndSet(context.Background(), "k", []byte(strconv.Itoa(n+1)), item.Version, forever)
				if err == nil {
					done++
				} else if !errors.Is(err, cache.ErrVersionMismatch) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	wantValue(t, s, "k", strconv.Itoa(callers*times))
}

// A change whose reply was lost is one that may have happened; the version that
// the caller is told says whether it did.
func TestLostRepliesOfChanges(t *testing.T) {
	m := redistest.Mini(t)
	var line line
	c := open(t, line.client(t, m), distributed.Options{})
	sure := open(t, redistest.MiniClient(t, m), distributed.Options{})
	ctx := t.Context()
	lossy := func(do func() (cache.Version, error)) cache.Version {
		t.Helper()
		wantMiss(t, c, "other") // connects
		line.lose.Store(true)
		v, err := do()
		line.lose.Store(false)
		wantErr(t, err, cache.ErrOutcomeUnknown)
		return v
	}
	check := func(v cache.Version, want string) {
		t.Helper()
		if item := wantItem(t, sure, "k", want); item.Version != v || item.Locked {
			t.Fatalf("got %+v, want version %x, unlocked", item, v)
		}
	}
	warm := func(key string) cache.Version { // so that the server has the scripts
		t.Helper()
		v, err := sure.Add(ctx, key, []byte("0"), forever)
		must(t, err)
		_, err = sure.CompareAndSet(ctx, key, []byte("0"), v, forever)
		must(t, err)
		_, handle, err := sure.GetAndLock(ctx, key, time.Minute, cache.LockOptions{})
		must(t, err)
		v, err = sure.PutAndUnlock(ctx, key, []byte("0"), handle, forever)
		must(t, err)
		return v
	}
	warm("warm")

	v := lossy(func() (cache.Version, error) { return c.Add(ctx, "k", []byte("1"), forever) })
	check(v, "1")
	v = lossy(func() (cache.Version, error) { return c.CompareAndSet(ctx, "k", []byte("2"), v, forever) })
	check(v, "2")
	_, handle, err := sure.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{})
	must(t, err)
	v = lossy(func() (cache.Version, error) { return c.PutAndUnlock(ctx, "k", []byte("3"), handle, forever) })
	check(v, "3")
}

// A script that runs twice, as by a proxy that repeats it, says twice that it
// did its work, and does it once.
func TestChangesThatRunTwice(t *testing.T) { synctest.Test(t, changesThatRunTwice) }

func changesThatRunTwice(t *testing.T) {
	m := redistest.Mini(t)
	client := redistest.MiniClient(t, m)
	c := open(t, client, distributed.Options{})
	ctx := t.Context()
	var last []string
	repeat := func() {
		t.Helper()
		before, err := m.Get("k")
		must(t, err)
		ttl := m.TTL("k")
		args := make([]any, len(last))
		for i, arg := range last {
			args[i] = arg
		}
		answer, err := client.Do(ctx, args...).Slice()
		if err != nil || len(answer) == 0 || answer[0] != "ok" {
			t.Fatalf("%v: again: got %q, %v", last[:2], answer, err)
		}
		if after, err := m.Get("k"); err != nil || after != before || m.TTL("k") != ttl {
			t.Fatal("again: it changed the entry")
		}
	}
	watchArgs(t, m, c, func(cmd string, args []string) {
		if cmd == "EVALSHA" || cmd == "EVAL" {
			last = append([]string{cmd}, args...)
		}
	})
	v, err := c.Add(ctx, "k", []byte("1"), cache.EntryOptions{TTL: time.Hour})
	must(t, err)
	repeat()
	_, err = c.CompareAndSet(ctx, "k", []byte("2"), v, cache.EntryOptions{TTL: time.Hour})
	must(t, err)
	repeat()
	_, handle, err := c.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{})
	must(t, err)
	repeat()
	_, err = c.PutAndUnlock(ctx, "k", []byte("3"), handle, cache.EntryOptions{TTL: time.Hour})
	must(t, err)
	repeat()
}

// What is known of an item belongs to it even if the entry is replaced between
// the value and its TTL: never a longer life than it has.
func TestItemIsNeverToldALongerLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, m, _ := onMini(t)
		ctx := t.Context()
		must(t, c.Set(ctx, "k", []byte("old"), cache.EntryOptions{TTL: time.Hour}))
		watch(m, func(cmd string) {
			if cmd == "PTTL" {
				m.Del("p:k")
			}
		})
		if item, found, err := c.GetItem(ctx, "k"); found || err != nil {
			t.Errorf("got %+v, %v, %v, want a miss: it was removed meanwhile", item, found, err)
		}
		watch(m, func(string) {})
		must(t, c.Set(ctx, "k", []byte("old"), cache.EntryOptions{TTL: time.Hour}))
		short, err := m.Get("p:k")
		must(t, err)
		watch(m, func(cmd string) {
			if cmd == "PTTL" {
				_ = m.Set("p:k", short)
				m.SetTTL("p:k", time.Minute)
			}
		})
		if item := wantItem(t, c, "k", "old"); item.TTL != time.Minute {
			t.Errorf("got a TTL of %v, want the later entry's", item.TTL)
		}
	})
}

// GetItem and GetIfNewer restart a sliding window as Get does.
func TestItemReadsRestartTheWindow(t *testing.T) {
	for name, read := range map[string]func(c *distributed.Cache, v cache.Version) error{
		"GetItem": func(c *distributed.Cache, _ cache.Version) error {
			_, _, err := c.GetItem(context.Background(), "k")
			return err
		},
		"newer": func(c *distributed.Cache, _ cache.Version) error {
			_, _, _, err := c.GetIfNewer(context.Background(), "k", cache.Version{})
			return err
		},
		"same": func(c *distributed.Cache, v cache.Version) error {
			_, _, _, err := c.GetIfNewer(context.Background(), "k", v)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, _ := onMini(t)
				clock := newClock()
				v, err := c.Add(t.Context(), "k", []byte("v"), cache.EntryOptions{SlidingExpiration: time.Minute})
				must(t, err)
				clock.at(50 * time.Second)
				must(t, read(c, v))
				clock.at(109 * time.Second)
				must(t, read(c, v))
				clock.at(168 * time.Second)
				wantValue(t, c, "k", "v")
			})
		})
	}
}

// Input is refused before anything is sent.
func TestVersionsAndHandlesAreChecked(t *testing.T) {
	m := redistest.Mini(t)
	var line line
	line.down.Store(true)
	c := open(t, line.client(t, m), distributed.Options{})
	ctx, value := t.Context(), []byte("v")
	for name, tc := range map[string]struct {
		do   func() error
		want error
	}{
		"CompareAndSet": {func() error { _, err := c.CompareAndSet(ctx, "k", value, cache.Version{}, forever); return err }, cache.ErrInvalidVersion},
		"RemoveVersion": {func() error { _, err := c.RemoveVersion(ctx, "k", cache.Version{}); return err }, cache.ErrInvalidVersion},
		"PutAndUnlock":  {func() error { _, err := c.PutAndUnlock(ctx, "k", value, cache.LockHandle{}, forever); return err }, cache.ErrInvalidHandle},
		"Unlock":        {func() error { return c.Unlock(ctx, "k", cache.LockHandle{}, 0) }, cache.ErrInvalidHandle},
		"RemoveLocked":  {func() error { _, err := c.RemoveLocked(ctx, "k", cache.LockHandle{}); return err }, cache.ErrInvalidHandle},
		"no value":      {func() error { _, err := c.Add(ctx, "k", nil, forever); return err }, cache.ErrNilValue},
		"no key":        {func() error { _, err := c.Add(ctx, "", value, forever); return err }, cache.ErrInvalidKey},
		"a bad option":  {func() error { _, err := c.Add(ctx, "k", value, cache.EntryOptions{TTL: -1}); return err }, cache.ErrInvalidTTL},
		"lock for 0":    {func() error { _, _, err := c.GetAndLock(ctx, "k", 0, cache.LockOptions{}); return err }, cache.ErrInvalidTTL},
		"lock for good": {func() error { _, _, err := c.GetAndLock(ctx, "k", cache.NoExpiry, cache.LockOptions{}); return err }, cache.ErrInvalidTTL},
		"unlock for -1": {func() error { return c.Unlock(ctx, "k", cache.LockHandle{1}, -1) }, cache.ErrInvalidTTL},
		"reset to 0":    {func() error { return c.ResetTTL(ctx, "k", 0) }, cache.ErrInvalidTTL},
		"reset for -1":  {func() error { return c.ResetTTL(ctx, "k", -1) }, cache.ErrInvalidTTL},
	} {
		t.Run(name, func(t *testing.T) { wantErr(t, tc.do(), tc.want) })
	}
}
