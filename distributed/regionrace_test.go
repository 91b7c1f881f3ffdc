package distributed_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	miniserver "github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// once calls do before m runs the first command that begins like this, its
// arguments included.
func once(m *miniredis.Miniredis, prefix string, do func()) (done *atomic.Bool) {
	done = new(atomic.Bool)
	m.Server().SetPreHook(func(_ *miniserver.Peer, cmd string, args ...string) bool {
		if strings.HasPrefix(strings.Join(append([]string{cmd}, args...), " "), prefix) && done.CompareAndSwap(false, true) {
			do()
		}
		return false
	})
	return done
}

// An ExpireTokens of another process comes between two round trips of a call.
func TestRegionExpiresDuringACall(t *testing.T) {
	m := redistest.Mini(t)
	c := open(t, redistest.MiniClient(t, m), distributed.Options{Prefix: "p:"})
	other := open(t, redistest.MiniClient(t, m), distributed.Options{Prefix: "p:"})
	ctx := t.Context()
	expire := func() { must(t, other.ExpireTokens(ctx, shoe)) }
	fresh := func() { must(t, c.Set(ctx, "k", []byte("v"), with(shoe))) }
	between := func(what, command string, call func()) {
		t.Helper()
		fresh()
		wantValue(t, c, "k", "v") // and connects
		done := once(m, command, expire)
		call()
		m.Server().SetPreHook(nil)
		if !done.Load() {
			t.Errorf("%s: there was no %s", what, command)
		}
	}
	between("between the generations and the store", "SET p:k", func() {
		fresh()
		wantMiss(t, c, "k")
	})
	between("between the generations and the fill", "SET p:k", func() {
		_ = c.Set(ctx, "k", []byte("v"), since(moment(t, c), shoe))
		wantMiss(t, c, "k")
	})
	between("between the value and its generations", "GET p:__larder__", func() { wantMiss(t, c, "k") })
	between("before the verdict", "GET p:__larder__", func() {
		_, _, err := c.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{})
		wantErr(t, err, cache.ErrNoEntry)
	})
	between("between the moment and the fill", "EVALSHA", func() {
		wantErr(t, c.Set(ctx, "k", []byte("v"), since(moment(t, c), shoe)), cache.ErrRegionExpired)
	})
	between("before the lease", "GET p:__larder__", func() {
		reply, err := c.Lease(ctx, "k", time.Minute)
		if err != nil || reply.State != cache.LeaseGranted {
			t.Errorf("Lease: got %+v, %v, want granted", reply, err)
		}
	})
}

// The verdict on a value is not one on what took its place.
func TestValueIsReplacedBeforeTheVerdict(t *testing.T) {
	c, m, _ := onMini(t)
	ctx := t.Context()
	for _, tokens := range [][]cache.Token{nil, {hats}} {
		must(t, c.Set(ctx, "k", []byte("old"), with(shoe)))
		must(t, c.ExpireTokens(ctx, shoe))
		done := once(m, "GET p:__larder__", func() { must(t, c.Set(ctx, "k", []byte("new"), with(tokens...))) })
		wantErr(t, second(c.Add(ctx, "k", []byte("added"), forever)), cache.ErrExists)
		m.Server().SetPreHook(nil)
		if !done.Load() {
			t.Error("nothing came between")
		}
		wantValue(t, c, "k", "new")

		must(t, c.Set(ctx, "k", []byte("old"), with(shoe)))
		must(t, c.ExpireTokens(ctx, shoe))
		once(m, "GET p:__larder__", func() { must(t, c.Set(ctx, "k", []byte("new"), with(tokens...))) })
		reply, err := c.Lease(ctx, "k", time.Minute)
		m.Server().SetPreHook(nil)
		if err != nil || reply.State != cache.LeaseFound {
			t.Errorf("Lease: got %+v, %v, want found", reply, err)
		}
		wantValue(t, c, "k", "new")
	}
}

// How many round trips each call costs, once everything is connected.
func TestRegionRoundTrips(t *testing.T) {
	m := redistest.Mini(t)
	var l line
	c := open(t, l.client(t, m), distributed.Options{Prefix: "p:"})
	tracking := open(t, l.client(t, m), distributed.Options{Prefix: "p:"})
	tracking.TrackRegions()
	ctx := t.Context()
	must(t, c.Set(ctx, "plain", []byte("v"), forever))
	must(t, c.Set(ctx, "k", []byte("v"), with(shoe, hats)))
	must(t, c.Set(ctx, "k2", []byte("v"), with(shoe)))
	start := moment(t, c)
	var many []cache.Item
	for i := range 20 {
		many = append(many, cache.Item{Key: fmt.Sprint("many", i), Value: []byte("v"), Options: with(cache.KeyToken("shoes", fmt.Sprint(i)))})
	}
	n := 0
	for _, tc := range []struct {
		name string
		call func() error
		want int64
	}{
		{"Get without tokens", func() error { return second3(c.Count(ctx, "absent")) }, 1},
		{"Set without tokens", func() error { return c.Set(ctx, "plain", []byte("v"), forever) }, 1},
		{"Get", func() error { return reported2(c.Get(ctx, "k")) }, 2},
		{"GetUnder", func() error { return reported2(c.GetUnder(ctx, "k", []cache.Token{shoe, hats})) }, 1},
		{"GetUnder of a missing key", func() error { return second3(c.GetUnder(ctx, "absent", []cache.Token{shoe, hats})) }, 1},
		{"GetUnder of too few", func() error { return reported2(c.GetUnder(ctx, "k", []cache.Token{shoe})) }, 2},
		{"GetMany", func() error { return second(c.GetMany(ctx, []string{"k", "k2", "plain", "absent"})) }, 2},
		{"Set", func() error { return c.Set(ctx, "s", []byte("v"), with(shoe, hats)) }, 2},
		{"Set of a new token", func() error {
			n++
			return c.Set(ctx, "s", []byte("v"), with(cache.KeyToken("new", fmt.Sprint(n))))
		}, 2},
		{"fill", func() error { return c.Set(ctx, "s", []byte("v"), since(start, shoe)) }, 2},
		{"SetMany", func() error { return c.SetMany(ctx, many) }, 2},
		{"Moment", func() error { return second(c.Moment(ctx)) }, 1},
		{"Unexpired", func() error { return reported(c.Unexpired(ctx, start, []cache.Token{shoe})) }, 1},
		{"Lease untracked", func() error { return second(c.Lease(ctx, fmt.Sprint("u", n), time.Minute)) }, 1},
		{"Lease", func() error { return second(tracking.Lease(ctx, fmt.Sprint("t", n), time.Minute)) }, 1},
		{"LeaseMany", func() error { return second(tracking.LeaseMany(ctx, []string{"x", "y"}, time.Minute)) }, 1},
		{"ExpireTokens", func() error { return c.ExpireTokens(ctx, shoe, hats, shoes) }, 1},
		{"ExpireTokens of all", func() error { return c.ExpireTokens(ctx, cache.GlobalToken(), hats) }, 1},
	} {
		got := int64(math.MaxInt64)
		for range 6 { // some may connect, or bring a script along
			before := l.sends.Load()
			must(t, tc.call())
			got = min(got, l.sends.Load()-before)
		}
		if got != tc.want {
			t.Errorf("%s: got %d round trips, want %d", tc.name, got, tc.want)
		}
	}
}

func second3[A, B any](_ A, _ B, err error) error { return err }

// What a call sends with regions, and what it sends without: the same.
func TestEntriesWithoutTokensCostNothing(t *testing.T) {
	c, m, _ := onMini(t)
	ctx := t.Context()
	var sent []string
	watchArgs(t, m, c, func(cmd string, args []string) {
		if cmd != "HELLO" {
			sent = append(sent, cmd+" "+args[0])
		}
	})
	c.TrackRegions()
	must(t, c.Set(ctx, "k", []byte("v"), forever))
	wantValue(t, c, "k", "v")
	must(t, second(c.GetMany(ctx, []string{"k"})))
	must(t, second3(c.GetItem(ctx, "k")))
	want := []string{"SET p:k", "GET p:k", "GET p:k", "GET p:k", "PTTL p:k"}
	if !slices.Equal(sent, want) {
		t.Errorf("got  %q\nwant %q", sent, want)
	}
}

// A generation that cannot be read is an error, and never a hit.
func TestGenerationsThatCannotBeRead(t *testing.T) {
	c, m, _ := onMini(t)
	ctx := t.Context()
	must(t, c.Set(ctx, "k", []byte("v"), with(shoe)))
	must(t, c.Set(ctx, "plain", []byte("v"), forever))
	version := func() cache.Version {
		item, _, err := c.GetItem(ctx, "k")
		must(t, err)
		return item.Version
	}()
	m.Server().SetPreHook(func(p *miniserver.Peer, cmd string, args ...string) bool {
		if strings.Contains(strings.Join(args, " "), "__larder__:region") {
			p.WriteError("NOPERM no")
			return true
		}
		return false
	})
	wantValue(t, c, "plain", "v")
	results, err := c.GetMany(ctx, []string{"plain", "k"})
	must(t, err)
	if !results[0].Found || results[0].Err != nil {
		t.Errorf("GetMany: an entry without tokens: got %+v", results[0])
	}
	_, _, lockErr := c.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{})
	for name, err := range map[string]error{
		"Get":            second3(c.Get(ctx, "k")),
		"GetUnder":       second3(c.GetUnder(ctx, "k", []cache.Token{shoe})),
		"GetMany":        results[1].Err,
		"GetItem":        second3(c.GetItem(ctx, "k")),
		"Peek":           second3(c.Peek(ctx, "k")),
		"Lease":          second(c.Lease(ctx, "k", time.Minute)),
		"GetAndLock":     lockErr,
		"CompareAndSet":  second(c.CompareAndSet(ctx, "k", []byte("x"), version, forever)),
		"Set":            c.Set(ctx, "k", []byte("x"), with(shoe)),
		"SetMany":        c.SetMany(ctx, []cache.Item{{Key: "k", Value: []byte("x"), Options: with(shoe)}}),
		"Unexpired":      second(c.Unexpired(ctx, cache.Moment{1}, []cache.Token{shoe})),
		"ExpireTokens":   c.ExpireTokens(ctx, shoe),
		"RemoveVersion":  second(c.RemoveVersion(ctx, "k", version)),
		"GetIfNewer too": second4(c.GetIfNewer(ctx, "k", version)),
	} {
		if !isErr(err, cache.ErrUnavailable) || isErr(err, cache.ErrOutcomeUnknown) {
			t.Errorf("%s: got %v, want ErrUnavailable", name, err)
		}
	}
	m.Server().SetPreHook(nil)
	wantValue(t, c, "k", "v")
}

func second4[A, B, C any](_ A, _ B, _ C, err error) error { return err }

// Without the epoch a lease is not handed out: nobody could tell whether what is
// loaded may be stored.
func TestLeaseWithoutMoment(t *testing.T) {
	c, m, _ := onMini(t)
	ctx := t.Context()
	c.TrackRegions()
	lease(t, c, "connects")
	m.Server().SetPreHook(func(p *miniserver.Peer, cmd string, args ...string) bool {
		if cmd == "GETRANGE" && args[0] == "p:__larder__:epoch" {
			p.WriteError("NOPERM no")
			return true
		}
		return false
	})
	reply, err := c.Lease(ctx, "k", time.Minute)
	if wantErr(t, err, cache.ErrUnavailable); reply != (cache.LeaseReply{}) {
		t.Errorf("got %+v", reply)
	}
	replies, err := c.LeaseMany(ctx, []string{"k2"}, time.Minute)
	must(t, err)
	wantErr(t, replies[0].Err, cache.ErrUnavailable)
	m.Server().SetPreHook(nil)
	for end := time.Now().Add(patient); m.Exists("p:k") || m.Exists("p:k2"); {
		if time.Now().After(end) {
			t.Fatal("the leases were not given back")
		}
	}
}

func TestRegionEvents(t *testing.T) {
	m := redistest.Mini(t)
	var r recorder
	c := open(t, redistest.MiniClient(t, m), distributed.Options{Observer: &r})
	ctx := t.Context()
	must(t, c.Set(ctx, "k", []byte("v"), with(shoe)))
	wantValue(t, c, "k", "v")
	must(t, c.ExpireTokens(ctx, shoe))
	wantMiss(t, c, "k")
	wantMiss(t, c, "absent")
	if got, want := r.take(), []string{"hit get", "miss getregion", "miss get"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if s := c.Stats(); s.Hits != 1 || s.Misses != 2 || s.Undecodable != 0 {
		t.Errorf("got %+v", s)
	}
}

// Whatever happens to the bytes of an entry with stamps, no call returns a wrong
// value, nor takes it for an entry.
func TestDamagedStamps(t *testing.T) {
	c, m, _ := onMini(t)
	ctx := t.Context()
	must(t, c.Set(ctx, "k", []byte("value"), with(shoe)))
	item, _, err := c.GetItem(ctx, "k")
	must(t, err)
	raw, err := m.Get("p:k")
	must(t, err)
	damaged := []string{raw + "x", raw + raw}
	for i := range len(raw) * 8 {
		bad := []byte(raw)
		bad[i/8] ^= 1 << (i % 8)
		damaged = append(damaged, string(bad))
	}
	for size := range len(raw) {
		damaged = append(damaged, raw[:size])
	}
	before := c.Stats().Undecodable
	for _, bad := range damaged {
		must(t, m.Set("p:k", bad))
		wantMiss(t, c, "k")
	}
	if got := c.Stats().Undecodable - before; got != uint64(len(damaged)) {
		t.Errorf("got %d undecodable, want %d", got, len(damaged))
	}
	end := bytes.LastIndexByte([]byte(raw), 'v') // where the payload begins
	for i, bad := range damaged {
		must(t, m.Set("p:k", bad))
		if _, _, err := c.GetUnder(ctx, "k", []cache.Token{shoe}); err != nil {
			t.Fatalf("GetUnder of %x: %v", bad, err)
		}
		must(t, c.Refresh(ctx, "k"))
		if got, newer, _, err := c.GetIfNewer(ctx, "k", cache.Version{1}); newer || err != nil {
			t.Fatalf("GetIfNewer of %x: got %+v, %v", bad, got, err)
		}
		if bit := i - 2; bit >= 56*8 && bit < end*8 { // the scripts see the stamps
			if _, _, found, err := c.GetIfNewer(ctx, "k", item.Version); found && err == nil {
				t.Fatalf("GetIfNewer of the same found %x", bad)
			}
			if err := second(c.CompareAndSet(ctx, "k", []byte("x"), item.Version, forever)); err == nil {
				t.Fatalf("CompareAndSet replaced %x", bad)
			}
		}
		if got, _, err := c.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{}); err == nil {
			t.Fatalf("GetAndLock of %x: got %+v", bad, got)
		}
		reply, err := c.Lease(ctx, "k", time.Minute)
		if err != nil || reply.State == cache.LeaseFound && i < 2 {
			t.Fatalf("Lease of %x: got %+v, %v", bad, reply, err)
		}
	}
}

// On several servers the epoch is advanced first, and if some of the tokens do
// not expire the error says so.
func TestExpireTokensOnSeveralServers(t *testing.T) {
	shards := map[string]*miniredis.Miniredis{"a": miniredis.RunT(t), "b": miniredis.RunT(t)}
	addrs := make(map[string]string)
	for name, m := range shards {
		addrs[name] = m.Addr()
	}
	client := redis.NewRing(&redis.RingOptions{Addrs: addrs})
	t.Cleanup(func() { _ = client.Close() })
	c := open(t, client, distributed.Options{})
	ctx := t.Context()
	var tokens []cache.Token
	var items []cache.Item
	for i := range 20 {
		tokens = append(tokens, cache.KeyToken("r", fmt.Sprint(i)))
		items = append(items, cache.Item{Key: fmt.Sprint(i), Value: []byte("v"), Options: with(tokens[i])})
	}
	must(t, c.SetMany(ctx, items))
	m := moment(t, c)
	must(t, c.SetMany(ctx, items))
	must(t, c.ExpireTokens(ctx, tokens...))
	for i := range items {
		wantMiss(t, c, items[i].Key)
		wantErr(t, c.Set(ctx, items[i].Key, []byte("v"), since(m, tokens[i])), cache.ErrRegionExpired)
	}
	must(t, c.SetMany(ctx, items))

	here, there := shards["a"], shards["b"] // where the epoch is, and where not
	if !here.Exists("__larder__:epoch") {
		here, there = there, here
	}
	refuse := func(epochToo bool) func(p *miniserver.Peer, cmd string, args ...string) bool {
		return func(p *miniserver.Peer, cmd string, args ...string) bool {
			epoch := len(args) > 2 && args[2] == "__larder__:epoch"
			if cmd != "EVALSHA" || epoch && !epochToo {
				return false
			}
			p.WriteError("NOPERM no")
			return true
		}
	}
	there.Server().SetPreHook(refuse(false))
	m = moment(t, c)
	err := c.ExpireTokens(ctx, tokens...)
	if !isErr(err, cache.ErrOutcomeUnknown) || isErr(err, cache.ErrUnavailable) || !strings.Contains(err.Error(), "of 20 tokens") {
		t.Errorf("half of them: got %v, want ErrOutcomeUnknown alone", err)
	}
	if moment(t, c) == m {
		t.Error("the epoch was not advanced")
	}
	here.Server().SetPreHook(refuse(false))
	err = c.ExpireTokens(ctx, tokens...)
	if !isErr(err, cache.ErrUnavailable) || isErr(err, cache.ErrOutcomeUnknown) {
		t.Errorf("none of them: got %v, want ErrUnavailable alone", err)
	}
	here.Server().SetPreHook(refuse(true))
	m = moment(t, c)
	wantErr(t, c.ExpireTokens(ctx, tokens...), cache.ErrUnavailable)
	if moment(t, c) != m {
		t.Error("the epoch was advanced")
	}
	for _, s := range shards {
		s.Server().SetPreHook(nil)
	}
	must(t, c.ExpireTokens(ctx, tokens...))
	for _, item := range items {
		wantMiss(t, c, item.Key)
	}
}
