package cachetest

import (
	"testing"

	"github.com/larder-go/larder/cache"
)

func TestCheckPassesTheModel(t *testing.T) {
	Check(t, Config{New: newModel})
}

func TestCheckPassesDecoratedModels(t *testing.T) {
	Check(t, Config{New: func(testing.TB) cache.Cache { return Prefixed(NewModel(cache.EntryOptions{}), testPrefix) }})
	Check(t, Config{New: func(testing.TB) cache.Cache { return newBroken(oddities) }})
	Check(t, Config{
		New:           func(testing.TB) cache.Cache { return fourMethods{NewModel(cache.EntryOptions{})} },
		CoarseSliding: true,
	})
}

// What Check is there to find by itself, without a case that was made for it.
func TestCheckCatchesSabotages(t *testing.T) {
	for _, name := range []string{
		"forgets lifetimes", "ends entries a millisecond late", "keeps the older TTL", "slides past the deadline",
		"slides every TTL", "does not slide by Get", "moves deadlines by Refresh", "resurrects by Refresh",
		"lets the TTL win", "forgets to remove", "wraps around", "gives a counter its lifetime anew",
		"counts on from digits", "fills without a lease", "releases whatever stands", "lets leases stand for good",
		"keeps leases at Set", "keeps leases at Remove", "stores a batch backwards", "keeps bytes and objects apart",
		"drops the older entry before it checks",
	} {
		t.Run(name, func(t *testing.T) {
			s := sabotageNamed(t, name)
			cfg := Config{New: func(testing.TB) cache.Cache { return newBroken(s.build) }}
			sequences := sequenceGenerator()
			for seed := 1; seed <= 1000; seed++ {
				if diff := compare(t, cfg.withDefaults(t), sequences.Example(seed)); diff != "" {
					t.Logf("caught by sequence %d: %s", seed, diff)
					return
				}
			}
			t.Error("not caught by 1000 sequences")
		})
	}
}
