package distributed_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
)

func isErr(err, want error) bool { return errors.Is(err, want) }

// Whatever Redis loses, what was expired does not come back.
func testLostGenerations(t *testing.T, s server) {
	ctx := t.Context()
	for name, lost := range map[string]string{
		"key": "region:shoes:42", "region": "region:shoes", "global": "global",
	} {
		must(t, s.Set(ctx, "k", []byte("v"), with(shoe)))
		wantValue(t, s, "k", "v")
		m := moment(t, s)
		if n, err := s.client.Del(ctx, s.prefix+"__larder__:"+lost).Result(); n != 1 || err != nil {
			t.Fatalf("%s: there was no %s, %v", name, lost, err)
		}
		wantMiss(t, s, "k")
		must(t, s.Set(ctx, "again", []byte("v"), with(shoe))) // makes another
		wantValue(t, s, "again", "v")
		wantMiss(t, s, "k")
		must(t, s.Remove(ctx, "again"))
		must(t, s.Set(ctx, "filled", []byte("v"), since(m, shoe))) // nothing has expired since m
	}
	// Without the epoch entries count on, and loads in flight are not stored.
	must(t, s.Set(ctx, "k", []byte("v"), with(shoe)))
	began := moment(t, s)
	must(t, s.client.Del(ctx, s.prefix+"__larder__:epoch").Err())
	wantValue(t, s, "k", "v")
	wantErr(t, s.Set(ctx, "k", []byte("v"), since(began, shoe)), cache.ErrRegionExpired)
	must(t, s.ExpireTokens(ctx, shoe))
	wantMiss(t, s, "k")
	wantErr(t, s.Set(ctx, "k", []byte("v"), since(began, shoe)), cache.ErrRegionExpired)
	// A token is expired, and its generation lost, during a load.
	m := moment(t, s)
	must(t, s.ExpireTokens(ctx, shoe))
	must(t, s.client.Del(ctx, s.prefix+"__larder__:region:shoes:42").Err())
	wantErr(t, s.Set(ctx, "k", []byte("v"), since(m, shoe)), cache.ErrRegionExpired)
	wantErr(t, s.Set(ctx, "k", []byte("v"), since(m, shoe)), cache.ErrRegionExpired)
	// Everything is lost: what remains is no value, and what is stored is.
	must(t, s.Set(ctx, "k", []byte("v"), with(shoe)))
	raw := s.stored(t, "k")
	for _, lost := range []string{"region:shoes:42", "region:shoes", "global", "epoch"} {
		must(t, s.client.Del(ctx, s.prefix+"__larder__:"+lost).Err())
	}
	wantMiss(t, s, "k")
	must(t, s.Set(ctx, "again", []byte("v"), with(shoe)))
	s.raw(t, "k", raw)
	wantMiss(t, s, "k")
	wantValue(t, s, "again", "v")
}

// Whatever else is under the keys of the generations, it is none.
func testForeignGenerations(t *testing.T, s server) {
	ctx := t.Context()
	for _, key := range []string{"region:shoes:42", "region:shoes", "global", "epoch"} {
		name := s.prefix + "__larder__:" + key
		for _, foreign := range []string{"", "text", "0123456789abcde", "0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcdef", "list"} {
			must(t, s.Set(ctx, "k", []byte("v"), with(shoe)))
			m := moment(t, s)
			must(t, s.client.Del(ctx, name).Err())
			if foreign == "list" {
				must(t, s.client.RPush(ctx, name, "x").Err())
			} else {
				must(t, s.client.Set(ctx, name, foreign, 0).Err())
			}
			if key != "epoch" {
				wantMiss(t, s, "k")
			}
			if ok, err := s.Unexpired(ctx, m, []cache.Token{shoe}); err != nil || ok && key == "epoch" {
				t.Errorf("%s is %q: Unexpired: got %v, %v", key, foreign, ok, err)
			}
			if foreign == "text" {
				must(t, s.ExpireTokens(ctx, shoe, shoes))
			}
			must(t, s.Set(ctx, "k", []byte("v"), with(shoe)))
			wantValue(t, s, "k", "v")
		}
	}
}

func testGenerationsOutlastEntries(t *testing.T, s server) {
	ctx := t.Context()
	ttl := func() time.Duration {
		t.Helper()
		d, err := s.client.PTTL(ctx, s.prefix+"__larder__:region:shoes").Result()
		must(t, err)
		return d
	}
	store := func(opts cache.EntryOptions) {
		t.Helper()
		opts.Tokens = []cache.Token{shoes}
		must(t, s.Set(ctx, "k", []byte("v"), opts))
		wantValue(t, s, "k", "v")
	}
	store(cache.EntryOptions{TTL: time.Hour})
	if got := ttl(); got < 25*time.Hour || got > 50*time.Hour {
		t.Errorf("for an hour's entry: got %v", got)
	}
	store(cache.EntryOptions{TTL: 1000 * time.Hour, SlidingExpiration: time.Hour})
	if got := ttl(); got < 1024*time.Hour {
		t.Errorf("for a thousand hours': got %v", got)
	}
	store(cache.EntryOptions{TTL: time.Hour})
	if got := ttl(); got < 1024*time.Hour {
		t.Errorf("for a shorter one again: got %v", got)
	}
	store(cache.EntryOptions{SlidingExpiration: time.Hour}) // who knows how long
	if got := ttl(); got != -1 {
		t.Errorf("for an unbounded window: got %v, want none", got)
	}
	store(cache.EntryOptions{TTL: time.Hour})
	if got := ttl(); got != -1 {
		t.Errorf("for a shorter one after that: got %v, want none", got)
	}
	must(t, s.ExpireTokens(ctx, shoes))
	if got := ttl(); got <= 0 {
		t.Errorf("after it expired nothing depends on it: got %v", got)
	}
	store(forever)
	if got := ttl(); got != -1 {
		t.Errorf("for ever: got %v, want none", got)
	}
	d, err := s.client.PTTL(ctx, s.prefix+"__larder__:epoch").Result()
	if err != nil || d != -1 {
		t.Errorf("the epoch: got %v, %v, want no end", d, err)
	}
}

func testLeaseOfExpiredRegion(t *testing.T, s server) {
	ctx := t.Context()
	set := func(key string, token cache.Token) { must(t, s.Set(ctx, key, []byte("v"), with(token))) }
	set("gone", shoe)
	set("gone 2", shoe)
	set("locked", shoe)
	set("live", hats)
	must(t, s.Set(ctx, "plain", []byte("v"), forever))
	_, _, err := s.GetAndLock(ctx, "locked", time.Minute, cache.LockOptions{})
	must(t, err)
	must(t, s.ExpireTokens(ctx, shoes))
	mine := lease(t, s, "gone")
	want := []cache.LeaseState{cache.LeaseBusy, cache.LeaseGranted, cache.LeaseGranted, cache.LeaseFound, cache.LeaseFound, cache.LeaseGranted}
	keys := []string{"gone", "gone 2", "locked", "live", "plain", "absent"}
	replies, err := s.LeaseMany(ctx, keys, time.Minute)
	must(t, err)
	for i, r := range replies {
		if r.Err != nil || r.State != want[i] {
			t.Errorf("%s: got %+v, want %d", keys[i], r, want[i])
		}
	}
	if replies[0].Lease != mine {
		t.Error("the lease in charge is another")
	}
	for i, key := range keys {
		if want[i] == cache.LeaseGranted {
			must(t, s.Set(ctx, key, []byte("new"), fillWith(replies[i].Lease)))
			wantValue(t, s, key, "new")
		}
	}
	if reply, err := s.Lease(ctx, "live", time.Minute); err != nil || reply.State != cache.LeaseFound {
		t.Errorf("live: got %+v, %v", reply, err)
	}
	// Of many who find it expired one gets the lease, and the others hear of it.
	set("hot", shoe)
	must(t, s.ExpireTokens(ctx, shoe))
	var granted, busy atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			switch reply, err := s.Lease(ctx, "hot", time.Minute); {
			case err != nil:
				t.Error(err)
			case reply.State == cache.LeaseGranted:
				granted.Add(1)
			case reply.State == cache.LeaseBusy:
				busy.Add(1)
			}
		})
	}
	wg.Wait()
	if granted.Load() != 1 || busy.Load() != 15 {
		t.Errorf("got %d granted, %d busy, want 1 and 15", granted.Load(), busy.Load())
	}
}

// Writers change the source and expire the region, loaders read it and fill. No
// read that starts after an expiration returned gets what was there before it.
func testNoStaleRegion(t *testing.T, s server) {
	other := s.another(t)
	var source, floor atomic.Int64
	var hits, stale, refused, filled int64
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	token := func(n int64) cache.Token { return cache.KeyToken("stress", strconv.FormatInt(n%2, 10)) }
	tokens := []cache.Token{token(0), token(1)}
	var wg sync.WaitGroup
	wg.Go(func() { // writes
		for n := int64(1); ctx.Err() == nil; n++ {
			source.Store(n)
			if err := other.ExpireTokens(t.Context(), token(n)); err != nil {
				t.Error(err)
				return
			}
			floor.Store(n)
			time.Sleep(rand.N(time.Millisecond)) // now and then time enough for a fill and a hit
		}
	})
	var fillers sync.Mutex
	for range 3 { // load
		wg.Go(func() {
			for ctx.Err() == nil {
				m, err := s.Moment(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				n := source.Load()
				err = s.Set(t.Context(), "k", strconv.AppendInt(nil, n, 10), since(m, tokens...))
				fillers.Lock()
				switch {
				case err == nil:
					filled++
				case isErr(err, cache.ErrRegionExpired):
					refused++
				default:
					t.Error(err)
				}
				fillers.Unlock()
			}
		})
	}
	for ctx.Err() == nil && (hits == 0 || time.Since(began) < time.Second/4) { // reads
		least := floor.Load()
		value, found, err := other.GetUnder(t.Context(), "k", tokens[:1])
		must(t, err)
		if !found {
			continue
		}
		hits++
		if n, _ := strconv.ParseInt(string(value), 10, 64); n < least {
			stale++
		}
	}
	cancel()
	wg.Wait()
	t.Logf("%d writes, %d filled, %d refused, %d hits", floor.Load(), filled, refused, hits)
	if stale > 0 {
		t.Errorf("%d of %d hits were stale", stale, hits)
	}
	if hits == 0 || filled == 0 {
		t.Errorf("got %d hits of %d fills: this has shown nothing", hits, filled)
	}
}
