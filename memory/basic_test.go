package memory_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
)

func TestEntryIsGoneAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, nil)
		if err := c.Set(ctx, "k", []byte("v"), cache.EntryOptions{TTL: time.Minute}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute - 1)
		if v, found, err := c.Get(ctx, "k"); string(v) != "v" || !found || err != nil {
			t.Fatalf("1 ns before: got %q, %v, %v", v, found, err)
		}
		time.Sleep(1)
		if _, found, err := c.Get(ctx, "k"); found || err != nil {
			t.Fatalf("at the deadline: got %v, %v", found, err)
		}
		if s := c.Stats(); s.Expirations != 1 || s.Entries != 0 || s.Bytes != 0 {
			t.Fatalf("got %+v", s)
		}
	})
}

func TestEveryMethodAfterCloseIsErrClosed(t *testing.T) {
	c := open(t, nil)
	if err := c.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Get(ctx, "k"); !errors.Is(err, cache.ErrClosed) {
		t.Fatalf("got %v", err)
	}
}
