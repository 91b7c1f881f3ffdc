package memory_test

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

func TestWeightIsKeyValueAndOverhead(t *testing.T) {
	const key = "key"
	weigh := func(string, any) int64 { return 1000 }
	bytes := func(c *memory.Cache, opts cache.EntryOptions) error { return c.Set(ctx, key, make([]byte, 100), opts) }
	object := func(c *memory.Cache, opts cache.EntryOptions) error { return c.SetObject(ctx, key, "0123456789", opts) }
	counter := func(c *memory.Cache, opts cache.EntryOptions) error {
		_, err := c.Increment(ctx, key, 1, opts)
		return err
	}
	for _, tc := range []struct {
		name  string
		weigh func(string, any) int64
		store func(*memory.Cache, cache.EntryOptions) error
		size  int64
		want  int64
	}{
		{"bytes", weigh, bytes, 0, 3 + 100 + memory.EntryOverhead},
		{"counter", weigh, counter, 0, 3 + 8 + memory.EntryOverhead},
		{"object, estimated", nil, object, 0, 3 + 26 + memory.EntryOverhead},
		{"object, weighed", weigh, object, 0, 3 + 1000 + memory.EntryOverhead},
		{"object, weigher panics", func(string, any) int64 { panic("no") }, object, 0, 3 + 26 + memory.EntryOverhead},
		{"object, weigher says less than nothing", func(string, any) int64 { return -1 }, object, 0, 3 + 26 + memory.EntryOverhead},
		{"bytes of a size", weigh, bytes, 7, 7},
		{"object of a size", weigh, object, 7, 7},
		{"counter of a size", weigh, counter, 7, 7},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := open(t, &memory.Options{Weigh: tc.weigh})
			if err := tc.store(c, cache.EntryOptions{Size: tc.size}); err != nil {
				t.Fatal(err)
			}
			if got := c.Stats().Bytes; got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
			if err := c.Remove(ctx, key); err != nil || c.Stats().Bytes != 0 {
				t.Errorf("after Remove: %v, %d bytes", err, c.Stats().Bytes)
			}
		})
	}
}

func TestAPanickingWeigherIsReported(t *testing.T) {
	seen := &events{}
	c := open(t, &memory.Options{Observer: seen, Weigh: func(string, any) int64 { panic("secret") }})
	if err := c.SetObject(ctx, "k", 1, cache.EntryOptions{}); err != nil {
		t.Fatal(err)
	}
	if n := seen.count(cache.EventCallbackPanic); n != 1 {
		t.Errorf("%d panics observed, want 1", n)
	}
}

func TestValuesTooLargeAreRefusedAndChangeNothing(t *testing.T) {
	for name, opts := range map[string]memory.Options{
		"MaxBytes":      {MaxBytes: 2048},
		"MaxValueBytes": {MaxValueBytes: 1000},
		"both":          {MaxBytes: 1 << 20, MaxValueBytes: 1000},
	} {
		t.Run(name, func(t *testing.T) {
			left := &evictions{}
			opts.OnEvict = left.add
			c := open(t, &opts)
			set(t, c, "k", "old", cache.EntryOptions{})
			wantError(t, c.Set(ctx, "k", make([]byte, 2048), cache.EntryOptions{}), cache.ErrValueTooLarge)
			wantError(t, c.SetObject(ctx, "k", make([]byte, 2048), cache.EntryOptions{}), cache.ErrValueTooLarge)
			wantError(t, c.SetObject(ctx, "k", 1, cache.EntryOptions{Size: 2049}), cache.ErrValueTooLarge)
			if opts.MaxBytes == 2048 {
				wantError(t, c.Set(ctx, "k", []byte("v"), cache.EntryOptions{Size: 2049}), cache.ErrValueTooLarge)
				_, err := c.Increment(ctx, "n", 1, cache.EntryOptions{Size: 2049})
				wantError(t, err, cache.ErrValueTooLarge)
			}
			wantValue(t, c, "k", "old")
			if got := left.list(); len(got) != 0 {
				t.Errorf("left: %+v", got)
			}
		})
	}
}

func TestLimitsHold(t *testing.T) {
	for _, tc := range []struct {
		name string
		opts memory.Options
		size int64
		want int // entries, at the end
	}{
		{"one entry", memory.Options{MaxEntries: 1}, 0, 1},
		{"entries", memory.Options{MaxEntries: 10}, 0, 10},
		{"bytes", memory.Options{MaxBytes: 10_000}, 1000, 10},
		{"both, entries bind", memory.Options{MaxEntries: 5, MaxBytes: 10_000}, 1000, 5},
		{"both, bytes bind", memory.Options{MaxEntries: 50, MaxBytes: 10_000}, 1000, 10},
		{"more bytes than 32 bits can count", memory.Options{MaxBytes: 1 << 40}, 1 << 37, 8},
		{"many bytes, few entries", memory.Options{MaxBytes: 1 << 40, MaxEntries: 4}, 1000, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := open(t, &tc.opts)
			for i := range 1000 {
				if err := c.SetObject(ctx, strconv.Itoa(i), i, cache.EntryOptions{Size: tc.size}); err != nil {
					t.Fatal(err)
				}
				s := c.Stats()
				if tc.opts.MaxEntries > 0 && s.Entries > int64(tc.opts.MaxEntries) || tc.opts.MaxBytes > 0 && s.Bytes > tc.opts.MaxBytes {
					t.Fatalf("after %d entries: %+v", i+1, s)
				}
			}
			if s := c.Stats(); s.Entries != int64(tc.want) || s.Evictions != uint64(1000-tc.want) {
				t.Errorf("got %+v, want %d entries", s, tc.want)
			}
		})
	}
}

// Other engines let a limit of 100 entries grow to several hundred while many
// store.
func TestLimitsHoldAtEveryInstant(t *testing.T) {
	const limit, writers, perWriter = 100, 8, 2000
	c := open(t, &memory.Options{MaxEntries: limit})
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range perWriter {
				if err := c.SetObject(ctx, strconv.Itoa(w*perWriter+i), i, cache.EntryOptions{}); err != nil {
					t.Error(err)
				}
				if n := c.Len(); n > limit {
					t.Errorf("held %d entries, want at most %d", n, limit)
				}
			}
		})
	}
	wg.Wait()
	if n := c.Len(); n != limit {
		t.Errorf("holds %d entries at the end, want %d", n, limit)
	}
}

func TestPinnedEntriesAreNotEvicted(t *testing.T) {
	c := open(t, &memory.Options{MaxEntries: 10})
	pinned := cache.EntryOptions{Priority: cache.PriorityPinned}
	for i := range 4 {
		set(t, c, "pinned"+strconv.Itoa(i), "v", pinned)
	}
	for i := range 1000 {
		set(t, c, strconv.Itoa(i), "v", cache.EntryOptions{})
		if c.Len() > 10 {
			t.Fatalf("holds %d entries", c.Len())
		}
	}
	for i := range 4 {
		wantValue(t, c, "pinned"+strconv.Itoa(i), "v")
	}
	if s := c.Stats(); s.Entries != 10 {
		t.Errorf("got %+v, want 10 entries", s)
	}
}

func TestPinnedEntriesAreRefusedWhenTheyFillTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, &memory.Options{MaxBytes: 10_000})
		pinned := cache.EntryOptions{Priority: cache.PriorityPinned, Size: 1000, TTL: time.Minute}
		for i := range 10 {
			set(t, c, strconv.Itoa(i), "v", pinned)
		}
		wantError(t, c.Set(ctx, "one more", []byte("v"), pinned), cache.ErrValueTooLarge)
		wantMiss(t, c, "one more")
		set(t, c, "0", "replaced", pinned)
		wantValue(t, c, "0", "replaced")
		pinned.Size++
		wantError(t, c.Set(ctx, "0", []byte("v"), pinned), cache.ErrValueTooLarge)
		wantValue(t, c, "0", "replaced")

		// Nothing else can stay, and nothing goes wrong.
		set(t, c, "normal", "v", cache.EntryOptions{})
		if s := c.Stats(); s.Bytes != 10_000 || s.Entries != 10 {
			t.Errorf("got %+v", s)
		}

		// A pinned entry that becomes a normal one gives its part back, and so
		// do removed and expired ones.
		set(t, c, "0", "v", cache.EntryOptions{Size: 1000})
		if err := c.Remove(ctx, "1"); err != nil {
			t.Fatal(err)
		}
		pinned.Size = 2000
		set(t, c, "large", "v", pinned)
		time.Sleep(time.Minute)
		if s := c.Stats(); s.Expirations == 0 {
			time.Sleep(3 * time.Second)
		}
		for i := range 10 {
			set(t, c, "again"+strconv.Itoa(i), "v", cache.EntryOptions{Size: 1000})
		}
		if s := c.Stats(); s.Bytes != 10_000 || s.Entries != 10 {
			t.Errorf("after all expired: got %+v", s)
		}
	})
}

func TestResize(t *testing.T) {
	for _, tc := range []struct {
		name       string
		before     memory.Options
		maxEntries int
		maxBytes   int64
		want       int64 // entries left of 100 that weigh 1000 each
	}{
		{"fewer entries", memory.Options{MaxEntries: 100}, 10, 0, 10},
		{"more entries", memory.Options{MaxEntries: 100}, 1000, 0, 100},
		{"fewer bytes", memory.Options{MaxBytes: 100_000}, 0, 10_000, 10},
		{"from entries to bytes", memory.Options{MaxEntries: 100}, 0, 10_000, 10},
		{"from bytes to entries", memory.Options{MaxBytes: 100_000}, 10, 0, 10},
		{"from bytes to both", memory.Options{MaxBytes: 100_000}, 10, 100_000, 10},
		{"from both to bytes", memory.Options{MaxEntries: 100, MaxBytes: 1 << 30}, 0, 100_000, 100},
		{"to the default", memory.Options{MaxEntries: 100}, 0, 0, 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var left atomic.Int64
				tc.before.OnEvict = func(memory.Eviction) { left.Add(1) }
				c := open(t, &tc.before)
				for i := range 100 {
					set(t, c, strconv.Itoa(i), "v", cache.EntryOptions{Size: 1000})
				}
				if err := c.Resize(tc.maxEntries, tc.maxBytes); err != nil {
					t.Fatal(err)
				}
				if s := c.Stats(); s.Entries != tc.want || s.Bytes != 1000*tc.want || s.Evictions != uint64(100-tc.want) {
					t.Errorf("got %+v, want %d entries", s, tc.want)
				}
				for i := range 100 { // the new limits go on to hold
					set(t, c, "more"+strconv.Itoa(i), "v", cache.EntryOptions{Size: 1000})
					s := c.Stats()
					if tc.maxEntries > 0 && s.Entries > int64(tc.maxEntries) || tc.maxBytes > 0 && s.Bytes > tc.maxBytes {
						t.Fatalf("later: %+v", s)
					}
				}
				if err := c.Clear(ctx); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if n := left.Load(); n != 200 {
					t.Errorf("%d callbacks for 200 entries", n)
				}
			})
		})
	}
}

func TestResizeKeepsPinnedEntries(t *testing.T) {
	c := open(t, &memory.Options{MaxEntries: 10})
	set(t, c, "pinned", "v", cache.EntryOptions{Priority: cache.PriorityPinned})
	for i := range 9 {
		set(t, c, strconv.Itoa(i), "v", cache.EntryOptions{})
	}
	if err := c.Resize(2, 0); err != nil {
		t.Fatal(err)
	}
	wantValue(t, c, "pinned", "v")
	if c.Len() != 2 {
		t.Errorf("holds %d entries, want 2", c.Len())
	}
	var refused *cache.OptionError
	if err := c.Resize(-1, 0); !errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
}

func TestAllShowsLiveEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, nil)
		set(t, c, "bytes", "v", cache.EntryOptions{})
		set(t, c, "short", "v", cache.EntryOptions{TTL: time.Millisecond})
		if err := c.SetObject(ctx, "object", 1.5, cache.EntryOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Increment(ctx, "counter", 7, cache.EntryOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		got := map[string]any{}
		for key, v := range c.All() {
			got[key] = v
		}
		if len(got) != 3 || string(got["bytes"].([]byte)) != "v" || got["object"] != 1.5 || got["counter"] != int64(7) {
			t.Errorf("got %v", got)
		}
		for range c.All() {
			break
		}
	})
}
