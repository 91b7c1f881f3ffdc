package near

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// live is a near cache on a real server, with a plain cache beside it.
type live struct {
	t      *testing.T
	ctx    context.Context
	client redis.UniversalClient // of the others
	near   *Cache
	names  *cache.Typed[string]
	other  *distributed.Cache
	others *cache.Typed[string]
}

func newLive(t *testing.T, own, client redis.UniversalClient, opts Options) *live {
	t.Helper()
	l := &live{t: t, ctx: context.Background(), client: client}
	opts.Remote.Prefix = prefix
	var err error
	if l.near, err = New(own, &opts); err != nil {
		t.Fatal(err)
	}
	if l.other, err = distributed.New(client, &distributed.Options{Prefix: prefix, Budget: 5 * time.Second}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.must(l.near.Close(l.ctx))
		l.must(l.other.Close(l.ctx))
	})
	l.names = cache.NewTyped[string](l.near, nil)
	l.others = cache.NewTyped[string](l.other, nil)
	l.eventually("contact", func() bool { return l.near.Contact().State == Connected })
	return l
}

func (l *live) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *live) eventually(what string, is func() bool) {
	l.t.Helper()
	for began := time.Now(); !is(); time.Sleep(time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			l.t.Fatalf("%s did not come", what)
		}
	}
}

func (l *live) held(key string) bool {
	_, ok := l.near.GetNear(l.ctx, key)
	return ok
}

// hold has the near cache hold what another process stores. The news of that may
// arrive after the first read.
func (l *live) hold(key, value string, opts cache.EntryOptions) {
	l.t.Helper()
	l.must(l.others.Set(l.ctx, key, value, opts))
	l.eventually("a hit", func() bool {
		got, ok, err := l.names.Get(l.ctx, key)
		return err == nil && ok && got == value && l.held(key)
	})
	time.Sleep(10 * time.Millisecond) // for what is still under way
	if _, _, err := l.names.Get(l.ctx, key); err != nil {
		l.t.Fatal(err)
	}
}

func TestServerTellsOfEveryChange(t *testing.T) {
	server := redistest.Server(t)
	second := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = second.Close() })
	// Without news a value is held for as long as its entry lives: an hour.
	l := newLive(t, server.Client(), second, Options{Bound: 10 * time.Second})
	elsewhere := newLive(t, second, second, Options{})
	for _, test := range []struct {
		name   string
		change func() error
	}{
		{"a plain cache writes", func() error { return l.others.Set(l.ctx, "k", "new", cache.EntryOptions{}) }},
		{"a plain cache removes", func() error { return l.other.Remove(l.ctx, "k") }},
		{"another near cache removes", func() error { return elsewhere.near.Remove(l.ctx, "k") }},
		{"a write begins", func() error {
			mark, err := l.other.BeginWrite(l.ctx, "k", time.Minute)
			return errors.Join(err, l.other.EndWrite(l.ctx, "k", mark))
		}},
		{"a foreign client writes", func() error { return second.Set(l.ctx, prefix+"k", "x", 0).Err() }},
		{"a foreign client removes", func() error { return second.Del(l.ctx, prefix+"k").Err() }},
		{"a foreign client renames", func() error { return second.Rename(l.ctx, prefix+"k", "elsewhere").Err() }},
		{"it expires sooner than it should", func() error { return second.PExpire(l.ctx, prefix+"k", 20*time.Millisecond).Err() }},
		{"its region expires", func() error { return l.other.ExpireTokens(l.ctx, cache.RegionToken("x")) }},
		{"its key of a region expires", func() error { return l.other.ExpireTokens(l.ctx, cache.KeyToken("y", "a")) }},
		{"everything expires", func() error { return l.other.ExpireTokens(l.ctx, cache.GlobalToken()) }},
		{"its generation is lost", func() error { return second.Del(l.ctx, prefix+generationOfX).Err() }},
		{"the database is flushed", func() error { return second.FlushDB(l.ctx).Err() }},
		{"the connection is cut", func() error {
			return errors.Join(
				second.ClientKillByFilter(l.ctx, "TYPE", "pubsub", "SKIPME", "yes").Err(),
				second.Del(l.ctx, prefix+"k").Err())
		}},
		{"the server makes room", func() error {
			for i := range 3000 {
				if err := second.Set(l.ctx, fmt.Sprint("other", i), strings.Repeat("x", 1000), 0).Err(); err != nil {
					return err
				}
			}
			return errors.Join(
				second.ConfigSet(l.ctx, "maxmemory-policy", "allkeys-random").Err(),
				second.ConfigSet(l.ctx, "maxmemory", "1").Err(),
				second.Set(l.ctx, "one more", "x", 0).Err())
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l.t = t
			l.hold("k", "old", cache.EntryOptions{Tokens: []cache.Token{cache.RegionToken("x"), cache.KeyToken("y", "a")}})
			if err := test.change(); err != nil && !strings.Contains(err.Error(), "OOM") {
				t.Fatal(err)
			}
			l.eventually("the news", func() bool {
				got, ok, err := l.names.Get(l.ctx, "k")
				return err == nil && (!ok || got != "old")
			})
		})
	}
}

func TestClusterTellsOfRegions(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	t.Parallel() // it mostly waits
	client := redistest.Cluster(t, 3).Client()
	l := newLive(t, client, client, Options{Bound: 10 * time.Second})
	for i := range 30 { // keys and regions of many slots
		key, token := fmt.Sprint("k", i), cache.RegionToken(fmt.Sprint("r", i/2))
		l.hold(key, "old", cache.EntryOptions{Tokens: []cache.Token{token}})
		if i%2 == 0 {
			l.must(l.other.ExpireTokens(l.ctx, token))
		} else {
			l.must(l.other.Remove(l.ctx, key))
		}
		l.eventually("the news", func() bool {
			_, ok, err := l.names.Get(l.ctx, key)
			return err == nil && !ok
		})
	}
}

func TestServerGoneAndBack(t *testing.T) {
	t.Parallel() // it mostly waits
	server := redistest.Server(t)
	own := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = own.Close() })
	l := newLive(t, own, server.Client(), Options{Bound: 400 * time.Millisecond})
	l.hold("k", "v", cache.EntryOptions{})
	load := func(context.Context, *cache.Entry) (string, error) { return "loaded", nil }

	server.Kill()
	gone := time.Now()
	l.eventually("the end of trust", func() bool { return !l.held("k") })
	if d := time.Since(gone); d > 5*time.Second {
		t.Errorf("served for %v without a server", d)
	}
	if got, err := l.names.GetOrCreateExclusive(l.ctx, "k", load); got != "loaded" || err != nil {
		t.Errorf("without a server got %v, %v, want what was loaded", got, err)
	}
	if err := l.near.Remove(l.ctx, "k"); !errors.Is(err, cache.ErrUnavailable) && !errors.Is(err, cache.ErrOutcomeUnknown) {
		t.Errorf("Remove = %v, want ErrUnavailable", err)
	}
	if got := l.near.Contact(); got.State != Lost || got.Serving || got.Lost == 0 || got.Err == nil {
		t.Errorf("Contact = %+v, want lost, with the reason", got)
	}

	server.Restart()
	l.eventually("contact", func() bool { return l.near.Contact().State == Connected })
	l.eventually("the removal that failed", func() bool { return l.near.NearStats().Intents == 0 })
	l.eventually("the other's connection", func() bool {
		return l.others.Set(l.ctx, "k", "new", cache.EntryOptions{}) == nil
	})
	l.eventually("a hit on what is there now", func() bool {
		got, ok, err := l.names.Get(l.ctx, "k")
		return err == nil && ok && got == "new" && l.held("k")
	})
}

// While the server is frozen hits go on within the bound, and end with it.
func TestFrozenServer(t *testing.T) {
	server := redistest.Server(t)
	own := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = own.Close() })
	const bound = 2 * time.Second
	l := newLive(t, own, server.Client(), Options{Bound: bound})
	l.hold("k", "v", cache.EntryOptions{})
	server.Stop()
	frozen := time.Now()
	hits := 0
	for began := frozen; l.held("k"); began = time.Now() {
		hits++
		if d := began.Sub(frozen); d > bound {
			t.Fatalf("a read that began %v after the server was frozen was served", d)
		}
	}
	if hits == 0 {
		t.Error("no hit while the server was frozen")
	}
	server.Cont()
	l.eventually("a hit", func() bool {
		got, ok, err := l.names.Get(l.ctx, "k")
		return err == nil && ok && got == "v" && l.held("k")
	})
}
