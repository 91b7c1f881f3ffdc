package distributed_test

import (
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
)

var (
	shoes = cache.RegionToken("shoes")
	shoe  = cache.KeyToken("shoes", "42")
	hats  = cache.RegionToken("hats")
)

// with is the options of an entry with these tokens.
func with(tokens ...cache.Token) cache.EntryOptions {
	return cache.EntryOptions{TTL: time.Hour, Tokens: tokens}
}

// since is with for a load that began at m.
func since(m cache.Moment, tokens ...cache.Token) cache.EntryOptions {
	o := with(tokens...)
	o.Since = m
	return o
}

func moment(tb testing.TB, c cache.Regions) cache.Moment {
	tb.Helper()
	m, err := c.Moment(tb.Context())
	must(tb, err)
	if m == (cache.Moment{}) {
		tb.Fatal("the moment is zero")
	}
	return m
}

// another returns a cache of another process.
func (s server) another(t *testing.T) *distributed.Cache {
	t.Helper()
	return open(t, s.client, distributed.Options{Prefix: s.prefix})
}

func testRegionsExpire(t *testing.T, s server) {
	ctx := t.Context()
	other := s.another(t)
	entries := map[string][]cache.Token{
		"plain":    nil,
		"global":   {cache.GlobalToken()},
		"shoes":    {shoes},
		"shoe":     {shoe},
		"shoe 7":   {cache.KeyToken("shoes", "7")},
		"hats":     {hats},
		"both":     {shoe, hats, shoe},
		"a:b":      {cache.RegionToken("a:b")},
		"a, b":     {cache.KeyToken("a", "b")},
		"a, b:":    {cache.KeyToken("a", "b:")},
		"a:, b":    {cache.KeyToken("a:", "b")},
		"a%3Ab":    {cache.RegionToken("a%3Ab")},
		"a%3A, b":  {cache.KeyToken("a%3A", "b")},
		"a, :b":    {cache.KeyToken("a", ":b")},
		"braces":   {cache.KeyToken("{x}", "}{")},
		"binary":   {cache.KeyToken("\x00\xff", "\r\n")},
		"42 alone": {cache.RegionToken("42")},
	}
	for _, tc := range []struct {
		expire cache.Token
		gone   string
	}{
		{shoe, "|shoe|both|"},
		{shoes, "|shoes|shoe|shoe 7|both|"},
		{hats, "|hats|both|"},
		{cache.RegionToken("a"), "|a, b|a, b:|a, :b|"},
		{cache.RegionToken("a:b"), "|a:b|"},
		{cache.RegionToken("a:"), "|a:, b|"},
		{cache.RegionToken("a%3Ab"), "|a%3Ab|"},
		{cache.KeyToken("a", "b"), "|a, b|"},
		{cache.KeyToken("a%3A", "b"), "|a%3A, b|"},
		{cache.KeyToken("{x}", "}{"), "|braces|"},
		{cache.KeyToken("\x00\xff", "\r\n"), "|binary|"},
		{cache.RegionToken("never used"), ""},
		{cache.GlobalToken(), "all"},
	} {
		for key, tokens := range entries {
			must(t, s.Set(ctx, key, []byte(key), with(tokens...)))
			wantValue(t, other, key, key)
		}
		must(t, other.ExpireTokens(ctx, tc.expire))
		for key := range entries {
			gone := tc.gone == "all" && key != "plain" || contains(tc.gone, key)
			for _, c := range []*distributed.Cache{s.Cache, other} {
				if _, found, err := c.Get(ctx, key); err != nil || found == gone {
					t.Errorf("%+v expired: %q: found %v, %v", tc.expire, key, found, err)
				}
			}
		}
	}
	must(t, s.ExpireTokens(ctx))
	must(t, s.ExpireTokens(ctx, shoe, hats, shoe, cache.KeyToken("x", "y")))
	wantErr(t, s.ExpireTokens(ctx, shoe, cache.RegionToken("")), cache.ErrInvalidToken)
	wantErr(t, s.Set(ctx, "k", []byte("v"), with(cache.KeyToken("", "x"))), cache.ErrInvalidToken)
	wantErr(t, s.Set(ctx, "k", []byte("v"), with(make([]cache.Token, cache.MaxTokens+1)...)), cache.ErrInvalidToken)
	wantErr(t, second(s.Increment(ctx, "n", 1, with(shoe))), cache.ErrInvalidConfig)
	wantErr(t, second(s.Unexpired(ctx, cache.Moment{1}, []cache.Token{cache.RegionToken("")})), cache.ErrInvalidToken)
}

// contains reports whether key is one of those in a list between bars.
func contains(list, key string) bool {
	for i := range list {
		if len(list[i:]) > len(key)+1 && list[i:i+len(key)+2] == "|"+key+"|" {
			return true
		}
	}
	return false
}

func testRegionsByEveryRead(t *testing.T, s server) {
	ctx := t.Context()
	counted, err := s.Add(ctx, "k", []byte("v"), with(shoe))
	must(t, err)
	reads := map[string]func() (found bool, err error){
		"Get":      func() (bool, error) { _, found, err := s.Get(ctx, "k"); return found, err },
		"AppendTo": func() (bool, error) { _, found, err := s.AppendTo(ctx, []byte("x"), "k"); return found, err },
		"GetMany": func() (bool, error) {
			r, err := s.GetMany(ctx, []string{"k", "absent"})
			must(t, err)
			return r[0].Found, r[0].Err
		},
		"GetItem": func() (bool, error) { _, found, err := s.GetItem(ctx, "k"); return found, err },
		"GetIfNewer": func() (bool, error) {
			item, newer, found, err := s.GetIfNewer(ctx, "k", cache.Version{1})
			if newer != found || found != (string(item.Value) == "v") {
				t.Errorf("GetIfNewer: got %+v, %v, %v", item, newer, found)
			}
			return found, err
		},
		"GetIfNewer of the same": func() (bool, error) {
			_, newer, found, err := s.GetIfNewer(ctx, "k", counted)
			if newer {
				t.Error("GetIfNewer: the version that it was given is newer")
			}
			return found, err
		},
		"GetUnder":           func() (bool, error) { _, found, err := s.GetUnder(ctx, "k", []cache.Token{shoe}); return found, err },
		"GetUnder of others": func() (bool, error) { _, found, err := s.GetUnder(ctx, "k", []cache.Token{hats}); return found, err },
		"GetUnder of none":   func() (bool, error) { _, found, err := s.GetUnder(ctx, "k", nil); return found, err },
		"GetUnder of bad": func() (bool, error) {
			_, found, err := s.GetUnder(ctx, "k", []cache.Token{cache.RegionToken("")})
			return found, err
		},
		"Peek": func() (bool, error) {
			value, reply, err := s.Peek(ctx, "k")
			if (reply.State == cache.LeaseFound) != (string(value) == "v") || reply.State != cache.LeaseFound && reply.State != cache.LeaseFree {
				t.Errorf("Peek: got %q, %+v", value, reply)
			}
			return reply.State == cache.LeaseFound, err
		},
		"Count": func() (bool, error) {
			_, _, err := s.Count(ctx, "k")
			if err != nil { // a value
				wantErr(t, err, cache.ErrWrongType)
			}
			return err != nil, nil
		},
	}
	for _, want := range []bool{true, false} {
		for name, read := range reads {
			if found, err := read(); err != nil || found != want {
				t.Errorf("%s: found %v, %v, want %v", name, found, err, want)
			}
		}
		must(t, s.another(t).ExpireTokens(ctx, shoes))
	}
	must(t, s.Refresh(ctx, "k"))
	wantMiss(t, s, "k")
}

// What a lock stands on may expire with its region; then there is no entry, and
// no lock, for anybody.
func testRegionsOnLockedEntries(t *testing.T, s server) {
	ctx := t.Context()
	for name, do := range map[string]struct {
		call func(h cache.LockHandle) error
		want error
	}{
		"PutAndUnlock": {func(h cache.LockHandle) error {
			return second(s.PutAndUnlock(ctx, "k", []byte("new"), h, forever))
		}, cache.ErrNoEntry},
		"Unlock":   {func(h cache.LockHandle) error { return s.Unlock(ctx, "k", h, 0) }, cache.ErrNoEntry},
		"ResetTTL": {func(cache.LockHandle) error { return s.ResetTTL(ctx, "k", time.Hour) }, cache.ErrNoEntry},
		"RemoveLocked": {func(h cache.LockHandle) error {
			return reported(s.RemoveLocked(ctx, "k", h))
		}, errFalse},
		"GetAndLock": {func(cache.LockHandle) error {
			_, _, err := s.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{})
			return err
		}, cache.ErrNoEntry},
		"GetAndLock forced": {func(cache.LockHandle) error {
			item, _, err := s.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{Force: true})
			if item.Value != nil || !item.Locked {
				t.Errorf("GetAndLock forced: got %+v", item)
			}
			return err
		}, nil},
		"Add": {func(cache.LockHandle) error { return second(s.Add(ctx, "k", []byte("new"), forever)) }, nil},
	} {
		must(t, s.Set(ctx, "k", []byte("old"), with(shoe)))
		item, handle, err := s.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{})
		must(t, err)
		if got, found, err := s.GetItem(ctx, "k"); err != nil || !found || !got.Locked || string(item.Value) != "old" {
			t.Fatalf("%s: locked: got %+v, %v, %v", name, got, found, err)
		}
		must(t, s.ExpireTokens(ctx, shoe))
		wantMiss(t, s, "k")
		if _, found, err := s.GetItem(ctx, "k"); found || err != nil {
			t.Errorf("%s: GetItem found it, %v", name, err)
		}
		wantErr(t, do.call(handle), do.want)
		must(t, s.Remove(ctx, "k"))
	}
	// As long as it counts a lock does what it always does.
	must(t, s.Set(ctx, "k", []byte("old"), with(shoe)))
	_, handle, err := s.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{})
	must(t, err)
	must(t, second(s.PutAndUnlock(ctx, "k", []byte("new"), handle, with(shoe))))
	wantValue(t, s, "k", "new")
	_, handle, err = s.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{})
	must(t, err)
	must(t, s.Unlock(ctx, "k", handle, time.Minute))
	wantValue(t, s, "k", "new")
	must(t, s.ExpireTokens(ctx, shoe))
	wantMiss(t, s, "k")
}
