package near

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
)

func TestServesWhatItHolds(t *testing.T) {
	r := newRig(t, Options{})
	r.hold("k", "v", cache.EntryOptions{})
	r.client.FlushAll(r.ctx) // no news of it
	r.wantGet("k", "v")
	if got := r.near.NearStats(); got.Hits != 2 || got.Misses != 1 || got.Entries != 1 {
		t.Errorf("NearStats = %+v, want 2 hits, 1 miss, 1 entry", got)
	}
}

func TestHoldsNegativeEntries(t *testing.T) {
	r := newRig(t, Options{})
	names := cache.NewTyped[string](r.near, &cache.TypedOptions[string]{NegativeTTL: time.Minute})
	_, err := names.GetOrCreateExclusive(r.ctx, "k", func(context.Context, *cache.Entry) (string, error) {
		return "", cache.ErrNotFound
	})
	if !errors.Is(err, cache.ErrNotFound) {
		t.Fatalf("GetOrCreateExclusive = %v, want ErrNotFound", err)
	}
	for range 2 {
		if _, _, err := names.Get(r.ctx, "k"); !errors.Is(err, cache.ErrNotFound) {
			t.Errorf("Get = %v, want ErrNotFound", err)
		}
	}
	r.wantHeld("k", true)
}

func TestNewsDropWhatIsHeld(t *testing.T) {
	r := newRig(t, Options{})
	r.hold("k", "old", cache.EntryOptions{})
	r.hold("other", "v", cache.EntryOptions{})
	r.write("k", "new", cache.EntryOptions{})
	r.wantGet("k", "old") // nobody told
	r.changed("k")
	r.wantGet("k", "new")
	r.wantHeld("other", true)
}

func TestNewsRefuseWhatWasRead(t *testing.T) {
	r := newRig(t, Options{})
	r.write("k", "old", cache.EntryOptions{})
	put := r.fetch("k")
	r.write("k", "new", cache.EntryOptions{})
	r.changed("k")
	put()
	r.wantHeld("k", false)
	r.wantGet("k", "new")
	if got := r.near.NearStats().Refused; got != 1 {
		t.Errorf("%d puts refused, want 1", got)
	}
}

func TestFlushRefusesWhatWasRead(t *testing.T) {
	r := newRig(t, Options{})
	r.hold("k", "old", cache.EntryOptions{})
	r.write("other", "old", cache.EntryOptions{})
	put := r.fetch("other")
	r.hand.Flushed()
	put()
	r.wantHeld("k", false)
	r.wantHeld("other", false)
}

func TestBoundIsKeptWithoutNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Bound: time.Second})
		r.hold("k", "v", cache.EntryOptions{})
		asOf := time.Now()
		time.Sleep(400 * time.Millisecond)
		r.hand.Contact(asOf) // what was heard late proves nothing later
		time.Sleep(599 * time.Millisecond)
		r.wantHeld("k", true)
		time.Sleep(time.Millisecond)
		r.wantHeld("k", false)
		if got := r.near.Contact(); got.Serving || got.State != Connected || got.Lag != 400*time.Millisecond {
			t.Errorf("Contact = %+v, want connected and not serving", got)
		}
		r.contact()
		r.wantHeld("k", true)
	})
}

func TestLostContactDropsEverything(t *testing.T) {
	r := newRig(t, Options{})
	r.hold("k", "old", cache.EntryOptions{})
	before := r.fetch("k")
	r.hand.Lost(errors.New("cut"))
	if got := r.near.Contact(); got.Serving || got.State != Lost || got.Lost != 1 || got.Err == nil {
		t.Errorf("Contact = %+v, want lost once, with the reason", got)
	}
	r.wantHeld("k", false)
	during := r.fetch("k")
	during()
	r.wantGet("k", "old") // from the server
	r.write("k", "new", cache.EntryOptions{})
	r.contact()
	before()
	during()
	r.wantHeld("k", false)
	r.wantGet("k", "new")
	r.wantHeld("k", true)
}

// A Fetch that begins before contact is restored may have read what no news will
// tell of.
func TestRestoredContactRefusesWhatWasRead(t *testing.T) {
	r := newRigOf(t, Options{}, &hand{})
	r.write("k", "old", cache.EntryOptions{})
	put := r.fetch("k")
	r.write("k", "new", cache.EntryOptions{})
	r.contact()
	put()
	r.wantHeld("k", false)
	r.wantGet("k", "new")
}

func TestNothingIsServedBeforeContact(t *testing.T) {
	r := newRigOf(t, Options{}, &hand{})
	r.write("k", "v", cache.EntryOptions{})
	r.wantGet("k", "v")
	r.wantHeld("k", false)
	if got := r.near.Contact(); got.Serving || got.State != Connecting {
		t.Errorf("Contact = %+v, want connecting", got)
	}
}

func TestWithoutNewsTheBoundLimitsWhatIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigOf(t, Options{Bound: time.Second}, &hand{unsupported: true})
		if got := r.near.Contact(); !got.Serving || got.State != Unsupported {
			t.Errorf("Contact = %+v, want unsupported and serving", got)
		}
		r.write("k", "old", cache.EntryOptions{})
		put := r.fetch("k")
		read := time.Now()
		time.Sleep(300*time.Millisecond + 500*time.Microsecond) // what is left is no whole number
		put()
		r.write("k", "new", cache.EntryOptions{})
		time.Sleep(698*time.Millisecond + 500*time.Microsecond)
		r.wantHeld("k", true)
		time.Sleep(time.Millisecond)
		if age := time.Since(read); age != time.Second {
			t.Fatalf("a second is %v", age)
		}
		r.wantHeld("k", false)
		r.wantGet("k", "new")
	})
}

func TestWithoutNewsAckServesNothing(t *testing.T) {
	r := newRigOf(t, Options{Mode: Ack}, &hand{unsupported: true})
	r.write("k", "v", cache.EntryOptions{})
	r.wantGet("k", "v")
	r.wantHeld("k", false)
	if got := r.near.Contact(); got.Serving {
		t.Errorf("Contact = %+v, want not serving", got)
	}
}

func TestNothingOutlivesItsEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Bound: time.Hour})
		r.hold("k", "v", cache.EntryOptions{TTL: 10 * time.Second})
		time.Sleep(4 * time.Second)
		r.changed("k")
		put := r.fetch("k") // with 6 s left
		time.Sleep(time.Second)
		put()
		time.Sleep(5*time.Second - time.Millisecond)
		r.wantHeld("k", true)
		time.Sleep(time.Millisecond)
		r.wantHeld("k", false)
		r.wantMiss("k")
	})
}

// A process that is stopped just before the local tier looks at its clock holds
// nothing for longer.
func TestNothingIsHeldLongerForAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Bound: time.Hour})
		for key, end := range map[string]time.Duration{"a": 10 * time.Second, "b": 10*time.Second + 900*time.Microsecond, "c": 3 * time.Second} {
			its := &ticket{end: time.Now().Add(end)}
			opts := its.lasting()
			time.Sleep(4 * time.Second)
			err := r.near.local.SetObject(r.ctx, key, "v", opts)
			if want := time.Until(its.end) > 0; (err == nil) != want {
				t.Errorf("%s: with %v left: got %v", key, time.Until(its.end), err)
			}
			if err != nil {
				continue
			}
			time.Sleep(time.Until(its.end.Truncate(time.Millisecond)) - time.Millisecond)
			r.wantHeld(key, true)
			time.Sleep(time.Until(its.end))
			r.wantHeld(key, false)
		}
	})
}

// A foreign PEXPIRE is told like any change.
func TestShortenedLifeIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Bound: time.Hour})
		r.hold("k", "v", cache.EntryOptions{TTL: time.Minute})
		r.must(r.client.PExpire(r.ctx, prefix+"k", time.Second).Err())
		r.changed("k")
		r.wantGet("k", "v")
		r.wantHeld("k", true)
		time.Sleep(time.Second)
		r.wantHeld("k", false)
		r.wantMiss("k")
	})
}

func TestSlidingEntriesAreHeldForAPartOfTheirWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Bound: time.Hour})
		const window = 16 * time.Second
		r.hold("k", "v", cache.EntryOptions{SlidingExpiration: window})
		time.Sleep(time.Second)
		r.wantHeld("k", false)
		for range 40 { // reading keeps it alive
			time.Sleep(window * 14 / 16)
			r.wantGet("k", "v")
			r.wantGet("k", "v")
			synctest.Wait()
		}
		time.Sleep(window)
		r.wantMiss("k")
	})
}

func TestLockedValuesAreNotHeld(t *testing.T) {
	r := newRig(t, Options{})
	r.write("k", "v", cache.EntryOptions{})
	if _, _, err := r.other.GetAndLock(r.ctx, "k", time.Minute, cache.LockOptions{}); err != nil {
		t.Fatal(err)
	}
	r.wantGet("k", "v")
	r.wantHeld("k", false)
}

// Another type's view of the same bytes decides by them, not by what is held.
func TestAnotherTypeReadsTheServer(t *testing.T) {
	type Name string
	r := newRig(t, Options{})
	strings := cache.NewTyped[string](r.near, &cache.TypedOptions[string]{Schema: "name"})
	names := cache.NewTyped[Name](r.near, &cache.TypedOptions[Name]{Schema: "name"})
	r.must(strings.Set(r.ctx, "k", "v", cache.EntryOptions{}))
	for range 3 {
		if got, ok, err := strings.Get(r.ctx, "k"); got != "v" || !ok || err != nil {
			t.Errorf("Get as a string = %v, %v, %v", got, ok, err)
		}
		if got, ok, err := names.Get(r.ctx, "k"); got != "v" || !ok || err != nil {
			t.Errorf("Get as a Name = %v, %v, %v", got, ok, err)
		}
	}
	if got := r.near.Stats().Undecodable; got != 0 {
		t.Errorf("%d undecodable, want none", got)
	}
}

func TestLoadingReadsWhatIsHeld(t *testing.T) {
	r := newRig(t, Options{})
	loads := 0
	names := cache.NewLoading(r.near, func(_ context.Context, id int, _ *cache.Entry) (string, error) {
		loads++
		return "v", nil
	}, nil)
	for range 4 {
		if got, err := names.Get(r.ctx, 7); got != "v" || err != nil {
			t.Errorf("Get = %v, %v", got, err)
		}
	}
	if got := r.near.NearStats(); loads != 1 || got.Hits < 2 {
		t.Errorf("%d loads and %+v, want one load and hits", loads, got)
	}
}

func TestClosedCacheServesNothing(t *testing.T) {
	r := newRig(t, Options{})
	r.hold("k", "v", cache.EntryOptions{})
	r.must(r.near.Close(r.ctx))
	r.wantHeld("k", false)
	if _, _, err := r.names.Get(r.ctx, "k"); !errors.Is(err, cache.ErrClosed) {
		t.Errorf("Get = %v, want ErrClosed", err)
	}
	r.changed("k")
	r.hand.Lost(errors.New("late"))
	r.contact()
	r.wantHeld("k", false)
}
