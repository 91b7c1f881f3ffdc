package near

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
)

// states are those that an explanation gives, with their layers.
func states(t *testing.T, e cache.Explanation) (all []string) {
	t.Helper()
	for _, r := range e.Reasons {
		all = append(all, r.Layer+": "+r.State.String())
	}
	return all
}

func TestExplainNamesBothTiers(t *testing.T) {
	cut := errors.New("cut")
	for _, test := range []struct {
		name    string
		mode    Mode
		prepare func(*rig)
		served  bool
		want    []string
	}{
		{"nothing", Bounded, func(*rig) {}, false, []string{"redis: absent"}},
		{"on the server", Bounded, func(r *rig) { r.write("k", "v", cache.EntryOptions{}) }, true, []string{"redis: value"}},
		{"held", Bounded, func(r *rig) { r.hold("k", "v", cache.EntryOptions{}) }, true, []string{"near: value", "redis: value"}},
		{"held, to be validated", Validate, func(r *rig) { r.hold("k", "v", cache.EntryOptions{}) }, true, []string{"near: value", "redis: value"}},
		{"held, and removed", Bounded, func(r *rig) {
			r.hold("k", "v", cache.EntryOptions{})
			r.must(r.other.Remove(r.ctx, "k"))
		}, true, []string{"near: value", "redis: absent"}},
		{"another type held", Bounded, func(r *rig) {
			numbers := cache.NewTyped[int](r.near, nil)
			r.must(numbers.Set(r.ctx, "k", 7, cache.EntryOptions{}))
			_, _, err := numbers.Get(r.ctx, "k")
			r.must(err)
		}, false, []string{"near: other schema", "redis: other schema"}},
		{"switched off", Bounded, func(r *rig) {
			r.hold("k", "v", cache.EntryOptions{})
			c, _ := r.near.Coordinate("")
			c.SetEnabled(false)
		}, false, []string{"load: disabled", "near: value", "redis: value"}},
		{"lost", Bounded, func(r *rig) {
			r.hold("k", "v", cache.EntryOptions{})
			r.hand.Lost(cut)
		}, true, []string{"near: no contact", "redis: value"}},
		{"silent", Bounded, func(r *rig) {
			r.hold("k", "v", cache.EntryOptions{})
			time.Sleep(DefaultBound)
		}, true, []string{"near: no contact", "redis: value"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{Mode: test.mode})
				test.prepare(r)
				before := r.near.NearStats()
				e, err := r.names.Explain(r.ctx, "k")
				if err != nil {
					t.Fatal(err)
				}
				if got := states(t, e); !reflect.DeepEqual(got, test.want) || e.Served() != test.served {
					t.Errorf("Explain = %v, want %q and served %v", e, test.want, test.served)
				}
				if after := r.near.NearStats(); after != before {
					t.Errorf("explaining counted: %+v, then %+v", before, after)
				}
			})
		})
	}
}

func TestExplainSaysWhyThereIsNoContact(t *testing.T) {
	r := newRig(t, Options{})
	cut := errors.New("cut")
	r.hand.Lost(cut)
	e, err := r.near.Explain(r.ctx, "k")
	if err != nil || len(e.Reasons) == 0 || !errors.Is(e.Reasons[0].Err, cut) {
		t.Errorf("Explain = %v, %v, want the reason of the loss", e, err)
	}
}

// watch collects the events of some kinds.
type watch struct {
	mu     sync.Mutex
	events []cache.Event
}

func (w *watch) Observe(_ context.Context, e cache.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.Layer == layer {
		w.events = append(w.events, e)
	}
}

func (w *watch) kinds() (all []cache.EventKind) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		all = append(all, e.Kind)
	}
	return all
}

func TestObserverHearsOfContactAndHits(t *testing.T) {
	w := &watch{}
	r := newRigOf(t, Options{Remote: distributed.Options{Observer: w}}, &hand{})
	r.contact()
	r.hold("k", "v", cache.EntryOptions{})
	r.hand.Lost(errors.New("cut"))
	r.hand.Lost(errors.New("still"))
	r.contact()
	r.contact()
	want := []cache.EventKind{cache.EventNearContact, cache.EventHit, cache.EventNearLost, cache.EventNearContact}
	if got := w.kinds(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := r.near.Contact(); got.Lost != 1 || got.Err != nil {
		t.Errorf("Contact = %+v, want one loss, and no error now", got)
	}
}

func TestStatsCountBothTiers(t *testing.T) {
	r := newRig(t, Options{})
	r.wantMiss("k")
	r.hold("k", "v", cache.EntryOptions{}) // one read of the server, one hit here
	r.wantGet("k", "v")
	if got := r.near.Stats(); got.Hits != 3 || got.Misses != 1 || got.Entries != 1 || got.Bytes == 0 {
		t.Errorf("Stats = %+v, want 3 hits, 1 miss, 1 entry", got)
	}
}
