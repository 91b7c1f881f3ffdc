package memory

import (
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
)

// Marks push leases out, which cost fills only, but neither each other nor locks.
func TestMarksAreBounded(t *testing.T) {
	l := newLeases()
	for i := range leaseShards * leasesInShard * 5 / 4 {
		l.grant(strconv.Itoa(i), 0, 100)
	}
	marked, writer := 0, [16]byte{1}
	for i := range leaseShards * leasesInShard * 3 / 4 {
		if _, err := l.begin("mark "+strconv.Itoa(i), writer, 0, 200); err == nil {
			marked++
		} else if !errors.Is(err, cache.ErrUnavailable) {
			t.Fatalf("got %v, want ErrUnavailable", err)
		}
	}
	if marked != leaseShards*keptInShard || l.held() != leaseShards*leasesInShard {
		t.Errorf("%d marks, %d records, want %d, %d", marked, l.held(), leaseShards*keptInShard, leaseShards*leasesInShard)
	}
	if l.lock("one more", cache.LockHandle{1}, 0, 200) {
		t.Error("a lock took the place of a mark")
	}
	for i := range leaseShards * leasesInShard * 5 / 4 {
		l.grant("new "+strconv.Itoa(i), 100, 200)
	}
	stand := 0
	for i := range leaseShards * leasesInShard * 3 / 4 {
		if _, stands := l.markAt("mark "+strconv.Itoa(i), 199); stands {
			stand++
		}
	}
	if stand != marked {
		t.Errorf("%d of %d marks stand, want all", stand, marked)
	}
	if _, err := l.begin("another", writer, 200, 300); err != nil {
		t.Errorf("no room after all marks have run out: %v", err)
	}
}

// A writer more in a mark takes no room.
func TestFullTableTakesWritersOfItsMarks(t *testing.T) {
	l := newLeases()
	l.begin("k", [16]byte{1}, 0, 100)
	for i := range leaseShards * leasesInShard * 3 / 4 {
		l.begin(strconv.Itoa(i), [16]byte{1}, 0, 100)
	}
	if _, err := l.begin("k", [16]byte{2}, 0, 100); err != nil {
		t.Errorf("got %v for a second writer, want none", err)
	}
}

func TestMarksAreSwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(t.Context())
		for i := range 100 {
			if _, err := c.BeginWrite(t.Context(), strconv.Itoa(i), time.Duration(1+i)*time.Second); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(50*time.Second + 2*time.Minute)
		synctest.Wait()
		if n := c.leases.held(); n != 0 {
			t.Errorf("%d marks are held after all have run out, want none", n)
		}
	})
}

// Close leaves nothing, and no mark is set in a closed cache.
func TestCloseDropsMarks(t *testing.T) {
	c, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.BeginWrite(t.Context(), "k", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := c.leases.held(); n != 0 {
		t.Errorf("%d marks are held, want none", n)
	}
	if err := c.EndWrite(t.Context(), "k", m); err != cache.ErrClosed {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

// A marked Set that cannot be stored ends its write all the same.
func TestMarkedSetWithoutRoomEndsItsWrite(t *testing.T) {
	c, err := New(&Options{MaxBytes: 10 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	pinned := cache.EntryOptions{Priority: cache.PriorityPinned}
	if err := c.Set(t.Context(), "full", make([]byte, 9<<10), pinned); err != nil {
		t.Fatal(err)
	}
	if pinned.Mark, err = c.BeginWrite(t.Context(), "k", time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := c.Set(t.Context(), "k", make([]byte, 5<<10), pinned); !errors.Is(err, cache.ErrValueTooLarge) {
		t.Errorf("got %v, want ErrValueTooLarge", err)
	}
	if n := c.leases.held(); n != 0 {
		t.Errorf("the key is still marked")
	}
}
