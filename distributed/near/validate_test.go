package near

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
)

// In mode Validate nobody needs to tell.
func TestValidateSeesEveryChange(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*rig)
		want   string // "": a miss
	}{
		{"a write", func(r *rig) { r.write("k", "new", cache.EntryOptions{}) }, "new"},
		{"the same value", func(r *rig) { r.write("k", "old", cache.EntryOptions{}) }, "old"},
		{"a removal", func(r *rig) { r.must(r.other.Remove(r.ctx, "k")) }, ""},
		{"a foreign removal", func(r *rig) { r.must(r.client.Del(r.ctx, prefix+"k").Err()) }, ""},
		{"foreign data", func(r *rig) { r.must(r.client.Set(r.ctx, prefix+"k", "x", 0).Err()) }, ""},
		{"a list", func(r *rig) {
			r.must(r.client.Del(r.ctx, prefix+"k").Err())
			r.must(r.client.RPush(r.ctx, prefix+"k", "x").Err())
		}, ""},
		{"a flush", func(r *rig) { r.must(r.client.FlushAll(r.ctx).Err()) }, ""},
		{"a write mark", func(r *rig) {
			_, err := r.other.BeginWrite(r.ctx, "k", time.Minute)
			r.must(err)
		}, ""},
		{"its region", func(r *rig) { r.expireElsewhere(cache.RegionToken("x")) }, ""},
		{"everything", func(r *rig) { r.expireElsewhere(cache.GlobalToken()) }, ""},
		{"a lost generation", func(r *rig) { r.must(r.client.Del(r.ctx, prefix+generationOfX).Err()) }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, unsupported := range []bool{false, true} {
				r := newRigOf(t, Options{Mode: Validate}, &hand{unsupported: unsupported})
				r.hold("k", "old", inRegion("x"))
				test.change(r)
				r.wantHeld("k", false)
				if test.want == "" {
					r.wantMiss("k")
				} else {
					r.wantGet("k", test.want)
					r.wantHeld("k", true)
				}
			}
		})
	}
}

func TestValidateServesWhatIsUnchanged(t *testing.T) {
	r := newRig(t, Options{Mode: Validate})
	r.hold("k", "v", inRegion("x"))
	r.expireElsewhere(cache.RegionToken("y")) // another one
	if _, _, err := r.other.GetAndLock(r.ctx, "k", time.Minute, cache.LockOptions{}); err != nil {
		t.Fatal(err)
	}
	r.hand.Lost(errors.New("cut")) // it does not matter, but for the memory
	r.wantHeld("k", false)
	r.contact()
	r.hold("j", "v", inRegion("x"))
	before := r.near.NearStats()
	r.wantGet("j", "v")
	if got := r.near.NearStats(); got.Hits != before.Hits+1 || got.Misses != before.Misses {
		t.Errorf("NearStats = %+v after %+v, want one hit more", got, before)
	}
}

func TestValidateWithoutServerServesNothing(t *testing.T) {
	r := newRig(t, Options{Mode: Validate})
	r.hold("k", "v", cache.EntryOptions{})
	r.mini.Close()
	if _, _, err := r.names.Get(r.ctx, "k"); !errors.Is(err, cache.ErrUnavailable) {
		t.Errorf("Get = %v, want ErrUnavailable", err)
	}
}

func TestValidateRestartsSlidingWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Mode: Validate})
		const window = 16 * time.Second
		r.hold("k", "v", cache.EntryOptions{SlidingExpiration: window})
		for range 40 {
			time.Sleep(window/slidingShare - time.Millisecond)
			r.wantGet("k", "v")
			synctest.Wait()
			time.Sleep(window * 14 / 16)
			r.wantGet("k", "v")
			synctest.Wait()
		}
		time.Sleep(window)
		r.wantMiss("k")
	})
}
