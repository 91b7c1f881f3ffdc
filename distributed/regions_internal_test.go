package distributed

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/internal/envelope"
	"github.com/larder-go/larder/internal/redistest"
)

func newTestCache(t *testing.T) *Cache {
	t.Helper()
	c, err := New(redistest.MiniClient(t, redistest.Mini(t)), &Options{Budget: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// Of two calls that expire a token on several servers, the first to advance the
// epoch may be the last to reach the generation. A load that began between them
// must not be stored.
func TestExpirationsThatOvertake(t *testing.T) {
	c, ctx := newTestCache(t), t.Context()
	token := cache.RegionToken("r")
	opts := cache.EntryOptions{Tokens: []cache.Token{token}}
	if err := c.Set(ctx, "k", []byte("v"), opts); err != nil {
		t.Fatal(err)
	}
	advance := func() cache.Moment {
		t.Helper()
		if err := c.outdate(ctx, []cache.Token{cache.RegionToken("other")}); err != nil {
			t.Fatal(err)
		}
		m, err := c.Moment(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	reach := func(epoch cache.Moment) {
		t.Helper()
		if err := c.outdateRest(ctx, string(epoch[:]), []string{stampName(token)}, 0); err != nil {
			t.Fatal(err)
		}
	}
	first := advance()
	opts.Since = first // a load begins, which may read what was there before the second
	second := advance()
	for range maxRecent { // so that nobody remembers
		advance()
	}
	reach(second)
	reach(first)
	if ok, err := c.Unexpired(ctx, first, opts.Tokens); ok || err != nil {
		t.Errorf("Unexpired: got %v, %v, want false", ok, err)
	}
	if err := c.Set(ctx, "k", []byte("v"), opts); err == nil {
		t.Error("the load was stored")
	}
	opts.Since = second
	if err := c.Set(ctx, "k", []byte("v"), opts); err != nil {
		t.Errorf("a load that began after both: %v", err)
	}
	reach(second)
	if _, found, _ := c.Get(ctx, "k"); found {
		t.Error("a generation was not replaced")
	}
}

// Of several servers none can make a generation and read the epoch in one step.
// So one that is made because there was none proves nothing about what expired
// before, until an epoch was read after it.
func TestGenerationMadeApartHasNoEpoch(t *testing.T) {
	c, ctx := newTestCache(t), t.Context()
	w := wants{names: []string{"r"}, ttls: map[string]time.Duration{"r": time.Hour}}
	began, err := c.Moment(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.outdate(ctx, []cache.Token{cache.RegionToken("r")}); err != nil {
		t.Fatal(err)
	}
	key := c.generations.key("r")
	if err := c.transport.Do(ctx, key, redis.NewIntCmd(ctx, "del", key), transport.Write); err != nil {
		t.Fatal(err) // it is lost
	}
	var made stamped
	made.of, made.errs = map[string]generation{}, map[string]error{}
	cmd := stampScript.Cmd(ctx, key, append([]any{""}, w.args("r")...)...)
	made.take(w.names, cmd, c.transport.Do(ctx, key, cmd, transport.Read))
	if made.epochErr != nil || made.of["r"].made != (cache.Moment{}) {
		t.Fatalf("got %+v, want a generation without an epoch", made)
	}
	if s := c.stampApart(ctx, &w, true); s.unexpired(w.names, began) || s.of["r"].id != made.of["r"].id {
		t.Errorf("got %+v: the load that began before passes, or the generation is another", s)
	}
	now, _ := c.Moment(ctx)
	if s := c.stampApart(ctx, &w, true); !s.unexpired(w.names, now) || s.of["r"].made != now {
		t.Errorf("got %+v, want the generation made at %x", s, now)
	}
	// It is one of another incarnation that counts as made anew.
	if err := c.outdate(ctx, []cache.Token{cache.GlobalToken()}); err != nil {
		t.Fatal(err)
	}
	now, _ = c.Moment(ctx)
	for _, ordered := range []bool{false, true} {
		if s := c.stampApart(ctx, &w, ordered); s.unexpired(w.names, began) || !s.unexpired(w.names, now) {
			t.Errorf("ordered %v: got %+v after a new incarnation", ordered, s)
		}
	}
	if err := c.outdate(ctx, []cache.Token{cache.RegionToken("other")}); err != nil {
		t.Fatal(err)
	}
	if s := c.stampApart(ctx, &w, true); !s.unexpired(w.names, now) {
		t.Errorf("got %+v, want it confirmed", s)
	}
}

// The counter carries from byte to byte, and does not start again: after the
// last number there is another incarnation.
func TestEpochCounts(t *testing.T) {
	c, ctx := newTestCache(t), t.Context()
	set := func(counter string) {
		t.Helper()
		key := c.generations.epoch
		if err := c.transport.Do(ctx, key, redis.NewStatusCmd(ctx, "set", key, "12345678"+counter), transport.Write); err != nil {
			t.Fatal(err)
		}
	}
	for before, want := range map[string]string{
		"\x00\x00\x00\x00\x00\x00\x00\x00": "\x00\x00\x00\x00\x00\x00\x00\x01",
		"\x00\x00\x00\x00\x00\x00\x00\xff": "\x00\x00\x00\x00\x00\x00\x01\x00",
		"\x00\x00\x00\x7f\xff\xff\xff\xff": "\x00\x00\x00\x80\x00\x00\x00\x00",
		"\x7f\xff\xff\xff\xff\xff\xff\xff": "\x80\x00\x00\x00\x00\x00\x00\x00",
	} {
		set(before)
		if err := c.outdate(ctx, []cache.Token{cache.RegionToken("r")}); err != nil {
			t.Fatal(err)
		}
		if m, err := c.Moment(ctx); err != nil || string(m[:]) != "12345678"+want {
			t.Errorf("after %x: got %x, %v, want %x", before, m[8:], err, want)
		}
	}
	set("\xff\xff\xff\xff\xff\xff\xff\xff")
	if err := c.outdate(ctx, []cache.Token{cache.RegionToken("r")}); err != nil {
		t.Fatal(err)
	}
	if m, err := c.Moment(ctx); err != nil || string(m[:8]) == "12345678" {
		t.Errorf("after the last number: got %x, %v, want another incarnation", m, err)
	}
}

// Distinct tokens have distinct names, and the longest fit an entry.
func FuzzStampName(f *testing.F) {
	f.Add("a", "b", true, "a:b", "", false)
	f.Add("a%3A", "b", true, "a:", "b", true)
	f.Fuzz(func(t *testing.T, r1, k1 string, has1 bool, r2, k2 string, has2 bool) {
		token := func(r, k string, has bool) cache.Token {
			if has {
				return cache.KeyToken(r, k)
			}
			return cache.RegionToken(r)
		}
		a, b := token(r1, k1, has1), token(r2, k2, has2)
		if a.Check() != nil || b.Check() != nil {
			return
		}
		if got := tokenOf(stampName(a)); got != a {
			t.Fatalf("%+v comes back as %+v", a, got)
		}
		if x, y := stampName(a), stampName(b); (x == y) != (a == b) || len(x) > envelope.MaxStampName {
			t.Fatalf("%+v is %q, %+v is %q", a, x, b, y)
		}
	})
}
