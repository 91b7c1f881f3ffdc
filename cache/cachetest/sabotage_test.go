package cachetest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
)

// sabotage is the model with one fault, and the cases that must catch it.
type sabotage struct {
	name  string
	build func(m *Model, b *broken)
	cases []string
}

func TestEachSabotageIsCaughtByItsCases(t *testing.T) {
	for _, s := range sabotages() {
		t.Run(s.name, func(t *testing.T) {
			for _, tc := range cases() {
				if slices.Contains(s.cases, tc.name) {
					mustCatch(t, tc, s)
				}
			}
		})
	}
}

func mustCatch(t *testing.T, tc testCase, s sabotage) {
	t.Helper()
	cfg := Config{New: func(testing.TB) cache.Cache { return newBroken(s.build) }}
	if tc.applies != nil {
		cfg.MaxValueBytes = 1 << 16
	}
	var r recorder
	if skip := tc.execute(t, cfg.withDefaults(t), &r); skip != "" {
		t.Fatalf("%s was skipped: %s", tc.name, skip)
	}
	if len(r.failures) == 0 {
		t.Errorf("%s does not catch it", tc.name)
	}
	for _, f := range r.failures {
		if !strings.Contains(f, "rule: "+tc.rule) {
			t.Errorf("a failure does not say the rule: %s", f)
		}
	}
}

// Every case must be able to fail: each is there for a sabotage.
func TestEveryCaseCatchesASabotage(t *testing.T) {
	caught := make(map[string]bool)
	for _, s := range sabotages() {
		for _, name := range s.cases {
			caught[name] = true
		}
	}
	for _, tc := range cases() {
		if !caught[tc.name] {
			t.Errorf("no sabotage is there for case %s to catch", tc.name)
		}
		delete(caught, tc.name)
	}
	for name := range caught {
		t.Errorf("a sabotage names a case that is not: %s", name)
	}
}

func TestCasesAreNamedOnceAndSayTheirRule(t *testing.T) {
	seen := make(map[string]bool)
	for _, tc := range cases() {
		if seen[tc.name] || tc.rule == "" || tc.run == nil || !strings.Contains(tc.name, "/") {
			t.Errorf("case %q is named twice, or incomplete", tc.name)
		}
		seen[tc.name] = true
	}
}

// In real time the suite is coarse, not blind.
func TestRealTimeCatchesTooAndReportsOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("sleeps for real")
	}
	forgets := sabotageNamed(t, "forgets lifetimes")
	for _, name := range []string{"Expiry/TTL", "Sliding/NeverPastTTL"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it mostly waits
			var r recorder
			caseNamed(t, name).execute(t, realTime(func() cache.Cache { return newBroken(forgets.build) }).withDefaults(t), &r)
			if len(r.failures) != 1 {
				t.Errorf("failures of a cache that forgets lifetimes: %q, want one", r.failures)
			}
		})
	}
}

func TestRealTimeGivesSlowMachinesAnotherChance(t *testing.T) {
	if testing.Short() {
		t.Skip("sleeps for real")
	}
	for _, tt := range []struct {
		caseName string
		want     int // caches made
		why      string
	}{
		{"Expiry/TTL", 2, "it waits, and succeeds with the second cache, or a later one if this machine is slow"},
		{"Remove/Removes", 1, "it does not wait, so there is no excuse"},
	} {
		made := 0
		cfg := realTime(func() cache.Cache {
			if made++; made == 1 {
				return newBroken(func(m *Model, b *broken) {
					b.set = func(context.Context, string, []byte, cache.EntryOptions) error { return nil }
				})
			}
			return NewModel(cache.EntryOptions{})
		})
		var r recorder
		caseNamed(t, tt.caseName).execute(t, cfg.withDefaults(t), &r)
		if made < tt.want || tt.want == 1 && made > 1 || (len(r.failures) == 0) != (tt.want > 1) {
			t.Errorf("%s: made %d caches, failures %q; %s", tt.caseName, made, r.failures, tt.why)
		}
	}
}

func realTime(open func() cache.Cache) Config {
	return Config{New: func(testing.TB) cache.Cache { return open() }, RealTime: &RealTime{Unit: 20 * time.Millisecond}}
}

func caseNamed(t *testing.T, name string) testCase {
	t.Helper()
	all := cases()
	i := slices.IndexFunc(all, func(tc testCase) bool { return tc.name == name })
	if i < 0 {
		t.Fatalf("there is no case %s", name)
	}
	return all[i]
}

func sabotageNamed(t *testing.T, name string) sabotage {
	t.Helper()
	all := sabotages()
	i := slices.IndexFunc(all, func(s sabotage) bool { return s.name == name })
	if i < 0 {
		t.Fatalf("there is no sabotage %q", name)
	}
	return all[i]
}

// broken is the model, with each call replaceable.
type broken struct {
	get       func(ctx context.Context, key string) ([]byte, bool, error)
	set       func(ctx context.Context, key string, value []byte, opts cache.EntryOptions) error
	refresh   func(ctx context.Context, key string) error
	remove    func(ctx context.Context, key string) error
	getMany   func(ctx context.Context, keys []string) ([]cache.Result, error)
	setMany   func(ctx context.Context, items []cache.Item) error
	removeMan func(ctx context.Context, keys []string) error
	increment func(ctx context.Context, key string, delta int64, opts cache.EntryOptions) (int64, error)
	count     func(ctx context.Context, key string) (int64, bool, error)
	getObject func(ctx context.Context, key string) (any, bool, error)
	setObject func(ctx context.Context, key string, value any, opts cache.EntryOptions) error
	lease     func(ctx context.Context, key string, ttl time.Duration) (cache.LeaseReply, error)
	leaseMany func(ctx context.Context, keys []string, ttl time.Duration) ([]cache.LeaseReply, error)
	extend    func(ctx context.Context, key string, lease cache.Lease, ttl time.Duration) (bool, error)
	release   func(ctx context.Context, key string, lease cache.Lease) error
	appendTo  func(ctx context.Context, dst []byte, key string) ([]byte, bool, error)
	clear     func(ctx context.Context) error
	coord     func(key string) (*cache.Coordinator, string)
	stats     func() cache.Stats
	close     func(ctx context.Context) error

	brokenVersions
	brokenLocks
	brokenMarks
	brokenExplain
	brokenObjects
	brokenRegions
}

func newBroken(build func(*Model, *broken)) *broken {
	m := NewModel(cache.EntryOptions{})
	b := &broken{
		get: m.Get, set: m.Set, refresh: m.Refresh, remove: m.Remove,
		getMany: m.GetMany, setMany: m.SetMany, removeMan: m.RemoveMany,
		increment: m.Increment, count: m.Count, getObject: m.GetObject, setObject: m.SetObject,
		lease: m.Lease, leaseMany: m.LeaseMany, extend: m.Extend, release: m.Release,
		appendTo: m.AppendTo, clear: m.Clear, coord: m.Coordinate, stats: m.Stats, close: m.Close,
		brokenVersions: versionsOf(m), brokenLocks: locksOf(m), brokenObjects: objectsOf(m), brokenExplain: brokenExplain{m.ExplainAs},
		brokenMarks: brokenMarks{beginWrite: m.BeginWrite, endWrite: m.EndWrite}, brokenRegions: regionsOf(m),
	}
	build(m, b)
	return b
}

func (b *broken) Get(ctx context.Context, key string) ([]byte, bool, error) { return b.get(ctx, key) }

func (b *broken) Set(ctx context.Context, key string, value []byte, opts cache.EntryOptions) error {
	return b.set(ctx, key, value, opts)
}

func (b *broken) Refresh(ctx context.Context, key string) error { return b.refresh(ctx, key) }
func (b *broken) Remove(ctx context.Context, key string) error  { return b.remove(ctx, key) }

func (b *broken) GetMany(ctx context.Context, keys []string) ([]cache.Result, error) {
	return b.getMany(ctx, keys)
}

func (b *broken) SetMany(ctx context.Context, items []cache.Item) error {
	return b.setMany(ctx, items)
}

func (b *broken) RemoveMany(ctx context.Context, keys []string) error {
	return b.removeMan(ctx, keys)
}

func (b *broken) Increment(ctx context.Context, key string, delta int64, opts cache.EntryOptions) (int64, error) {
	return b.increment(ctx, key, delta, opts)
}

func (b *broken) Count(ctx context.Context, key string) (int64, bool, error) {
	return b.count(ctx, key)
}

func (b *broken) GetObject(ctx context.Context, key string) (any, bool, error) {
	return b.getObject(ctx, key)
}

func (b *broken) SetObject(ctx context.Context, key string, value any, opts cache.EntryOptions) error {
	return b.setObject(ctx, key, value, opts)
}

func (b *broken) Lease(ctx context.Context, key string, ttl time.Duration) (cache.LeaseReply, error) {
	return b.lease(ctx, key, ttl)
}

func (b *broken) LeaseMany(ctx context.Context, keys []string, ttl time.Duration) ([]cache.LeaseReply, error) {
	return b.leaseMany(ctx, keys, ttl)
}

func (b *broken) Extend(ctx context.Context, key string, lease cache.Lease, ttl time.Duration) (bool, error) {
	return b.extend(ctx, key, lease, ttl)
}

func (b *broken) Release(ctx context.Context, key string, lease cache.Lease) error {
	return b.release(ctx, key, lease)
}

func (b *broken) AppendTo(ctx context.Context, dst []byte, key string) ([]byte, bool, error) {
	return b.appendTo(ctx, dst, key)
}

func (b *broken) Clear(ctx context.Context) error                    { return b.clear(ctx) }
func (b *broken) Coordinate(key string) (*cache.Coordinator, string) { return b.coord(key) }
func (b *broken) Stats() cache.Stats                                 { return b.stats() }
func (b *broken) Close(ctx context.Context) error                    { return b.close(ctx) }
