package memory_test

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

// What begins to be loaded while Clear runs may have been read before it returned.
func TestALeaseThatIsGrantedDuringAClearIsVoided(t *testing.T) {
	const entries = 100_000
	c := open(t, &memory.Options{MaxEntries: entries})
	during := 0
	for round := 0; round < 20 && during < 3; round++ {
		for i := range entries / 4 {
			set(t, c, strconv.Itoa(i), "v", cache.EntryOptions{})
		}
		full := c.Len()
		var clearing sync.WaitGroup
		clearing.Go(func() {
			if err := c.Clear(ctx); err != nil {
				t.Error(err)
			}
		})
		for c.Len() == full {
			runtime.Gosched()
		}
		l := lease(t, c, "k", cache.LeaseGranted)
		running := c.Len() > 0
		clearing.Wait()
		if running {
			during++
			wantError(t, fill(c, "k", "stale", l), cache.ErrLeaseLost)
		}
		_ = c.Remove(ctx, "k")
	}
	if during == 0 {
		t.Skip("no lease was granted while Clear ran")
	}
}

// Weigh is asked before the object is stored: by then the cache is closed.
func TestNothingIsStoredThatWasWeighedBeforeClose(t *testing.T) {
	var c *memory.Cache
	c = open(t, &memory.Options{Weigh: func(string, any) int64 {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
		return 1
	}})
	wantError(t, c.SetObject(ctx, "k", 1, cache.EntryOptions{}), cache.ErrClosed)
	if n := c.Len(); n != 0 {
		t.Errorf("%d entries stay", n)
	}
}

// A limit that gets smaller after the object was weighed refuses it all the same.
func TestAResizeBeforeAnObjectIsPutRefusesIt(t *testing.T) {
	c := open(t, &memory.Options{MaxBytes: 1000})
	err := c.SetObjectWithin(ctx, "k", 1, cache.EntryOptions{Size: 900}, func(put func()) {
		if err := c.Resize(0, 500); err != nil {
			t.Error(err)
		}
		put()
	})
	wantError(t, err, cache.ErrValueTooLarge)
	if n := c.Len(); n != 0 {
		t.Errorf("%d entries stay", n)
	}
}
