package near

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// intentEvents keeps what the Observer hears of intents.
type intentEvents struct {
	mu              sync.Mutex
	landed, dropped int
	late            time.Duration
}

func (o *intentEvents) Observe(_ context.Context, e cache.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch e.Kind {
	case cache.EventIntentLanded:
		o.landed += e.Count
		o.late = max(o.late, e.Duration)
	case cache.EventIntentDropped:
		o.dropped += e.Count
	}
}

// intentRig is a rig whose server can be out of order. The breaker never opens, for
// times that are the intents' own.
func intentRig(t *testing.T, o *intentEvents) *rig {
	opts := Options{Remote: distributed.Options{BreakerFailures: -1}}
	if o != nil {
		opts.Remote.Observer = o
	}
	return newRig(t, opts)
}

const outOfOrder = "LOADING the server is out of order"

func (r *rig) waiting() int { return r.near.NearStats().Intents }

func TestFailedInvalidationsHappenLater(t *testing.T) {
	for name, c := range map[string]struct {
		key        string
		invalidate func(r *rig) error
	}{
		"remove":      {"k", func(r *rig) error { return r.near.Remove(r.ctx, "k") }},
		"remove many": {"k", func(r *rig) error { return r.near.RemoveMany(r.ctx, []string{"a", "k", "b"}) }},
		"region":      {"k", func(r *rig) error { return r.near.ExpireTokens(r.ctx, cache.RegionToken("r")) }},
		"everything":  {"k", func(r *rig) error { return r.near.ExpireTokens(r.ctx, cache.GlobalToken()) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var events intentEvents
				r := intentRig(t, &events)
				r.hold(c.key, "old", inRegion("r"))
				put := r.fetch(c.key)

				r.mini.SetError(outOfOrder)
				if err := c.invalidate(r); !errors.Is(err, cache.ErrUnavailable) {
					t.Fatalf("got %v, want ErrUnavailable", err)
				}
				r.wantHeld(c.key, false)
				put()
				r.wantHeld(c.key, false) // read before the intent
				if r.waiting() == 0 {
					t.Error("nothing is to be retried")
				}
				time.Sleep(10 * time.Second)
				if r.waiting() == 0 {
					t.Error("it passes for done while the server is out of order")
				}

				// The server answers again, with what was before, until the next try.
				r.mini.SetError("")
				r.contact()
				r.wantGet(c.key, "old")
				r.wantHeld(c.key, false)
				time.Sleep(lastRetry)
				synctest.Wait()
				if n := r.waiting(); n != 0 {
					t.Errorf("still waiting: %d", n)
				}
				r.contact()
				r.wantMiss(c.key)
				if events.landed == 0 || events.dropped != 0 || events.late < 10*time.Second || events.late > 13*time.Second {
					t.Errorf("events: got %d landed, %v late, %d dropped", events.landed, events.late, events.dropped)
				}
				r.hold(c.key, "new", inRegion("r")) // as ever
			})
		})
	}
}

// Retries come ever less often, up to lastRetry, and those of several processes not
// together.
func TestRetriesBackOffAndSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var tries []time.Time
		r := newRig(t, Options{Remote: distributed.Options{BreakerFailures: -1, Observer: cache.ObserverFunc(func(_ context.Context, e cache.Event) {
			if e.Kind == cache.EventServerCall || e.Kind == cache.EventServerError {
				mu.Lock()
				defer mu.Unlock()
				tries = append(tries, time.Now())
			}
		})}})
		r.mini.SetError(outOfOrder)
		if err := r.near.Remove(r.ctx, "k"); err == nil {
			t.Fatal("Remove: got nil, want an error")
		}
		time.Sleep(20 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if len(tries) < 30 {
			t.Fatalf("got %d tries", len(tries))
		}
		pauses := make(map[time.Duration]bool)
		for n, want := 1, firstRetry; n < len(tries); n, want = n+1, min(2*want, lastRetry) {
			pause := tries[n].Sub(tries[n-1])
			if pause < want/2 || pause > want {
				t.Errorf("retry %d came after %v, want %v to %v", n, pause, want/2, want)
			}
			pauses[pause] = true
		}
		if len(pauses) < len(tries)/2 {
			t.Errorf("%d tries with only %d different pauses", len(tries), len(pauses))
		}
	})
}

func TestAFailedEndOfAWriteHappensLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := intentRig(t, nil)
		mark, err := r.near.BeginWrite(r.ctx, "k", time.Minute)
		r.must(err)
		r.mini.SetError(outOfOrder)
		if err := r.near.EndWrite(r.ctx, "k", mark); !errors.Is(err, cache.ErrUnavailable) {
			t.Fatalf("got %v, want ErrUnavailable", err)
		}
		r.mini.SetError("")
		time.Sleep(lastRetry)
		synctest.Wait()
		if n := r.waiting(); n != 0 {
			t.Errorf("still waiting: %d", n)
		}
		r.contact()
		r.hold("k", "v", cache.EntryOptions{}) // no mark refuses it
	})
}

func TestALaterChangeMakesAFailedRemovalVoid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := intentRig(t, nil)
		r.mini.SetError(outOfOrder)
		if err := r.near.Remove(r.ctx, "k"); err == nil {
			t.Fatal("Remove: got nil, want an error")
		}
		r.mini.SetError("")
		r.must(r.names.Set(r.ctx, "k", "new", cache.EntryOptions{}))
		if n := r.waiting(); n != 0 {
			t.Errorf("still waiting: %d", n)
		}
		time.Sleep(2 * lastRetry)
		r.contact()
		r.wantGet("k", "new")
	})
}

// What was refused for another reason is not tried again.
func TestRefusedInvalidationsAreNotRetried(t *testing.T) {
	r := intentRig(t, nil)
	ended, cancel := context.WithCancel(r.ctx)
	cancel()
	for name, err := range map[string]error{
		"key":     r.near.Remove(r.ctx, cache.ReservedPrefix+"k"),
		"context": r.near.Remove(ended, "k"),
		"token":   r.near.ExpireTokens(r.ctx, cache.RegionToken("")),
	} {
		if err == nil || r.waiting() != 0 {
			t.Errorf("%s: got %v and %d waiting, want an error and none", name, err, r.waiting())
		}
	}
}

func TestTooManyIntentsAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events intentEvents
		r := intentRig(t, &events)
		r.mini.SetError(outOfOrder)
		keys := make([]string, maxIntents+7)
		for i := range keys {
			keys[i] = fmt.Sprint("k", i)
		}
		if err := r.near.RemoveMany(r.ctx, keys); err == nil {
			t.Fatal("RemoveMany: got nil, want an error")
		}
		if err := r.near.RemoveMany(r.ctx, keys[:10]); err == nil { // known already
			t.Fatal("RemoveMany: got nil, want an error")
		}
		stats := r.near.NearStats()
		if stats.Intents != maxIntents || stats.IntentsDropped != 7 || events.dropped != 7 {
			t.Errorf("got %d waiting, %d dropped, %d told, want %d, 7, 7", stats.Intents, stats.IntentsDropped, events.dropped, maxIntents)
		}
		r.must(r.near.Close(r.ctx))
		if got := r.near.NearStats().IntentsDropped; got != uint64(len(keys)) || events.dropped != len(keys) {
			t.Errorf("after Close: got %d dropped, %d told, want %d", got, events.dropped, len(keys))
		}
	})
}

// A real server that does not answer, and does again.
func TestFailedRemovalReachesAFrozenServer(t *testing.T) {
	server := redistest.Server(t)
	node, err := New(clientOf(t, server.Addr()), &Options{Remote: distributed.Options{Prefix: prefix}})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close(context.Background())
	awaitServing(t, node)
	ctx := context.Background()
	if err := node.Set(ctx, "k", []byte("v"), cache.EntryOptions{}); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	err = node.Remove(ctx, "k")
	server.Cont()
	if !unreachable(err) {
		t.Fatalf("Remove: got %v, want ErrUnavailable or ErrOutcomeUnknown", err)
	}
	back := time.Now()
	eventually(t, "the removal", func() bool { return node.NearStats().Intents == 0 })
	if took := time.Since(back); took > 4*time.Second {
		t.Errorf("it took %v, want about the breaker's pause and the retry's", took)
	}
	if n, err := server.Client().Exists(ctx, prefix+"k").Result(); n != 0 || err != nil {
		t.Errorf("the entry: got %d, %v, want none", n, err)
	}
}

// A change that changed nothing leaves what it did not touch to be removed.
func TestAChangeOfNothingLeavesAFailedRemoval(t *testing.T) {
	for name, change := range map[string]func(r *rig) (bool, error){
		"another version": func(r *rig) (bool, error) { return r.near.RemoveVersion(r.ctx, "k", cache.Version{1}) },
		"no lock":         func(r *rig) (bool, error) { return r.near.RemoveLocked(r.ctx, "k", cache.LockHandle{1}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := intentRig(t, nil)
				r.write("k", "old", cache.EntryOptions{})
				r.mini.SetError(outOfOrder)
				if err := r.near.Remove(r.ctx, "k"); err == nil {
					t.Fatal("Remove: got nil, want an error")
				}
				r.mini.SetError("")
				if removed, err := change(r); removed {
					t.Fatalf("got %t, %v, want nothing to be removed", removed, err)
				}
				time.Sleep(2 * lastRetry)
				r.contact()
				r.wantMiss("k")
			})
		})
	}
}

// Retries take a while: what was superseded after they had begun is left alone.
func TestARetryLeavesWhatWasSupersededMeanwhile(t *testing.T) {
	r := intentRig(t, nil)
	r.write("k", "new", cache.EntryOptions{})
	gone := intent{key: "k"}
	if !r.near.intents.retry(map[intent]wanted{gone: {seq: 1}}) {
		t.Error("the server could not be reached")
	}
	r.wantGet("k", "new")
}

// What was demanded anew while a retry was under way is retried again.
func TestARetryDoesNotSettleWhatWasDemandedSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := intentRig(t, nil)
		r.mini.SetError(outOfOrder)
		for range 2 {
			if err := r.near.Remove(r.ctx, "k"); err == nil {
				t.Fatal("Remove: got nil, want an error")
			}
		}
		gone := intent{key: "k"}
		r.near.intents.landed([]intent{gone}, map[intent]wanted{gone: {seq: 1}})
		if n := r.waiting(); n != 1 {
			t.Errorf("waiting: got %d, want 1", n)
		}
	})
}
