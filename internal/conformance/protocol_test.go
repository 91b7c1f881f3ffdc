package conformance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/cachetest"
	. "github.com/larder-go/larder/internal/protocol"
)

// transitions are those of internal/protocol, on a key of the specification and
// on one of a cache at once. After each it looks at both keys by asking for a
// lease, and gives one that it got back: these are transitions as well.
type transitions struct {
	// Immutable.
	t   *testing.T
	rng *rand.Rand
	on  markable

	key      Key
	fresh    ID
	names    map[ID][16]byte // what the cache calls the ids that it has shown
	leases   []ID            // that were granted
	writers  [8]*writer      // nil: there is none of this index
	versions uint8
	trace    []string
}

// markable is what the transitions need.
type markable interface {
	cache.Cache
	cache.Leaser
	cache.WriteMarker
}

type writer struct {
	mark  cache.WriteMark
	epoch ID
	until time.Time
}

const (
	differentialKey   = "key"
	differentialSteps = 60
)

// same notes that the cache calls id so. It reports whether that can be.
func (d *transitions) same(id ID, name [16]byte) bool {
	known, ok := d.names[id]
	if ok {
		return known == name
	}
	for _, other := range d.names {
		if other == name {
			return false
		}
	}
	d.names[id] = name
	return name != [16]byte{}
}

// difference is where the two keys part, to be recovered.
type difference string

func (d *transitions) failf(format string, args ...any) {
	panic(difference(fmt.Sprintf("%s\nthe specification has %+v\nafter:\n  %s", fmt.Sprintf(format, args...), d.key, strings.Join(d.trace, "\n  "))))
}

func (d *transitions) note(format string, args ...any) {
	d.trace = append(d.trace, fmt.Sprintf(format, args...))
}

func (d *transitions) must(err error) {
	if err != nil {
		d.failf("got error %v", err)
	}
}

func (d *transitions) newID() ID { d.fresh++; return d.fresh }

// look compares the two keys.
func (d *transitions) look() {
	got, err := d.on.Lease(d.t.Context(), differentialKey, time.Hour)
	d.must(err)
	var want Reply
	d.key, want = Lease(d.key, 0, d.newID())
	states := map[Reply]cache.LeaseState{Granted: cache.LeaseGranted, Found: cache.LeaseFound, Busy: cache.LeaseBusy, BeingSaved: cache.LeaseMarked}
	if got.State != states[want] || want != Found && !d.same(d.key.Token, got.Lease) {
		d.failf("got lease reply %+v, want state %d and the name of id %d in %x", got, states[want], d.key.Token, d.names)
	}
	value, found, err := d.on.Get(d.t.Context(), differentialKey)
	d.must(err)
	if found != (want == Found) || found && value[0] != d.key.Value.Version {
		d.failf("got value %v, %v", value, found)
	}
	if want == Granted {
		d.leases = append(d.leases, d.key.Token)
		if d.rng.IntN(3) > 0 {
			d.release(d.key.Token)
		}
	}
}

func (d *transitions) release(token ID) {
	d.note("RELEASE of lease %d", token)
	d.must(d.on.Release(d.t.Context(), differentialKey, d.names[token]))
	d.key = Release(d.key, token)
}

func (d *transitions) fill(token ID) {
	d.versions++
	d.note("FILL with lease %d of version %d", token, d.versions)
	before := d.key
	d.key = Fill(d.key, token, Value{Version: d.versions})
	err := d.on.Set(d.t.Context(), differentialKey, []byte{d.versions}, cache.EntryOptions{TTL: time.Hour, Lease: d.names[token]})
	if stored := d.key != before; stored != (err == nil) || !stored && !errors.Is(err, cache.ErrLeaseLost) {
		d.failf("got error %v, want stored: %v", err, stored)
	}
}

func (d *transitions) begin(i int) {
	ttl := time.Duration(1+d.rng.IntN(5)) * time.Second
	d.note("BEGIN_WRITE of %d for %v", i, ttl)
	mark, err := d.on.BeginWrite(d.t.Context(), differentialKey, ttl)
	d.must(err)
	w := &writer{mark: mark, until: time.Now().Add(ttl)}
	d.key, w.epoch = BeginWrite(d.key, 1<<i, d.newID())
	if w.epoch == 0 && mark.Epoch != [16]byte{} || w.epoch != 0 && !d.same(w.epoch, mark.Epoch) {
		d.failf("got the epoch %x, want that of id %d", mark.Epoch, w.epoch)
	}
	d.writers[i] = w
}

// end ends a write, also one that has ended: its commands may arrive once more.
func (d *transitions) end(i int) {
	w := d.writers[i]
	var v Value
	if d.rng.IntN(2) == 0 {
		d.versions++
		v.Version = d.versions
	}
	d.note("END_WRITE of %d with version %d", i, v.Version)
	d.key = EndWrite(d.key, 1<<i, w.epoch, v, d.newID())
	if v.Version == 0 {
		d.must(d.on.EndWrite(d.t.Context(), differentialKey, w.mark))
	} else {
		err := d.on.Set(d.t.Context(), differentialKey, []byte{v.Version}, cache.EntryOptions{TTL: time.Hour, Mark: w.mark})
		if stored := d.key.Kind == Filled; stored != (err == nil) || !stored && !errors.Is(err, cache.ErrWriteOverlapped) {
			d.failf("got error %v, want stored: %v", err, stored)
		}
	}
	if d.rng.IntN(2) == 0 {
		d.writers[i] = nil // and never again
	}
}

// wait lets the time of some writers be over.
func (d *transitions) wait() {
	pause := time.Duration(1+d.rng.IntN(2)) * time.Second
	d.note("wait for %v", pause)
	time.Sleep(pause)
	for i, w := range d.writers {
		if d.key.Kind == Marked && d.key.Writers&(1<<i) != 0 && !time.Now().Before(w.until) {
			d.key = d.key.Expire(1 << i)
		}
	}
}

// step takes a random transition that is possible.
func (d *transitions) step() {
	i := d.rng.IntN(len(d.writers))
	switch n := d.rng.IntN(12); {
	case n == 0:
		d.note("INVALIDATE")
		d.must(d.on.Remove(d.t.Context(), differentialKey))
		d.key = Invalidate(d.key, d.newID())
	case n == 1:
		d.wait()
	case n < 4 && len(d.leases) > 0:
		d.fill(d.leases[d.rng.IntN(len(d.leases))])
	case n == 4 && len(d.leases) > 0:
		d.release(d.leases[d.rng.IntN(len(d.leases))])
	case d.writers[i] != nil:
		d.end(i)
	case n == 11 && d.key.Writers&(1<<i) == 0:
		d.begin(i)
	}
}

// compareToProtocol takes the transitions of this seed, and returns where the keys differ.
func compareToProtocol(t *testing.T, open func(testing.TB) markable, seed uint64, kinds map[Kind]int) (diff string) {
	synctest.Test(t, func(t *testing.T) {
		defer func() {
			if p := recover(); p != nil {
				diff = string(p.(difference))
			}
		}()
		d := &transitions{t: t, on: open(t), rng: rand.New(rand.NewPCG(seed, 0)), names: map[ID][16]byte{0: {}}}
		for range differentialSteps {
			d.step()
			kinds[d.key.Kind]++
			d.look()
		}
	})
	return diff
}

// Memory, and the scripts of distributed, do what the specification says,
// whatever the sequence of transitions.
func TestTransitionsAreThoseOfTheProtocol(t *testing.T) {
	runs := uint64(400)
	if testing.Short() {
		runs = 100
	}
	for name, cfg := range map[string]cachetest.Config{
		"memory": {New: newMemory(nil)}, "miniredis": onMiniredis(),
	} {
		t.Run(name, func(t *testing.T) {
			kinds := map[Kind]int{}
			for seed := range runs {
				if diff := compareToProtocol(t, func(tb testing.TB) markable { return cfg.New(tb).(markable) }, seed, kinds); diff != "" {
					t.Fatalf("seed %d: %s", seed, diff)
				}
			}
			t.Logf("states seen: %v", kinds)
			for _, k := range []Kind{Absent, Filled, Leased, Marked} {
				if kinds[k] == 0 {
					t.Errorf("no sequence came to a key of kind %d", k)
				}
			}
		})
	}
}

// Caches that break one rule of the protocol each.
type (
	removesMarks  struct{ markable } // INVALIDATE deletes the mark
	keepsOnRemove struct{ markable } // INVALIDATE leaves the mark as it is
	storesAlways  struct{ markable } // END_WRITE stores whatever the epoch
	neverStores   struct{ markable } // END_WRITE never stores
	endsMarked    struct{ markable } // END_WRITE leaves what took the mark's place
	leasesMarked  struct{ markable } // LEASE takes a marked key
	marksForGood  struct{ markable } // a writer's time is never over
)

func (c removesMarks) Remove(ctx context.Context, key string) error {
	return errors.Join(c.Set(ctx, key, []byte{0}, cache.EntryOptions{}), c.markable.Remove(ctx, key))
}

func (c keepsOnRemove) Remove(ctx context.Context, key string) error {
	if state(ctx, c.markable, key) == cache.LeaseMarked {
		return nil
	}
	return c.markable.Remove(ctx, key)
}

func (c storesAlways) Set(ctx context.Context, key string, value []byte, opts cache.EntryOptions) error {
	opts.Mark = cache.WriteMark{}
	return c.markable.Set(ctx, key, value, opts)
}

func (c neverStores) Set(ctx context.Context, key string, value []byte, opts cache.EntryOptions) error {
	if opts.Mark != (cache.WriteMark{}) {
		return errors.Join(c.EndWrite(ctx, key, opts.Mark), cache.ErrWriteOverlapped)
	}
	return c.markable.Set(ctx, key, value, opts)
}

func (c endsMarked) EndWrite(ctx context.Context, key string, mark cache.WriteMark) error {
	if state(ctx, c.markable, key) != cache.LeaseMarked {
		return nil
	}
	return c.markable.EndWrite(ctx, key, mark)
}

func (c leasesMarked) Lease(ctx context.Context, key string, ttl time.Duration) (cache.LeaseReply, error) {
	reply, err := c.markable.Lease(ctx, key, ttl)
	if reply.State == cache.LeaseMarked {
		reply.State = cache.LeaseGranted
	}
	return reply, err
}

func (c marksForGood) BeginWrite(ctx context.Context, key string, _ time.Duration) (cache.WriteMark, error) {
	return c.markable.BeginWrite(ctx, key, 24*time.Hour)
}

// state is that of a key; a lease that this took is given back.
func state(ctx context.Context, c markable, key string) cache.LeaseState {
	reply, err := c.Lease(ctx, key, time.Hour)
	if err == nil && reply.State == cache.LeaseGranted {
		_ = c.Release(ctx, key, reply.Lease) // else it runs out
	}
	return reply.State
}

func TestBrokenTransitionsAreCaught(t *testing.T) {
	for name, breaks := range map[string]func(markable) markable{
		"removes marks":                   func(c markable) markable { return removesMarks{c} },
		"keeps the epoch at Remove":       func(c markable) markable { return keepsOnRemove{c} },
		"stores whatever the epoch":       func(c markable) markable { return storesAlways{c} },
		"never stores":                    func(c markable) markable { return neverStores{c} },
		"leaves what took a mark's place": func(c markable) markable { return endsMarked{c} },
		"leases what is marked":           func(c markable) markable { return leasesMarked{c} },
		"marks for good":                  func(c markable) markable { return marksForGood{c} },
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(50) {
				diff := compareToProtocol(t, func(tb testing.TB) markable { return breaks(newMemory(nil)(tb).(markable)) }, seed, map[Kind]int{})
				if diff != "" {
					return
				}
			}
			t.Error("not caught by 50 sequences")
		})
	}
}
