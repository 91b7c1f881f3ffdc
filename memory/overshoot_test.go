package memory_test

import (
	"strconv"
	"sync"
	"testing"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

// The engine by itself lets a limit of 100 entries grow to several hundred
// while many store.
func TestLimitIsExceededByCallsInProgressOnly(t *testing.T) {
	const limit, writers, perWriter = 100, 8, 5000
	c := open(t, &memory.Options{MaxEntries: limit})
	most := make([]int, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range perWriter {
				if err := c.SetObject(ctx, strconv.Itoa(w*perWriter+i), i, cache.EntryOptions{}); err != nil {
					t.Error(err)
				}
				most[w] = max(most[w], c.Len())
			}
		})
	}
	wg.Wait()
	for _, n := range most {
		if n > limit+writers {
			t.Errorf("held %d entries, want at most %d and one per writer", n, limit)
		}
	}
	t.Log(most, c.Len(), c.Stats())
}
