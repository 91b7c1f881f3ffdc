package memory_test

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

func expire(t testing.TB, c *memory.Cache, tokens ...cache.Token) {
	t.Helper()
	if err := c.ExpireTokens(t.Context(), tokens...); err != nil {
		t.Fatalf("ExpireTokens: %v", err)
	}
}

// What is read again and again is found without a lock, and must be missed as
// well.
func TestHotEntriesExpireWithTheirRegions(t *testing.T) {
	c := open(t, nil)
	region := cache.RegionToken("r")
	for range 3 {
		if err := c.SetObject(t.Context(), "k", "v", cache.EntryOptions{Tokens: []cache.Token{region}}); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if v, found, err := c.GetObject(t.Context(), "k"); v != "v" || !found || err != nil {
				t.Fatalf("got %v, %v, %v, want a hit", v, found, err)
			}
		}
		expire(t, c, region)
		if v, found, err := c.GetObject(t.Context(), "k"); found || err != nil {
			t.Fatalf("got %v, %v, %v after the region expired, want a miss", v, found, err)
		}
	}
}

// Dead entries are misses at once, and leave the table when somebody meets them.
func TestDeadEntriesLeaveWhenSeen(t *testing.T) {
	var removed atomic.Int32
	c := open(t, &memory.Options{OnEvict: func(e memory.Eviction) {
		if e.Cause == memory.CauseRemoved {
			removed.Add(1)
		}
	}})
	region := cache.RegionToken("r")
	for i := range 10 {
		if err := c.Set(t.Context(), strconv.Itoa(i), []byte("v"), cache.EntryOptions{Tokens: []cache.Token{region}}); err != nil {
			t.Fatal(err)
		}
	}
	expire(t, c, region)
	for key := range c.All() {
		t.Errorf("All yields %s, which expired with its region", key)
	}
	if n := c.Len(); n != 10 {
		t.Errorf("got %d entries, want 10: expiring does not look for them", n)
	}
	for i := range 10 {
		if _, found, err := c.Get(t.Context(), strconv.Itoa(i)); found || err != nil {
			t.Errorf("got %v, %v, want a miss", found, err)
		}
	}
	if n := c.Len(); n != 0 {
		t.Errorf("got %d entries after each was read, want none", n)
	}
	if n := removed.Load(); n != 10 {
		t.Errorf("%d were reported as removed, want 10", n)
	}
	if s := c.Stats(); s.Expirations != 0 || s.Removes != 10 {
		t.Errorf("got %d expirations and %d removes, want 0 and 10: they did not leave because of their age", s.Expirations, s.Removes)
	}
}

// Sets, fills and expirations of one token at once: what was stored before an
// expiration returned is not there afterwards.
func TestExpiringMeetsStoring(t *testing.T) {
	c := open(t, nil)
	region := cache.RegionToken("r")
	var source, wrong atomic.Int64
	var wg sync.WaitGroup
	rounds := 20_000
	if testing.Short() {
		rounds = 2_000
	}
	stop := make(chan struct{})
	for i := range 4 {
		wg.Go(func() {
			key := strconv.Itoa(i % 2)
			for {
				select {
				case <-stop:
					return
				default:
				}
				since, err := c.Moment(t.Context())
				if err != nil {
					t.Error(err)
				}
				value := source.Load() // the load
				err = c.SetObject(t.Context(), key, value, cache.EntryOptions{Since: since, Tokens: []cache.Token{cache.KeyToken("r", key), region}})
				if err != nil && !errors.Is(err, cache.ErrRegionExpired) {
					t.Errorf("SetObject: %v", err)
				}
			}
		})
	}
	for i := range rounds {
		source.Add(1)
		expire(t, c, [...]cache.Token{region, cache.KeyToken("r", "0"), cache.GlobalToken()}[i%3])
		if v, found, err := c.GetObject(t.Context(), "0"); err != nil || found && v.(int64) < source.Load() {
			wrong.Add(1)
		}
	}
	close(stop)
	wg.Wait()
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d of %d reads after an expiration found what was loaded before it", n, rounds)
	}
}

func TestDefaultsHaveNoTokens(t *testing.T) {
	_, err := memory.New(&memory.Options{Defaults: cache.EntryOptions{Tokens: []cache.Token{cache.RegionToken("r")}}})
	if !errors.Is(err, cache.ErrInvalidConfig) {
		t.Errorf("got %v, want ErrInvalidConfig: loads would not know of them", err)
	}
}

func TestHitWithTokensDoesNotAllocate(t *testing.T) {
	c := open(t, nil)
	opts := cache.EntryOptions{Tokens: []cache.Token{cache.KeyToken("r", "1"), cache.RegionToken("s")}}
	if err := c.SetObject(t.Context(), "k", "v", opts); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() { _, _, _ = c.GetObject(ctx, "k") }); n != 0 {
		t.Errorf("a hit allocates %v times, want 0", n)
	}
}

func BenchmarkGetObjectHitTokens(b *testing.B) {
	for n := range 4 {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			c := open(b, nil)
			var tokens []cache.Token
			for i := range n {
				tokens = append(tokens, cache.RegionToken(strconv.Itoa(i)))
			}
			keys := make([]string, benchKeys)
			for i := range keys {
				keys[i] = benchKey(i)
				if err := c.SetObject(b.Context(), keys[i], &product{i}, cache.EntryOptions{TTL: time.Hour, Tokens: tokens}); err != nil {
					b.Fatal(err)
				}
			}
			ctx := b.Context()
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; b.Loop(); i++ {
				if _, found, _ := c.GetObject(ctx, keys[i%benchKeys]); !found {
					b.Fatal("miss")
				}
			}
		})
	}
}

// BenchmarkExpireTokens expires a region of a million entries (ten thousand with
// -short), each of which depends on a key of its own as well. After the first time
// they are dead, and still there.
func BenchmarkExpireTokens(b *testing.B) {
	many := 1_000_000
	if testing.Short() {
		many = 10_000
	}
	for _, entries := range []int{1, many} {
		b.Run(fmt.Sprint(entries), func(b *testing.B) {
			c := open(b, &memory.Options{MaxEntries: 2_000_000})
			for i := range entries {
				opts := cache.EntryOptions{TTL: time.Hour, Tokens: []cache.Token{cache.KeyToken("r", strconv.Itoa(i))}}
				if err := c.SetObject(b.Context(), strconv.Itoa(i), i, opts); err != nil {
					b.Fatal(err)
				}
			}
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if err := c.ExpireTokens(ctx, cache.RegionToken("r")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
