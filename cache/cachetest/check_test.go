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
		"sets whatever the version", "drops the lock at a mismatch", "adds over what is there", "removes whatever the version",
		"counts versions of each entry", "locks nothing", "steals by force", "locks too briefly", "takes any handle",
		"never unlocks", "keeps the lock at PutAndUnlock", "resets no TTL", "unlocks by ResetTTL", "keeps locks at Set",
		"ends a locked entry at its deadline", "takes the deadline away by locking",
		"unlocks without the ttl", "forgets the window at Unlock", "keeps the lease under a forced lock",
		"marks nothing", "keeps the entry under a mark", "keeps the lease under a mark", "marks too briefly", "gives each writer an epoch", "keeps the epoch",
		"never ends a write", "ends the writes of all", "ends only what is marked", "keeps the time of who has ended", "stores whatever the mark",
		"removes the mark", "removes around the mark", "grants leases under a mark", "adds over a mark",
		"stores whatever the order", "keeps the order at Set", "forgets the order at Unlock", "stores objects whatever the order",
		"adds objects over what is there",
	} {
		t.Run(name, func(t *testing.T) {
			s := sabotageNamed(t, name)
			cfg := Config{New: func(testing.TB) cache.Cache { return newBroken(s.build) }}
			sequences := sequenceGenerator()
			for seed := 1; seed <= 4000; seed++ {
				if diff := compare(t, cfg.withDefaults(t), sequences.Example(seed)); diff != "" {
					t.Logf("caught by sequence %d: %s", seed, diff)
					return
				}
			}
			t.Error("not caught by 4000 sequences")
		})
	}
}
