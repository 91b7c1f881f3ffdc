package near

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// listening returns how many near caches hear of changes on s.
func listening(t *testing.T, s *redistest.Instance) int {
	list, err := s.Client().ClientList(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(list, "name=larder-near")
}

// Near caches follow the primary that the sentinel names, and what they held before
// does not outlast the bound: if the old one is dead, and if it lives and has not been
// told yet, which takes ten seconds.
func TestSentinelFailover(t *testing.T) {
	kinds := map[string]func(*redistest.SentinelInstance){
		"killed":  func(s *redistest.SentinelInstance) { s.Primary.Kill() },
		"planned": (*redistest.SentinelInstance).Failover,
	}
	for kind, failover := range kinds {
		for _, mode := range []Mode{Bounded, Validate, Ack} {
			t.Run(kind+"/"+mode.String(), func(t *testing.T) { testFailover(t, mode, failover) })
		}
	}
}

func testFailover(t *testing.T, mode Mode, failover func(*redistest.SentinelInstance)) {
	w := redistest.Sentinel(t)
	const bound = 400 * time.Millisecond
	l := newLive(t, w.Client(), w.Primary.Client(), Options{Mode: mode, Bound: bound})
	l.holdServed("k", "old")
	if n := listening(t, w.Primary); n != 1 {
		t.Errorf("%d listen to the primary, want 1", n)
	}
	eventually(t, "the replica", func() bool {
		n, err := w.Replica.Client().Exists(t.Context(), prefix+"k").Result()
		return err == nil && n == 1
	})

	failover(w)
	w.AwaitFailover()
	l.must(w.Replica.Client().Del(l.ctx, prefix+"k").Err())
	for end := time.Now().Add(bound); time.Now().Before(end); { // whatever it reads meanwhile
		_, _, _ = l.names.Get(l.ctx, "k")
	}
	if l.held("k") {
		t.Error("served from here a bound after the change")
	}
	if got, ok, err := l.names.Get(l.ctx, "k"); err == nil && ok {
		t.Errorf("Get = %q a bound after the change, want a miss", got)
	}

	l.eventually("contact", func() bool { return l.near.Contact().State == Connected })
	l.eventually("a listener at the new primary", func() bool { return listening(t, w.Replica) == 1 })
	after, err := distributed.New(w.Replica.Client(), &distributed.Options{Prefix: prefix, Budget: 5 * time.Second})
	l.must(err)
	defer func() { l.must(after.Close(l.ctx)) }()
	l.others = cache.NewTyped[string](after, nil)
	l.holdServed("k", "new")
	l.must(w.Replica.Client().Del(l.ctx, prefix+"k").Err())
	l.eventually("the news", func() bool {
		_, ok, err := l.names.Get(l.ctx, "k")
		return err == nil && !ok
	})
}

// holdServed is hold with patience for a server that is new.
func (l *live) holdServed(key, value string) {
	l.t.Helper()
	l.eventually("a write", func() bool { return l.others.Set(context.Background(), key, value, cache.EntryOptions{}) == nil })
	l.eventually("a hit", func() bool {
		got, ok, err := l.names.Get(l.ctx, key)
		return err == nil && ok && got == value && l.held(key)
	})
}
