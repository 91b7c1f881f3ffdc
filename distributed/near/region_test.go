package near

import (
	"testing"

	"github.com/larder-go/larder/cache"
)

// expireElsewhere expires tokens as another process does, without the news.
func (r *rig) expireElsewhere(tokens ...cache.Token) {
	r.tb.Helper()
	r.must(r.other.ExpireTokens(r.ctx, tokens...))
}

const (
	generationOfX = cache.ReservedPrefix + ":region:x"
	generationOfA = cache.ReservedPrefix + ":region:x:a"
	global        = cache.ReservedPrefix + ":global"
	epoch         = cache.ReservedPrefix + ":epoch"
)

func TestGenerationsExpireWhatIsHeld(t *testing.T) {
	keyed := cache.EntryOptions{Tokens: []cache.Token{cache.KeyToken("x", "a")}}
	for _, test := range []struct {
		name    string
		expire  cache.Token
		changed string
		gone    []string
	}{
		{"a region", cache.RegionToken("x"), generationOfX, []string{"in x", "a of x"}},
		{"a key of a region", cache.KeyToken("x", "a"), generationOfA, []string{"a of x"}},
		{"everything", cache.GlobalToken(), global, []string{"in x", "in y", "a of x"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, Options{})
			all := []string{"in x", "in y", "a of x", "without"}
			for i, opts := range []cache.EntryOptions{inRegion("x"), inRegion("y"), keyed, {}} {
				r.hold(all[i], "v", opts)
			}
			r.expireElsewhere(test.expire)
			r.changed(epoch) // means nothing
			for _, key := range all {
				r.wantHeld(key, true)
			}
			r.changed(test.changed)
			gone := map[string]bool{}
			for _, key := range test.gone {
				gone[key] = true
				r.wantHeld(key, false)
				r.wantMiss(key)
			}
			for _, key := range all {
				if !gone[key] {
					r.wantHeld(key, true)
				}
			}
		})
	}
}

func TestGenerationsRefuseWhatWasRead(t *testing.T) {
	r := newRig(t, Options{})
	r.write("k", "v", inRegion("x"))
	put := r.fetch("k")
	r.expireElsewhere(cache.RegionToken("x"))
	r.changed(generationOfX)
	put()
	r.wantHeld("k", false)
	r.wantMiss("k")
}

func TestOwnExpirationShowsAtOnce(t *testing.T) {
	r := newRig(t, Options{})
	r.hold("k", "v", inRegion("x"))
	r.write("read", "v", inRegion("x"))
	put := r.fetch("read")
	r.must(r.near.ExpireTokens(r.ctx, cache.RegionToken("x")))
	put()
	for _, key := range []string{"k", "read"} {
		r.wantHeld(key, false)
		r.wantMiss(key)
	}
}

func TestTokensOfTheViewAreReadTogether(t *testing.T) {
	r := newRig(t, Options{})
	names := cache.NewTyped[string](r.near, &cache.TypedOptions[string]{Defaults: inRegion("x")})
	r.must(names.Set(r.ctx, "k", "v", cache.EntryOptions{}))
	for range 2 {
		if got, ok, err := names.Get(r.ctx, "k"); got != "v" || !ok || err != nil {
			t.Errorf("Get = %v, %v, %v, want v", got, ok, err)
		}
	}
	r.wantHeld("k", true)
	r.expireElsewhere(cache.GlobalToken())
	r.changed(global)
	r.wantMiss("k")
}
