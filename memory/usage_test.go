package memory_test

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

func usage(c *memory.Cache) (weights map[string]int64, hits map[string]uint64) {
	weights, hits = map[string]int64{}, map[string]uint64{}
	c.EachUsage(func(key string, weight int64, n uint64) bool {
		weights[key], hits[key] = weight, n
		return true
	})
	return weights, hits
}

func TestEachUsage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := memory.New(&memory.Options{RankReads: true})
		if err != nil {
			t.Fatal(err)
		}
		for key, opts := range map[string]cache.EntryOptions{
			"hot": {Size: 7}, "cold": {Size: 8}, "short": {TTL: time.Second}, "region": {Tokens: []cache.Token{cache.RegionToken("r")}},
		} {
			if err := c.SetObject(t.Context(), key, 1, opts); err != nil {
				t.Fatal(err)
			}
		}
		const reads = 32000
		for range reads {
			if _, _, err := c.GetObject(t.Context(), "hot"); err != nil {
				t.Fatal(err)
			}
		}
		if weights, _ := usage(c); len(weights) != 4 || weights["hot"] != 7 || weights["cold"] != 8 {
			t.Errorf("got the weights %v of 4 entries, want 7 and 8 of the first", weights)
		}
		time.Sleep(time.Second)
		if err := c.ExpireTokens(t.Context(), cache.RegionToken("r")); err != nil {
			t.Fatal(err)
		}
		weights, hits := usage(c)
		if len(weights) != 2 {
			t.Errorf("got %v, want the two that are live", weights)
		}
		if n := hits["hot"]; n < reads*8/10 || n > reads*12/10 || hits["cold"] != 0 {
			t.Errorf("got %v, want about %d and none", hits, reads)
		}
		visited := 0
		c.EachUsage(func(string, int64, uint64) bool { visited++; return false })
		if visited != 1 {
			t.Errorf("%d entries after the first was enough", visited)
		}
	})
}

// However many keys are read, those that are read most stand out.
func TestRanksAreBounded(t *testing.T) {
	c, err := memory.New(&memory.Options{RankReads: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20000 {
		key := fmt.Sprint("key ", i)
		if err := c.SetObject(t.Context(), key, 1, cache.EntryOptions{}); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			continue
		}
		for range 20 {
			_, _, _ = c.GetObject(t.Context(), key)
			_, _, _ = c.GetObject(t.Context(), "key 0")
		}
	}
	_, hits := usage(c)
	ranked := 0
	for key, n := range hits {
		if n > 0 {
			ranked++
		}
		if key != "key 0" && n >= hits["key 0"] {
			t.Errorf("a key that was read 20 times counts %d, the one that was read all the time %d", n, hits["key 0"])
		}
	}
	if ranked > 4096 || ranked < 1000 {
		t.Errorf("%d keys are ranked, want 4096 at most", ranked)
	}
}

func TestUsageWithoutRanks(t *testing.T) {
	c, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetObject(t.Context(), "k", 1, cache.EntryOptions{}); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		_, _, _ = c.GetObject(t.Context(), "k")
	}
	if _, hits := usage(c); hits["k"] != 0 || len(hits) != 1 {
		t.Errorf("got %v, want k without a count", hits)
	}
}

// EntryOverhead is what an entry takes, on 64 bits: it is measured with 100,000
// entries, of a key and an object that fill their size classes.
func TestEntryOverheadIsWhatAnEntryTakes(t *testing.T) {
	if strconv.IntSize != 64 {
		t.Skip("sizes are those of 64 bits")
	}
	const entries, size = 100_000, 64
	c, err := memory.New(&memory.Options{MaxEntries: entries})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	opts := cache.EntryOptions{TTL: time.Hour, Tokens: []cache.Token{cache.RegionToken("products")}}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range entries {
		if err := c.SetObject(t.Context(), fmt.Sprintf("product-%08d", i), new([size]byte), opts); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(c)
	took := (float64(after.HeapAlloc)-float64(before.HeapAlloc))/entries - size - float64(len("product-00000000"))
	if took < 0.85*memory.EntryOverhead || took > 1.1*memory.EntryOverhead {
		t.Errorf("an entry takes %.0f bytes besides its key and value, EntryOverhead is %d", took, memory.EntryOverhead)
	}
}
