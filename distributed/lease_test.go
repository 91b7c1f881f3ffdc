package distributed_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	miniserver "github.com/alicebob/miniredis/v2/server"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

func fillWith(token cache.Lease) cache.EntryOptions {
	return cache.EntryOptions{TTL: time.Hour, Lease: token}
}

func testLeaseStates(t *testing.T, s server) {
	ctx := t.Context()
	mine := lease(t, s, "k")
	s.wantTTL(t, "k", time.Minute)
	wantMiss(t, s, "k")
	if got := s.Stats().Undecodable; got != 0 {
		t.Errorf("reading a lease counted as %d undecodable", got)
	}
	busy, err := s.Lease(ctx, "k", time.Minute)
	if err != nil || busy.State != cache.LeaseBusy || busy.Lease != mine {
		t.Fatalf("got %+v, %v, want busy with the first lease", busy, err)
	}
	must(t, s.Set(ctx, "k", []byte("v"), fillWith(mine)))
	wantValue(t, s, "k", "v")
	s.wantTTL(t, "k", time.Hour)
	wantErr(t, s.Set(ctx, "k", []byte("w"), fillWith(mine)), cache.ErrLeaseLost)
	found, err := s.Lease(ctx, "k", time.Minute)
	if err != nil || found.State != cache.LeaseFound {
		t.Fatalf("got %+v, %v, want found", found, err)
	}
	wantValue(t, s, "k", "v")
}

// The race that leases are for: a load reads the source, the key is written, the
// load's fill must be refused.
func testLeaseIsVoidedByEveryWrite(t *testing.T, s server) {
	ctx := t.Context()
	for name, tc := range map[string]struct {
		write func(key string) error
		after string // what a bare client sees; "" for nothing
	}{
		"Set":        {func(key string) error { return s.Set(ctx, key, []byte("new"), forever) }, "new"},
		"SetMany":    {func(key string) error { return s.SetMany(ctx, []cache.Item{{Key: key, Value: []byte("new")}}) }, "new"},
		"Remove":     {func(key string) error { return s.Remove(ctx, key) }, ""},
		"RemoveMany": {func(key string) error { return s.RemoveMany(ctx, []string{key}) }, ""},
		"Increment":  {func(key string) error { _, err := s.Increment(ctx, key, 1, forever); return err }, "1"},
		"expiration": {func(key string) error { return s.client.Del(ctx, s.prefix+key).Err() }, ""},
	} {
		token := lease(t, s, name)
		must(t, tc.write(name))
		for _, opts := range []cache.EntryOptions{
			fillWith(token),
			{SlidingExpiration: time.Minute, TTL: time.Hour, Lease: token},
		} {
			wantErr(t, s.Set(ctx, name, []byte("stale"), opts), cache.ErrLeaseLost)
		}
		if tc.after == "" {
			wantMiss(t, s, name)
		} else if got := s.stored(t, name); !strings.HasSuffix(got, tc.after) {
			t.Errorf("%s: the refused fill left %q", name, got)
		}
	}
	first := lease(t, s, "again")
	must(t, s.Remove(ctx, "again"))
	second := lease(t, s, "again")
	wantErr(t, s.Set(ctx, "again", []byte("stale"), fillWith(first)), cache.ErrLeaseLost)
	must(t, s.Release(ctx, "again", first))
	must(t, s.Set(ctx, "again", []byte("fresh"), fillWith(second)))
	wantValue(t, s, "again", "fresh")
}

func testRelease(t *testing.T, s server) {
	ctx := t.Context()
	token := lease(t, s, "k")
	must(t, s.Release(ctx, "k", cache.Lease{1}))
	must(t, s.Release(ctx, "k", cache.Lease{}))
	if busy, err := s.Lease(ctx, "k", time.Minute); err != nil || busy.Lease != token {
		t.Fatalf("got %+v, %v, want the lease untouched by others' releases", busy, err)
	}
	must(t, s.Release(ctx, "k", token))
	if n := s.client.Exists(ctx, s.prefix+"k").Val(); n != 0 {
		t.Error("the lease is still there")
	}
	must(t, s.Release(ctx, "k", token))
	must(t, s.Set(ctx, "k", []byte("v"), forever))
	must(t, s.Release(ctx, "k", token))
	wantValue(t, s, "k", "v")
}

func testExtend(t *testing.T, s server) {
	ctx := t.Context()
	token := lease(t, s, "k")
	for _, other := range []cache.Lease{{}, {1}} {
		if stands, err := s.Extend(ctx, "k", other, time.Hour); stands || err != nil {
			t.Errorf("extending another lease: got %v, %v", stands, err)
		}
	}
	s.wantTTL(t, "k", time.Minute)
	if stands, err := s.Extend(ctx, "k", token, time.Hour); !stands || err != nil {
		t.Errorf("got %v, %v, want the lease extended", stands, err)
	}
	s.wantTTL(t, "k", time.Hour)
	_, err := s.Extend(ctx, "k", token, -1)
	wantErr(t, err, cache.ErrInvalidTTL)
	must(t, s.Set(ctx, "k", []byte("v"), fillWith(token)))
	if stands, err := s.Extend(ctx, "k", token, time.Second); stands || err != nil {
		t.Errorf("extending a lease that was spent: got %v, %v", stands, err)
	}
	s.wantTTL(t, "k", time.Hour)
}

func testPeek(t *testing.T, s server) {
	ctx := t.Context()
	must(t, s.Set(ctx, "value", []byte("v"), forever))
	s.raw(t, "foreign", "text")
	s.raw(t, "damaged", s.stored(t, "value"))
	busy := lease(t, s, "busy")
	before := s.Stats()
	for key, want := range map[string]cache.LeaseReply{
		"free":    {State: cache.LeaseFree},
		"value":   {State: cache.LeaseFound},
		"foreign": {State: cache.LeaseRefused},
		"damaged": {State: cache.LeaseFree},
		"busy":    {State: cache.LeaseBusy, Lease: busy},
	} {
		value, got, err := s.Peek(ctx, key)
		if err != nil || got != want || string(value) != map[bool]string{true: "v"}[key == "value"] {
			t.Errorf("%s: got %q, %+v, %v, want %+v", key, value, got, err, want)
		}
	}
	if after := s.Stats(); after != before {
		t.Errorf("Peek counted: %+v, before %+v", after, before)
	}
	_, _, err := s.Peek(ctx, "")
	wantErr(t, err, cache.ErrInvalidKey)
}

func testLeaseMany(t *testing.T, s server) {
	ctx := t.Context()
	must(t, s.Set(ctx, "value", []byte("v"), forever))
	s.raw(t, "foreign", "text")
	s.raw(t, "damaged", s.stored(t, "value"))
	busy := lease(t, s, "busy")
	keys := []string{"free", "value", "", "foreign", "busy", "damaged"}
	replies, err := s.LeaseMany(ctx, keys, time.Minute)
	must(t, err)
	for i, want := range []cache.LeaseState{
		cache.LeaseGranted, cache.LeaseFound, cache.LeaseRefused, cache.LeaseRefused, cache.LeaseBusy, cache.LeaseGranted,
	} {
		if replies[i].State != want || (replies[i].Err != nil) != (keys[i] == "") {
			t.Errorf("%q: got %+v, want state %d", keys[i], replies[i], want)
		}
	}
	wantErr(t, replies[2].Err, cache.ErrInvalidKey)
	if replies[4].Lease != busy {
		t.Error("the busy key does not name the lease in charge")
	}
	for _, i := range []int{0, 5} {
		must(t, s.Set(ctx, keys[i], []byte("filled"), fillWith(replies[i].Lease)))
		wantValue(t, s, keys[i], "filled")
	}
	if replies, err := s.LeaseMany(ctx, nil, time.Minute); err != nil || len(replies) != 0 {
		t.Errorf("LeaseMany of nothing: got %v, %v", replies, err)
	}
}

// Of many callers in two processes one gets the lease, and the others its name.
func testLeaseHasOneWinner(t *testing.T, s server) {
	other := open(t, s.client, distributed.Options{Prefix: s.prefix})
	for range 20 {
		var granted atomic.Int64
		names := make([]cache.Lease, 20)
		var wg sync.WaitGroup
		for i := range names {
			c := []cache.Leaser{s, other}[i%2]
			wg.Go(func() {
				reply, err := c.Lease(context.Background(), "k", time.Minute)
				if err != nil {
					t.Error(err)
				}
				if reply.State == cache.LeaseGranted {
					granted.Add(1)
				}
				names[i] = reply.Lease
			})
		}
		wg.Wait()
		if got := granted.Load(); got != 1 {
			t.Fatalf("%d callers got the lease, want 1", got)
		}
		for _, name := range names {
			if name != names[0] || name == (cache.Lease{}) {
				t.Fatal("the callers were told different leases")
			}
		}
		must(t, s.Remove(t.Context(), "k"))
	}
}

// Servers before 7.0 do not know SET NX GET.
func TestLeaseOnAnOldServer(t *testing.T) {
	for _, many := range []bool{false, true} {
		m := redistest.Mini(t)
		c := open(t, redistest.MiniClient(t, m), distributed.Options{Prefix: "p:"})
		ask := func(key string) cache.LeaseReply {
			t.Helper()
			if !many {
				reply, err := c.Lease(t.Context(), key, time.Minute)
				must(t, err)
				return reply
			}
			replies, err := c.LeaseMany(t.Context(), []string{key, key + "2"}, time.Minute)
			must(t, err)
			return replies[0]
		}
		must(t, c.Set(t.Context(), "value", []byte("v"), forever))
		must(t, m.Set("p:foreign", "text"))
		_, err := m.Lpush("p:list", "x")
		must(t, err)
		var refused int
		m.Server().SetPreHook(func(p *miniserver.Peer, cmd string, args ...string) bool {
			line := strings.ToUpper(strings.Join(args, " "))
			if cmd == "SET" && strings.Contains(line, "NX") && strings.Contains(line, "GET") {
				refused++
				p.WriteError("ERR syntax error")
				return true
			}
			return false
		})
		granted := ask("k")
		if left := m.TTL("p:k"); granted.State != cache.LeaseGranted || left <= 0 || left > time.Minute {
			t.Fatalf("got %+v for %v, want granted for a minute", granted, left)
		}
		if busy := ask("k"); busy.State != cache.LeaseBusy || busy.Lease != granted.Lease {
			t.Errorf("got %+v, want busy", busy)
		}
		for key, want := range map[string]cache.LeaseState{
			"value": cache.LeaseFound, "foreign": cache.LeaseRefused, "list": cache.LeaseRefused,
		} {
			if got := ask(key); got.State != want {
				t.Errorf("%s: got %+v, want state %d", key, got, want)
			}
		}
		must(t, c.Set(t.Context(), "k", []byte("v"), fillWith(granted.Lease)))
		wantValue(t, c, "k", "v")
		if refused > 2 {
			t.Errorf("the server was asked %d times what it does not know, want once per call that found out", refused)
		}
	}
}

// Each of several callers that find out at once is answered.
func TestConcurrentLeasesOnAnOldServer(t *testing.T) {
	c, m, _ := onMini(t)
	wantMiss(t, c, "other") // connects
	m.Server().SetPreHook(func(p *miniserver.Peer, cmd string, args ...string) bool {
		if cmd == "SET" && strings.EqualFold(args[len(args)-1], "get") {
			p.WriteError("ERR syntax error")
			return true
		}
		return false
	})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			reply, err := c.Lease(context.Background(), fmt.Sprint("k", i), time.Minute)
			if err != nil || reply.State != cache.LeaseGranted {
				t.Errorf("got %+v, %v, want granted", reply, err)
			}
		})
	}
	wg.Wait()
}

func TestLeasesAreUnguessable(t *testing.T) {
	c, _, _ := onMini(t)
	seen := make(map[cache.Lease]bool)
	var ones [128]int
	const n = 500
	for range n {
		token := lease(t, c, "k")
		if seen[token] {
			t.Fatal("got a lease twice")
		}
		seen[token] = true
		for bit := range ones {
			ones[bit] += int(token[bit/8] >> (bit % 8) & 1)
		}
		must(t, c.Release(t.Context(), "k", token))
	}
	for bit, k := range ones {
		if k < n/4 || k > 3*n/4 { // over 11 standard deviations
			t.Errorf("bit %d was set %d times of %d", bit, k, n)
		}
	}
}

func TestFillsDoNotAliasTheValue(t *testing.T) {
	c, _, _ := onMini(t)
	token := lease(t, c, "k")
	value := []byte("value")
	must(t, c.Set(t.Context(), "k", value, fillWith(token)))
	copy(value, bytes.Repeat([]byte("X"), 5))
	wantValue(t, c, "k", "value")
}
