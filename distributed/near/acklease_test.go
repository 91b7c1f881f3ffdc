package near

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
)

// leaseRig is a rig in mode Ack in a bubble, with a bound, and so a lease, of 800 ms.
func leaseRig(t *testing.T, test func(r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigOf(t, Options{Mode: Ack, Bound: 800 * time.Millisecond, Remote: distributed.Options{BreakerFailures: -1}}, &hand{})
		test(r)
	})
}

// heard gives contact as of so long ago, and waits for what follows from it.
func (r *rig) heard(ago time.Duration) {
	r.hand.Contact(time.Now().Add(-ago))
	synctest.Wait()
}

// pass lets time go by.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *rig) wantServing(when string, want bool) {
	r.tb.Helper()
	if got := r.near.until() > int64(r.near.local.Since(time.Now())); got != want {
		r.tb.Errorf("%s: serving: got %t, want %t", when, got, want)
	}
}

func (r *rig) members() int {
	fields, err := r.mini.HKeys(r.near.tier.Channel(registryName))
	if err != nil {
		return 0
	}
	return len(fields) - 1 // without "born"
}

// A lease may be used when everything from before the renewal's answer was heard of.
func TestALeaseIsUsedWithContactAfterIt(t *testing.T) {
	leaseRig(t, func(r *rig) {
		pass(time.Millisecond)
		r.wantServing("without contact", false)
		r.heard(0)
		r.wantServing("when the lease has just been asked for", false)
		if n := r.members(); n != 1 {
			t.Errorf("members: got %d, want 1", n)
		}
		pass(time.Millisecond)
		r.heard(2 * time.Millisecond)
		r.wantServing("with contact from before the answer", false)
		r.heard(0)
		r.wantServing("with contact after the answer", true)
	})
}

// The lease counts from before its renewal was sent, and less a margin.
func TestALeaseEndsByItself(t *testing.T) {
	leaseRig(t, func(r *rig) {
		r.heard(0)
		r.heard(0) // served until 750 ms from now
		r.mini.SetError(outOfOrder)
		for range 7 {
			pass(100 * time.Millisecond)
			r.heard(0)
			r.wantServing("within the lease", true)
		}
		pass(49 * time.Millisecond)
		r.heard(0)
		r.wantServing("1 ms before its end", true)
		pass(time.Millisecond)
		r.heard(0)
		r.wantServing("at its end", false)
		r.mini.SetError("")
		r.heard(0)
		r.heard(0)
		r.wantServing("after another renewal", true)
	})
}

func TestALeaseIsRenewedInTime(t *testing.T) {
	leaseRig(t, func(r *rig) {
		r.heard(0)
		r.heard(0)
		flushes := r.near.NearStats().Flushes
		for range 100 {
			pass(100 * time.Millisecond)
			r.heard(100 * time.Millisecond)
			r.wantServing("with contact", true)
		}
		if n := r.near.NearStats().Flushes - flushes; n != 0 {
			t.Errorf("flushes: got %d, want none while the lease stands", n)
		}
	})
}

// Who was not registered has not been waited for: what it holds is not to be trusted.
func TestALeaseAnewForgetsEverything(t *testing.T) {
	for name, lose := range map[string]func(r *rig){
		"lapsed": func(r *rig) {
			r.mini.SetError(outOfOrder)
			for range 9 {
				pass(100 * time.Millisecond)
				r.heard(0)
			}
			r.mini.SetError("")
		},
		"lost on the server": func(r *rig) {
			r.mini.Del(r.near.tier.Channel(registryName))
			pass(200 * time.Millisecond) // until the next renewal is due
		},
	} {
		t.Run(name, func(t *testing.T) {
			leaseRig(t, func(r *rig) {
				r.heard(0)
				r.heard(0)
				r.hold("k", "v", cache.EntryOptions{})
				lose(r)
				flushes := r.near.NearStats().Flushes
				r.heard(0)
				r.heard(0)
				r.wantServing("after another renewal", true)
				r.wantHeld("k", false)
				if n := r.near.NearStats().Flushes - flushes; n != 1 {
					t.Errorf("flushes: got %d, want 1", n)
				}
			})
		})
	}
}

// Without contact nothing is served, and nobody has to wait for this node.
func TestLostContactEndsTheLease(t *testing.T) {
	leaseRig(t, func(r *rig) {
		r.heard(0)
		r.heard(0)
		r.wantServing("before", true)
		before := r.member()
		r.hand.Lost(errForTest)
		r.wantServing("after", false)
		synctest.Wait()
		if n := r.members(); n != 0 {
			t.Errorf("members: got %d, want 0", n)
		}
		r.heard(0)
		r.wantServing("without a lease of its own", false)
		r.heard(0)
		r.wantServing("with another", true)
		if n := r.members(); n != 1 {
			t.Errorf("members: got %d, want 1", n)
		}
		if r.member() == before {
			t.Error("the lease is under the name of the one before: a late farewell would end it")
		}
	})
}

// member returns the only one.
func (r *rig) member() string {
	r.tb.Helper()
	fields, err := r.mini.HKeys(r.near.tier.Channel(registryName))
	r.must(err)
	fields = slices.DeleteFunc(fields, func(f string) bool { return f == "born" })
	if len(fields) != 1 {
		r.tb.Fatalf("members: got %d, want 1", len(fields))
	}
	return fields[0]
}

var errForTest = cache.ErrUnavailable
