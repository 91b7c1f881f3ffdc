package distributed_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// processes returns four caches that share nothing but the server, as those of
// four processes do.
func processes(t *testing.T, client redis.UniversalClient) []*cache.Typed[string] {
	var views []*cache.Typed[string]
	for range 4 {
		views = append(views, cache.NewTyped[string](open(t, client, distributed.Options{}), nil))
	}
	return views
}

// herd has many callers in each process ask for one key, and returns how many
// loads there were. Each ends when midway has returned.
func herd(t *testing.T, views []*cache.Typed[string], key string, midway func()) (loads int64) {
	t.Helper()
	var n atomic.Int64
	var callers sync.WaitGroup
	for _, v := range views {
		for range 100 {
			callers.Go(func() {
				got, err := v.GetOrCreateExclusive(t.Context(), key, func(context.Context, *cache.Entry) (string, error) {
					n.Add(1)
					midway()
					return "v", nil
				})
				if got != "v" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
	}
	callers.Wait()
	return n.Load()
}

// commands returns how many commands the server has run that claim, follow and
// fill a key, those in scripts included. Look-ups are not among them: how many
// share a round trip depends on how busy the machine is.
func commands(t *testing.T, client *redis.Client) (n int) {
	t.Helper()
	info, err := client.Info(t.Context(), "commandstats").Result()
	must(t, err)
	for line := range strings.Lines(info) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), ":calls=")
		calls, _, _ := strings.Cut(rest, ",")
		switch strings.TrimPrefix(name, "cmdstat_") {
		case "set", "evalsha", "eval", "getrange", "setrange", "subscribe", "publish":
			k, err := strconv.Atoi(calls)
			must(t, err)
			n += k
		}
	}
	return n
}

func TestHerdOfProcesses(t *testing.T) {
	s := redistest.Server(t)
	views := processes(t, s.Client())
	slow := func() { time.Sleep(50 * time.Millisecond) } // a load takes its time
	for i := range 3 {
		before := commands(t, s.Client())
		if loads := herd(t, views, strconv.Itoa(i), slow); loads != 1 {
			t.Errorf("herd %d: got %d loads, want 1", i, loads)
		}
		if n := commands(t, s.Client()) - before; n > 100 {
			t.Errorf("herd %d: it took %d commands beside look-ups for 400 callers, want a handful for each of 4 processes", i, n)
		}
	}
}

// The server forgets the lease and the subscriptions: there are two loads, and
// nobody is left waiting.
func TestHerdSurvivesARestart(t *testing.T) {
	s := redistest.Server(t)
	views := processes(t, s.Client())
	herd(t, views, "before", func() { time.Sleep(20 * time.Millisecond) })
	var once sync.Once
	herd(t, views, "during", func() { once.Do(s.Restart) })
	for try := 0; ; try++ { // until every breaker has closed again
		if loads := herd(t, views, "after "+strconv.Itoa(try), func() { time.Sleep(20 * time.Millisecond) }); loads == 1 {
			return
		}
		if try == 100 {
			t.Fatal("no single load long after the restart")
		}
		time.Sleep(50 * time.Millisecond) // a real server's time
	}
}

// A user who may not publish stores all the same, and one who may not subscribe
// polls.
func TestHintsAreOptional(t *testing.T) {
	s := redistest.Server(t)
	must(t, s.Client().Do(t.Context(), "acl", "setuser", "mute", "on", ">p", "~*", "+@all", "resetchannels").Err())
	client := redis.NewClient(&redis.Options{Addr: s.Addr(), Username: "mute", Password: "p"})
	t.Cleanup(func() { _ = client.Close() })
	if loads := herd(t, processes(t, client), "k", func() { time.Sleep(50 * time.Millisecond) }); loads != 1 {
		t.Errorf("got %d loads, want 1", loads)
	}
	views := processes(t, client)[:1]
	views = append(views, processes(t, s.Client())...) // these follow, and that cannot tell them
	if loads := herd(t, views, "l", func() { time.Sleep(50 * time.Millisecond) }); loads != 1 {
		t.Errorf("got %d loads, want 1", loads)
	}
}

// A server that is frozen while the subscription is being made holds up neither
// the follower nor Close for longer than it takes to give up connecting.
func TestSubscribingToAFrozenServerHoldsUpNobody(t *testing.T) {
	s := redistest.Server(t)
	c, err := distributed.New(s.Client(), &distributed.Options{Budget: patient})
	must(t, err)
	l := lease(t, c, "k")
	s.Stop()
	begin := time.Now()
	wake, stop := c.Await(t.Context(), "k", l) // opens the subscription
	stop()
	if took := time.Since(begin); wake != nil || took > time.Second {
		t.Errorf("Await on a frozen server: got hints (%v) after %v, want none at once", wake != nil, took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin = time.Now()
	_ = c.Close(ctx) // its context's error, or nothing: either way it does not wait
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("Close took %v, want its context's 50 ms", took)
	}
	s.Cont()
	must(t, c.Close(t.Context()))
	if took := time.Since(begin); took > patient {
		t.Errorf("Close took %v after the server went on", took)
	}
}
