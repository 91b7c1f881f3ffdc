package memory_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

// Whatever takes an entry away, and whatever ended its life before: it leaves once,
// and for the first of the causes.
func TestAnEntryLeavesOnceThoughCausesMeet(t *testing.T) {
	const ttl = time.Millisecond
	region := cache.RegionToken("r")
	ends := []struct {
		name  string
		end   func(c *memory.Cache)
		cause memory.Cause // 0: that of what takes it away
	}{
		{"live", func(*memory.Cache) {}, 0},
		{"expired", func(*memory.Cache) { time.Sleep(ttl) }, memory.CauseExpired},
		{"region expired", func(c *memory.Cache) { expire(t, c, region) }, memory.CauseRemoved},
		{"both", func(c *memory.Cache) { time.Sleep(ttl); expire(t, c, region) }, memory.CauseRemoved},
	}
	takes := []struct {
		name  string
		take  func(c *memory.Cache)
		cause memory.Cause // of a live entry; 0: it stays
	}{
		{"Get", func(c *memory.Cache) { _, _, _ = c.Get(ctx, "k") }, 0},
		{"Set", func(c *memory.Cache) { set(t, c, "k", "2", cache.EntryOptions{}) }, memory.CauseReplaced},
		{"Remove", func(c *memory.Cache) { _ = c.Remove(ctx, "k") }, memory.CauseRemoved},
		{"Clear", func(c *memory.Cache) { _ = c.Clear(ctx) }, memory.CauseRemoved},
		{"room for others", func(c *memory.Cache) {
			set(t, c, "other", "v", cache.EntryOptions{})
			set(t, c, "another", "v", cache.EntryOptions{})
		}, memory.CauseCapacity},
		{"Resize", func(c *memory.Cache) { _ = c.Resize(0, 1) }, memory.CauseCapacity},
		{"a timer", func(*memory.Cache) { time.Sleep(3 * time.Second); synctest.Wait() }, memory.CauseExpired},
	}
	for _, end := range ends {
		for _, take := range takes {
			t.Run(end.name+", "+take.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					left := &evictions{}
					c := open(t, &memory.Options{MaxEntries: 1, OnEvict: left.add})
					set(t, c, "k", "1", cache.EntryOptions{TTL: ttl, Tokens: []cache.Token{region}})
					end.end(c)
					take.take(c)
					want := end.cause
					if want == 0 {
						want = take.cause
					}
					var got []memory.Cause
					for _, e := range left.list() {
						if e.Key == "k" {
							got = append(got, e.Cause)
						}
					}
					if want == 0 && len(got) > 0 || want != 0 && (len(got) != 1 || got[0] != want) {
						t.Errorf("got %v, want %v", got, want)
					}
				})
			})
		}
	}
}

// A lock does not keep what a region's expiration has ended: its memory is reclaimed at
// its deadline.
func TestADeadEntryIsReclaimedThoughItIsLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, nil)
		region := cache.RegionToken("r")
		for i := range 10 {
			key := strconv.Itoa(i)
			set(t, c, key, "v", cache.EntryOptions{TTL: time.Minute, Tokens: []cache.Token{region}})
			if _, _, err := c.GetAndLock(ctx, key, time.Hour, cache.LockOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		expire(t, c, region)
		time.Sleep(time.Minute + 3*time.Second)
		synctest.Wait()
		if n := c.Len(); n != 0 {
			t.Errorf("got %d entries after their deadline, want none", n)
		}
	})
}
