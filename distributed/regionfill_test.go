package distributed_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
)

func testRegionFills(t *testing.T, s server) {
	ctx := t.Context()
	other := s.another(t)
	must(t, s.Set(ctx, "known", []byte("v"), with(shoe, hats))) // so that the generations are there
	fill := func(m cache.Moment, tokens ...cache.Token) error {
		opts := since(m, tokens...)
		opts.Lease = lease(t, s, "k")
		err := s.Set(ctx, "k", []byte("v"), opts)
		if err == nil {
			wantValue(t, other, "k", "v")
		} else {
			wantMiss(t, other, "k")
		}
		must(t, s.Remove(ctx, "k"))
		return err
	}
	m := moment(t, s)
	must(t, fill(m, shoe))
	must(t, fill(m, cache.RegionToken("new"))) // nothing has expired since m

	must(t, other.ExpireTokens(ctx, hats))
	must(t, fill(m, shoe))
	wantErr(t, fill(m, hats), cache.ErrRegionExpired)
	wantErr(t, fill(m, shoe, hats), cache.ErrRegionExpired)
	late := cache.KeyToken("hats", "late") // its region has
	wantErr(t, fill(m, late), cache.ErrRegionExpired)
	must(t, other.ExpireTokens(ctx, cache.KeyToken("yet", "another")))
	late = cache.KeyToken("named", "late") // there is no generation, and it has not
	must(t, fill(m, late))
	must(t, fill(moment(t, s), hats))

	m = moment(t, s)
	must(t, other.ExpireTokens(ctx, late))
	wantErr(t, fill(m, late), cache.ErrRegionExpired)
	must(t, fill(m, shoe))

	m = moment(t, s)
	must(t, other.ExpireTokens(ctx, cache.GlobalToken()))
	for _, token := range []cache.Token{cache.GlobalToken(), shoe, shoes, cache.RegionToken("newer")} {
		wantErr(t, fill(m, token), cache.ErrRegionExpired)
	}
	// The generations outlived the epoch; they are to be usable again.
	m = moment(t, s)
	must(t, fill(m, shoe))
	must(t, other.ExpireTokens(ctx, hats))
	must(t, fill(m, shoe))

	// So many tokens expire that nobody knows which: what counts then is when the
	// generations were made.
	newer := cache.KeyToken("made", "meanwhile")
	for _, many := range []int{64, 300} {
		m = moment(t, s)
		var tokens []cache.Token
		for i := range many {
			tokens = append(tokens, cache.KeyToken("many", fmt.Sprint(i)))
		}
		must(t, other.ExpireTokens(ctx, tokens...))
		must(t, fill(m, shoe))
		for _, i := range []int{0, many - 1} {
			wantErr(t, fill(m, tokens[i]), cache.ErrRegionExpired)
		}
		var want error
		if many > 128 {
			want = cache.ErrRegionExpired
		}
		if err := fill(m, newer); !errors.Is(err, want) {
			t.Errorf("after %d others: got %v, want %v", many, err, want)
		}
		must(t, fill(moment(t, s), newer))
		newer = cache.KeyToken("made", "later")
	}

	// Without a moment a Set counts from now.
	must(t, s.Set(ctx, "k", []byte("v"), with(hats)))
	wantValue(t, s, "k", "v")
	// And so do the other ways to store.
	version, err := s.Add(ctx, "added", []byte("v"), since(m, shoe))
	must(t, err)
	m = moment(t, s)
	must(t, other.ExpireTokens(ctx, shoe))
	wantErr(t, second(s.Add(ctx, "added 2", []byte("v"), since(m, shoe))), cache.ErrRegionExpired)
	wantErr(t, second(s.CompareAndSet(ctx, "k", []byte("v"), cache.Version{1}, since(m, shoe))), cache.ErrRegionExpired)
	wantErr(t, second(s.CompareAndSet(ctx, "added", []byte("v"), version, forever)), cache.ErrNoEntry)
}

func testRegionBatches(t *testing.T, s server) {
	ctx := t.Context()
	must(t, s.Set(ctx, "known", []byte("v"), with(shoe, hats)))
	m := moment(t, s)
	must(t, s.ExpireTokens(ctx, hats))
	items := []cache.Item{
		{Key: "plain", Value: []byte("v"), Options: forever},
		{Key: "shoe", Value: []byte("v"), Options: since(m, shoe)},
		{Key: "hat", Value: []byte("v"), Options: since(m, hats)},
		{Key: "now", Value: []byte("v"), Options: with(hats)},
		{Key: "bad", Value: []byte("v"), Options: with(cache.RegionToken(""))},
	}
	var keys []string
	for i := range 300 { // more than one script reads
		items = append(items, cache.Item{Key: fmt.Sprint(i), Value: []byte("v"), Options: since(m, cache.KeyToken("hats", "x"), cache.KeyToken("shoes", fmt.Sprint(i)))})
	}
	for _, item := range items {
		keys = append(keys, item.Key)
	}
	wantFound := func(want string) {
		t.Helper()
		results, err := s.GetMany(ctx, keys)
		must(t, err)
		for i, r := range results {
			if r.Err != nil || r.Found != contains(want, keys[i]) {
				t.Errorf("%s: got %+v", keys[i], r)
			}
		}
	}
	batch, ok := s.SetMany(ctx, items).(*cache.BatchError) //nolint:errorlint // it is this very one
	if !ok {
		t.Fatal("SetMany reported nothing")
	}
	for i, err := range batch.Errs {
		var want error
		switch {
		case keys[i] == "bad":
			want = cache.ErrInvalidToken
		case keys[i] == "hat" || i > 4:
			want = cache.ErrRegionExpired
		}
		if (want == nil) != (err == nil) || want != nil && !isErr(err, want) {
			t.Errorf("%s: got %v, want %v", keys[i], err, want)
		}
	}
	wantFound("|plain|shoe|now|")
	must(t, s.ExpireTokens(ctx, shoes))
	wantFound("|plain|now|")

	var tokens []cache.Token
	for i := range items {
		items[i].Options = with(cache.KeyToken("shoes", keys[i]))
		tokens = append(tokens, cache.KeyToken("shoes", keys[i]))
	}
	must(t, s.SetMany(ctx, items))
	must(t, s.ExpireTokens(ctx, tokens[1:]...))
	wantFound("|plain|")
}

func testItemTokens(t *testing.T, s server) {
	ctx := t.Context()
	tokens := []cache.Token{cache.KeyToken("a:b%", "c:%"), shoe, shoes, hats, shoe, cache.GlobalToken(), cache.RegionToken("%3A")}
	must(t, s.Set(ctx, "k", []byte("v"), with(tokens...)))
	item, found, err := s.GetItem(ctx, "k")
	want := []cache.Token{tokens[0], shoe, hats, tokens[6]}
	if err != nil || !found || len(item.Tokens) != len(want) {
		t.Fatalf("GetItem: got %+v, %v, %v", item, found, err)
	}
	for _, token := range want {
		if !slices.Contains(item.Tokens, token) {
			t.Errorf("%+v is not among %+v", token, item.Tokens)
		}
	}
	must(t, s.Set(ctx, "all", []byte("v"), with(cache.GlobalToken())))
	if item, _, err := s.GetItem(ctx, "all"); err != nil || !slices.Equal(item.Tokens, []cache.Token{cache.GlobalToken()}) {
		t.Errorf("of everything: got %+v, %v", item, err)
	}
	locked, _, err := s.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{})
	must(t, err)
	again, _, _, err := s.GetIfNewer(ctx, "k", cache.Version{1})
	must(t, err)
	if !slices.Equal(locked.Tokens, item.Tokens) || !slices.Equal(again.Tokens, item.Tokens) {
		t.Errorf("GetAndLock: got %+v, GetIfNewer: %+v, want %+v", locked.Tokens, again.Tokens, item.Tokens)
	}
}

func testRegionMoments(t *testing.T, s server) {
	ctx := t.Context()
	reply, err := s.Lease(ctx, "k", time.Minute)
	if err != nil || reply.Moment != (cache.Moment{}) {
		t.Errorf("untracked: got %+v, %v, want no moment", reply, err)
	}
	s.TrackRegions()
	must(t, s.Set(ctx, "found", []byte("v"), forever))
	m := moment(t, s)
	for key, state := range map[string]cache.LeaseState{"k": cache.LeaseBusy, "free": cache.LeaseGranted, "found": cache.LeaseFound} {
		reply, err := s.Lease(ctx, key, time.Minute)
		if err != nil || reply.State != state || reply.Moment != m {
			t.Errorf("%s: got %+v, %v, want moment %x", key, reply, err, m)
		}
	}
	must(t, s.ExpireTokens(ctx, hats))
	if next := moment(t, s); next == m {
		t.Error("ExpireTokens did not move the moment")
	} else {
		m = next
	}
	must(t, s.client.Del(ctx, s.prefix+"__larder__:epoch").Err())
	replies, err := s.LeaseMany(ctx, []string{"k", "free", "found", "free 2", ""}, time.Minute)
	must(t, err)
	after := moment(t, s)
	for i, r := range replies[:4] {
		if r.Err != nil || r.Moment != after || r.Moment == m {
			t.Errorf("%d: got %+v, want the new moment %x", i, r, after)
		}
	}
	wantErr(t, replies[4].Err, cache.ErrInvalidKey)

	must(t, s.Set(ctx, "known", []byte("v"), with(shoe, hats)))
	before := moment(t, s)
	must(t, s.ExpireTokens(ctx, hats))
	for _, tc := range []struct {
		since  cache.Moment
		tokens []cache.Token
		want   bool
	}{
		{before, []cache.Token{shoe}, true},
		{before, []cache.Token{hats}, false},
		{before, []cache.Token{shoe, hats}, false},
		{before, []cache.Token{cache.RegionToken("unheard of")}, true},
		{before, nil, true},
		{moment(t, s), []cache.Token{shoe, hats, cache.RegionToken("unheard of")}, true},
		{m, []cache.Token{shoe}, false}, // forgotten
		{m, nil, true},
		{cache.Moment{}, nil, false},
	} {
		if got, err := s.Unexpired(ctx, tc.since, tc.tokens); err != nil || got != tc.want {
			t.Errorf("Unexpired since %x %+v: got %v, %v, want %v", tc.since, tc.tokens, got, err, tc.want)
		}
	}
}
