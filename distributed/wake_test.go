package distributed_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	miniserver "github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// pair is two caches that know each other through one miniredis only, as those
// of two processes do. The follower's subscription can be cut.
type pair struct {
	mini             *miniredis.Miniredis
	leader, follower *distributed.Cache

	mu         sync.Mutex
	subscribed net.Conn
}

// cuttable is a connection of the follower.
type cuttable struct {
	net.Conn
	pair *pair
}

func (c *cuttable) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("\r\nsubscribe\r\n")) {
		c.pair.mu.Lock()
		c.pair.subscribed = c.Conn
		c.pair.mu.Unlock()
	}
	return c.Conn.Write(b)
}

func newPair(t *testing.T) *pair {
	p := &pair{mini: redistest.Mini(t)}
	client := func() *redis.Client { return redistest.MiniClient(t, p.mini) }
	o := *client().Options()
	dial := o.Dialer
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return &cuttable{conn, p}, err
	}
	followers := redis.NewClient(&o)
	t.Cleanup(func() { _ = followers.Close() })
	p.leader = open(t, client(), distributed.Options{})
	p.follower = open(t, followers, distributed.Options{})
	return p
}

func (p *pair) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.subscribed.Close()
	p.subscribed = nil
}

// subscribers returns how many are subscribed to the channel of hints.
func (p *pair) subscribers() int {
	n := 0
	for _, count := range p.mini.PubSubNumSub(p.mini.PubSubChannels("*")...) {
		n += count
	}
	return n
}

// follow loads key in the leader, which takes so long and ends so, and waits for
// it in the follower. It returns how long after the end of the load the follower
// had an answer, and what.
func (p *pair) follow(t *testing.T, key string, takes time.Duration, result error, during func()) (late time.Duration, got string) {
	t.Helper()
	here, there := cache.NewTyped[string](p.leader, nil), cache.NewTyped[string](p.follower, nil)
	begin := time.Now()
	led := make(chan struct{})
	go func() {
		defer close(led)
		_, err := here.GetOrCreateExclusive(t.Context(), key, func(context.Context, *cache.Entry) (string, error) {
			time.Sleep(takes)
			return "led", result
		})
		if !errors.Is(err, result) {
			t.Errorf("the load: got %v, want %v", err, result)
		}
	}()
	synctest.Wait()
	go during()
	got, err := there.GetOrCreateExclusive(t.Context(), key, func(context.Context, *cache.Entry) (string, error) { return "followed", nil })
	if err != nil {
		t.Errorf("the follower: %v", err)
	}
	late = time.Since(begin) - takes
	<-led
	return late, got
}

// The longest a follower can wait for its next question if a hint got lost.
const longestPoll = 96 * time.Millisecond

func TestFollowerIsWokenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		for _, key := range []string{"a", "b", "c"} {
			late, got := p.follow(t, key, time.Second, nil, func() {})
			if late != 0 || got != "led" {
				t.Errorf("got %q %v after the fill, want \"led\" at once", got, late)
			}
		}
		if stats := p.follower.Stats(); stats.Loads != 0 {
			t.Errorf("the follower loaded %d times, want 0", stats.Loads)
		}
	})
}

func TestFollowerIsWokenByARelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		late, got := p.follow(t, "k", time.Second, errors.New("boom"), func() {})
		if late != 0 || got != "followed" {
			t.Errorf("got %q %v after the load failed, want \"followed\" at once", got, late)
		}
	})
}

func TestLostHintCostsAPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		lost := 0
		wantMiss(t, p.leader, "k") // it must be in use before it is watched
		p.mini.Server().SetPreHook(func(peer *miniserver.Peer, cmd string, _ ...string) bool {
			if cmd != "PUBLISH" {
				return false
			}
			lost++
			peer.WriteInt(0)
			return true
		})
		late, got := p.follow(t, "k", time.Second, nil, func() {})
		if late > longestPoll || got != "led" {
			t.Errorf("got %q %v after the fill, want \"led\" within %v", got, late, longestPoll)
		}
		if lost != 1 {
			t.Errorf("%d hints were lost, want 1", lost)
		}
	})
}

// A write from elsewhere sends no hint: polling notices it.
func TestFollowerNoticesAVoidedLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		late, got := p.follow(t, "k", 10*time.Second, nil, func() {
			time.Sleep(time.Second)
			if err := p.follower.Remove(t.Context(), "k"); err != nil {
				t.Error(err)
			}
		})
		if late += 9 * time.Second; late > longestPoll || got != "followed" {
			t.Errorf("got %q %v after the removal, want \"followed\" within %v", got, late, longestPoll)
		}
	})
}

func TestFollowerSubscribesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		late, got := p.follow(t, "k", 2*time.Second, nil, func() {
			time.Sleep(500 * time.Millisecond)
			p.cut()
			synctest.Wait()
			if n := p.subscribers(); n != 0 {
				t.Errorf("%d subscribers after the connection was cut, want 0", n)
			}
		})
		if late != 0 || got != "led" {
			t.Errorf("got %q %v after the fill, want \"led\" at once", got, late)
		}
	})
}

func TestSubscriptionEndsWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		if n := p.subscribers(); n != 0 {
			t.Errorf("%d subscribers before anybody follows, want 0", n)
		}
		p.follow(t, "k", 20*time.Second, nil, func() {})
		if n := p.subscribers(); n != 1 {
			t.Errorf("%d subscribers after somebody followed, want 1", n)
		}
		time.Sleep(time.Minute)
		if n := p.subscribers(); n != 0 {
			t.Errorf("%d subscribers after nobody followed for a minute, want 0", n)
		}
		if late, got := p.follow(t, "l", time.Second, nil, func() {}); late != 0 || got != "led" {
			t.Errorf("later: got %q %v after the fill, want \"led\" at once", got, late)
		}
	})
}

// A server that falls silent is found out by the keep-alive.
func TestSilentSubscriptionIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.follow(t, "k", time.Second, nil, func() {})
		p.mini.Server().SetPreHook(func(peer *miniserver.Peer, cmd string, _ ...string) bool { return cmd == "PING" })
		time.Sleep(11 * time.Second)
		if n := p.subscribers(); n != 0 {
			t.Errorf("%d subscribers although no PING is answered, want 0", n)
		}
	})
}

func TestMissesWithoutFollowersPublishNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		wantMiss(t, p.leader, "k")
		var published atomic.Int64
		watch(p.mini, func(cmd string) {
			if cmd == "PUBLISH" || strings.HasSuffix(cmd, "SUBSCRIBE") {
				published.Add(1)
			}
		})
		v := cache.NewTyped[string](p.leader, nil)
		for _, key := range []string{"a", "b"} {
			if _, err := v.GetOrCreateExclusive(t.Context(), key, func(context.Context, *cache.Entry) (string, error) { return "v", nil }); err != nil {
				t.Fatal(err)
			}
		}
		if n := published.Load(); n != 0 {
			t.Errorf("%d commands for hints that nobody waits for, want 0", n)
		}
	})
}

func TestCloseEndsTheSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		begin := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			time.Sleep(500 * time.Millisecond)
			if err := p.follower.Close(t.Context()); err != nil {
				t.Errorf("Close: %v", err)
			}
			synctest.Wait() // until the server has noticed
			if n := p.subscribers(); n != 0 {
				t.Errorf("%d subscribers after Close, want 0", n)
			}
			if took := time.Since(begin); took != 500*time.Millisecond {
				t.Errorf("Close took %v", took-500*time.Millisecond)
			}
		}()
		here, there := cache.NewTyped[string](p.leader, nil), cache.NewTyped[string](p.follower, nil)
		slow := func(context.Context, *cache.Entry) (string, error) { time.Sleep(time.Second); return "v", nil }
		go func() { _, _ = here.GetOrCreateExclusive(t.Context(), "k", slow) }()
		synctest.Wait()
		if _, err := there.GetOrCreateExclusive(t.Context(), "k", slow); !errors.Is(err, cache.ErrClosed) {
			t.Errorf("the follower: got %v, want ErrClosed", err)
		}
		<-done
		if n := p.follower.Stats().Loads; n != 0 {
			t.Errorf("the follower began %d loads that nobody waited for, want 0", n)
		}
		if wake, stop := p.follower.Await(t.Context(), "k", cache.Lease{1}); wake != nil {
			t.Error("Await after Close gives hints")
			stop()
		}
		time.Sleep(time.Second)
	})
}

// awaited returns the channel of a hint once there is a subscription.
func awaited(tb testing.TB, c *distributed.Cache, key string, l cache.Lease) (wake <-chan struct{}, stop func()) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 10*time.Second)
	defer cancel()
	for {
		if wake, stop = c.Await(ctx, key, l); wake != nil {
			return wake, stop
		}
		if ctx.Err() != nil {
			tb.Fatal("no subscription")
		}
		time.Sleep(time.Millisecond)
	}
}

// testFollowedLease checks that a lease does all it did before it was followed.
func testFollowedLease(t *testing.T, s server) {
	fired := func(wake <-chan struct{}) bool {
		select {
		case <-wake:
			return true
		case <-time.After(10 * time.Second):
			return false
		}
	}
	for name, end := range map[string]func(key string, l cache.Lease) error{
		"fill": func(key string, l cache.Lease) error {
			return s.Set(t.Context(), key, []byte("v"), cache.EntryOptions{Lease: l})
		},
		"sliding fill": func(key string, l cache.Lease) error {
			return s.Set(t.Context(), key, []byte("v"), cache.EntryOptions{Lease: l, TTL: time.Hour, SlidingExpiration: time.Minute})
		},
		"batch": func(key string, l cache.Lease) error {
			return s.SetMany(t.Context(), []cache.Item{{Key: key, Value: []byte("v"), Options: cache.EntryOptions{Lease: l}}})
		},
		"release": func(key string, l cache.Lease) error { return s.Release(t.Context(), key, l) },
	} {
		l := lease(t, s, name)
		wake, stop := awaited(t, s.Cache, name, l)
		defer stop()
		select {
		case <-wake:
			t.Errorf("%s: a hint before its time", name)
		default:
		}
		_, reply, err := s.Peek(t.Context(), name)
		if err != nil || reply != (cache.LeaseReply{State: cache.LeaseBusy, Lease: l}) {
			t.Errorf("%s: Peek at a followed lease: got %v, %v", name, reply, err)
		}
		if reply, err := s.Lease(t.Context(), name, time.Minute); err != nil || reply != (cache.LeaseReply{State: cache.LeaseBusy, Lease: l}) {
			t.Errorf("%s: Lease of a followed one: got %v, %v", name, reply, err)
		}
		wantMiss(t, s, name)
		if stands, err := s.Extend(t.Context(), name, l, time.Hour); !stands || err != nil {
			t.Errorf("%s: Extend of a followed lease: got %v, %v", name, stands, err)
		}
		if left := s.client.PTTL(t.Context(), s.prefix+name).Val(); left < 59*time.Minute {
			t.Errorf("%s: a followed lease lasts %v, want an hour", name, left)
		}
		other := l
		other[3] ^= 1
		wantErr(t, s.Set(t.Context(), name, []byte("v"), cache.EntryOptions{Lease: other}), cache.ErrLeaseLost)
		if err := end(name, l); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !fired(wake) {
			t.Errorf("%s: no hint", name)
		}
		late, stopLate := awaited(t, s.Cache, name, l)
		if !fired(late) {
			t.Errorf("%s: no hint that the lease does not stand any more", name)
		}
		stopLate()
		stopLate()
		if name != "release" {
			wantValue(t, s, name, "v")
		}
	}
}

func TestRingHasNoHints(t *testing.T) {
	m := redistest.Mini(t)
	ring := redis.NewRing(&redis.RingOptions{
		Addrs:     map[string]string{"one": "miniredis"},
		NewClient: func(*redis.Options) *redis.Client { return redistest.MiniClient(t, m) },
	})
	t.Cleanup(func() { _ = ring.Close() })
	c := open(t, ring, distributed.Options{})
	l := lease(t, c, "k")
	for range 10 {
		if wake, stop := c.Await(t.Context(), "k", l); wake != nil {
			stop()
			t.Fatal("a Ring gives hints")
		}
	}
}
