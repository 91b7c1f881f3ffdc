package cachetest

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"pgregory.net/rapid"
)

// step is one call that Check makes, or a wait.
type step struct {
	what    action
	keys    []int // into stepKeys; a call on one key takes the first
	value   string
	ttl     time.Duration
	sliding time.Duration
	until   time.Duration // of the absolute expiration, from now
	lease   int           // which of the leases granted, counted from the last; 0: none
	mark    int           // which of the marks, likewise
	version int           // which of the versions seen, likewise
	order   uint64        // of SetIfNewer
	handle  int           // which of the handles got, likewise
	force   bool
	tokens  []int // into stepTokens
	since   int   // which of the Moments seen, counted from the last; 0: none
	delta   int64
	wait    time.Duration
}

// action is what a step does.
type action string

const (
	waits       action = "wait"
	gets        action = "Get"
	sets        action = "Set"
	refreshes   action = "Refresh"
	removes     action = "Remove"
	appends     action = "AppendTo"
	getsMany    action = "GetMany"
	setsMany    action = "SetMany"
	removesMany action = "RemoveMany"
	increments  action = "Increment"
	counts      action = "Count"
	getsObject  action = "GetObject"
	setsObject  action = "SetObject"
	leases      action = "Lease"
	leasesMany  action = "LeaseMany"
	releases    action = "Release"
	clears      action = "Clear"
)

const (
	getsItem       action = "GetItem"
	getsIfNewer    action = "GetIfNewer"
	comparesSets   action = "CompareAndSet"
	adds           action = "Add"
	removesVersion action = "RemoveVersion"
	takesLock      action = "GetAndLock"
	putsUnlocks    action = "PutAndUnlock"
	unlocks        action = "Unlock"
	removesLocked  action = "RemoveLocked"
	resetsTTL      action = "ResetTTL"
	beginsWrite    action = "BeginWrite"
	endsWrite      action = "EndWrite"

	setsIfNewer        action = "SetIfNewer"
	getsObjectItem     action = "GetObjectItem"
	comparesObjects    action = "CompareAndSetObject"
	addsObject         action = "AddObject"
	setsObjectIfNewer  action = "SetObjectIfNewer"
	takesObjectLock    action = "GetObjectAndLock"
	putsObjectsUnlocks action = "PutObjectAndUnlock"
)

const (
	expiresTokens  action = "ExpireTokens"
	takesMoment    action = "Moment"
	asksUnexpired  action = "Unexpired"
	getsUnderToken action = "GetUnder"
)

var stepNeeds = map[action]need{
	appends: appender, getsMany: batcher, setsMany: batcher, removesMany: batcher,
	increments: counter, counts: counter, getsObject: objects, setsObject: objects,
	leases: leaser, leasesMany: leaser, releases: leaser, clears: clearer,
	getsItem: versioner, getsIfNewer: versioner, comparesSets: versioner, adds: versioner, removesVersion: versioner,
	expiresTokens: regions, takesMoment: regions, asksUnexpired: regions, getsUnderToken: regions,
	takesLock: locker, putsUnlocks: locker, unlocks: locker, removesLocked: locker, resetsTTL: locker,
	beginsWrite: marker, endsWrite: marker,
	setsIfNewer: ordered, getsObjectItem: objectVersioner, comparesObjects: objectVersioner, addsObject: objectVersioner,
	setsObjectIfNewer: objectVersioner, takesObjectLock: objectLocker, putsObjectsUnlocks: objectLocker,
}

// stepKeys are few, so that calls meet; the last is refused.
var stepKeys = []string{"a", "b", "c{b}", ""}

// stepTokens belong to each other; the last is refused.
var stepTokens = []cache.Token{
	cache.KeyToken("r", "1"), cache.KeyToken("r", "2"), cache.RegionToken("r"), cache.RegionToken("s"), cache.GlobalToken(), cache.RegionToken(""),
}

// Lifetimes and waits are such that deadlines are often met exactly.
var (
	stepTTLs    = []time.Duration{0, time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, time.Second, cache.NoExpiry, -1}
	stepWindows = []time.Duration{100 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, time.Second}
	stepWaits   = []time.Duration{
		time.Millisecond, 50 * time.Millisecond, 50 * time.Millisecond, 99 * time.Millisecond, 99 * time.Millisecond, 100 * time.Millisecond, 199 * time.Millisecond,
		time.Second - time.Millisecond, time.Second, time.Hour,
	}
	stepDeltas = []int64{1, 1, -1, 0, 5, math.MaxInt64, math.MinInt64}
)

// sequenceGenerator draws the length first: rapid's own slices are mostly short.
func sequenceGenerator() *rapid.Generator[[]step] {
	one := stepGenerator()
	return rapid.Custom(func(t *rapid.T) []step {
		n := rapid.IntRange(1, 80).Draw(t, "n")
		return rapid.SliceOfN(one, n, n).Draw(t, "steps")
	})
}

func stepGenerator() *rapid.Generator[step] {
	actions := []action{
		waits, waits, waits, waits, gets, gets, gets, gets, sets, sets, sets, refreshes, refreshes, removes,
		appends, getsMany, setsMany, removesMany, increments, increments, counts,
		getsObject, setsObject, leases, leases, leases, leasesMany, releases, clears,
		getsItem, getsItem, getsIfNewer, comparesSets, comparesSets, adds, removesVersion,
		takesLock, takesLock, takesLock, putsUnlocks, unlocks, unlocks, removesLocked, resetsTTL,
		beginsWrite, beginsWrite, beginsWrite, endsWrite, endsWrite,
		setsIfNewer, setsIfNewer, setsIfNewer, getsObjectItem, comparesObjects, addsObject, setsObjectIfNewer,
		takesObjectLock, putsObjectsUnlocks,
		expiresTokens, expiresTokens, expiresTokens, takesMoment, takesMoment, asksUnexpired, getsUnderToken,
	}
	return rapid.Custom(func(t *rapid.T) step {
		s := step{what: rapid.SampledFrom(actions).Draw(t, "what")}
		s.keys = []int{rapid.SampledFrom([]int{0, 0, 0, 0, 1, 1, 2, 3}).Draw(t, "key")}
		switch s.what {
		case waits:
			s.wait = rapid.SampledFrom(stepWaits).Draw(t, "wait")
		case getsMany, setsMany, removesMany:
			s.keys = rapid.SliceOfN(rapid.IntRange(0, len(stepKeys)-1), 0, 4).Draw(t, "keys")
		case leasesMany:
			s.keys = rapid.SliceOfNDistinct(rapid.IntRange(0, len(stepKeys)-1), 0, 3, rapid.ID).Draw(t, "keys")
		}
		switch s.what {
		case sets, setsMany, setsObject:
			s.value = rapid.SampledFrom([]string{"v", "w", "", "42"}).Draw(t, "value")
			s.lease = rapid.SampledFrom([]int{0, 0, 0, 1, 1, 2}).Draw(t, "lease")
			if s.lease == 0 {
				s.mark = rapid.SampledFrom([]int{0, 0, 0, 1, 1, 2}).Draw(t, "mark")
			}
			s.drawLifetime(t)
			s.drawTokens(t)
			if s.lease == 0 { // of two reasons to refuse either may be named
				s.since = rapid.SampledFrom([]int{0, 0, 1, 1, 2, 3}).Draw(t, "since")
			}
		case expiresTokens, asksUnexpired, getsUnderToken:
			s.drawTokens(t)
			s.since = rapid.IntRange(0, 3).Draw(t, "since")
		case increments:
			s.delta = rapid.SampledFrom(stepDeltas).Draw(t, "delta")
			s.sliding = rapid.SampledFrom([]time.Duration{0, 0, 0, 0, time.Second}).Draw(t, "sliding")
			s.ttl = rapid.SampledFrom(stepTTLs).Draw(t, "ttl")
		case leases, leasesMany:
			s.ttl = rapid.SampledFrom([]time.Duration{100 * time.Millisecond, time.Second, time.Minute}).Draw(t, "ttl")
		case releases:
			s.lease = rapid.IntRange(1, 2).Draw(t, "lease")
		default:
			s.drawChange(t)
		}
		return s
	})
}

// drawTokens draws none, one or more, which seldom are bad.
func (s *step) drawTokens(t *rapid.T) {
	one := rapid.SampledFrom([]int{0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5})
	s.tokens = rapid.SliceOfN(one, 0, 3).Draw(t, "tokens")
}

// drawLifetime draws options for expiration: mostly one of them, at times more,
// and at times a bad one.
func (s *step) drawLifetime(t *rapid.T) {
	switch rapid.SampledFrom([]string{"ttl", "ttl", "sliding", "sliding", "both", "absolute", "any"}).Draw(t, "lifetime") {
	case "ttl":
		s.ttl = rapid.SampledFrom(stepTTLs[:len(stepTTLs)-1]).Draw(t, "ttl")
	case "sliding":
		s.sliding = rapid.SampledFrom(stepWindows).Draw(t, "sliding")
	case "both":
		s.sliding = rapid.SampledFrom(stepWindows).Draw(t, "sliding")
		s.ttl = rapid.SampledFrom(stepTTLs[:len(stepTTLs)-1]).Draw(t, "ttl")
	case "absolute":
		s.until = rapid.SampledFrom(stepWindows).Draw(t, "until")
		s.ttl = rapid.SampledFrom(stepTTLs[:len(stepTTLs)-2]).Draw(t, "ttl")
	case "any":
		s.ttl = rapid.SampledFrom(stepTTLs).Draw(t, "ttl")
		s.sliding = rapid.SampledFrom(stepTTLs).Draw(t, "sliding")
		s.until = rapid.SampledFrom(stepTTLs).Draw(t, "until")
		if s.until == cache.NoExpiry {
			s.until = -time.Hour
		}
	}
}

func (s step) String() string {
	if s.what == waits {
		return fmt.Sprint("wait ", s.wait)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q", s.what, s.names())
	for _, f := range []struct {
		name  string
		value any
		zero  bool
	}{
		{"value", s.value, s.value == ""}, {"ttl", s.ttl, s.ttl == 0}, {"sliding", s.sliding, s.sliding == 0},
		{"absolute in", s.until, s.until == 0}, {"lease", s.lease, s.lease == 0}, {"mark", s.mark, s.mark == 0}, {"delta", s.delta, s.delta == 0},
		{"version", s.version, s.version == 0}, {"order", s.order, s.order == 0}, {"handle", s.handle, s.handle == 0}, {"force", s.force, !s.force},
		{"tokens", s.tokens, len(s.tokens) == 0}, {"since", s.since, s.since == 0},
	} {
		if !f.zero {
			fmt.Fprintf(&b, ", %s %v", f.name, f.value)
		}
	}
	return b.String()
}

func (s step) names() []string {
	names := make([]string, len(s.keys))
	for i, k := range s.keys {
		names[i] = stepKeys[k]
	}
	return names
}

func (s step) options(on *side) cache.EntryOptions {
	o := cache.EntryOptions{TTL: s.ttl, SlidingExpiration: s.sliding, Lease: on.lease(s.lease), Mark: fromLast(on.marks, s.mark)}
	if on.regions && len(s.tokens) > 0 && s.what != increments {
		o.Tokens, o.Since = s.named(), fromLast(on.moments, s.since)
	}
	if s.until != 0 {
		o.AbsoluteExpiration = time.Now().Add(s.until)
	}
	return o
}

func (s step) possible(c cache.Cache) bool {
	n, ok := stepNeeds[s.what]
	return !ok || n.has(c)
}

// refreshAll restarts the windows of what a step has read.
func (s step) refreshAll(t *testing.T, c cache.Cache) error {
	for _, key := range s.names() {
		if cache.CheckKey(key) == nil {
			if err := c.Refresh(t.Context(), key); err != nil {
				return err
			}
		}
	}
	return nil
}

// take takes the step and describes what came of it. What begins with "hit"
// has read something.
func (s step) take(t *testing.T, on *side) string {
	ctx := t.Context()
	if s.what == waits {
		return ""
	}
	switch s.what {
	case getsMany, setsMany, removesMany, leasesMany, clears:
		return s.takeMany(t, on)
	}
	key := s.names()[0]
	switch s.what {
	case gets:
		value, found, err := on.c.Get(ctx, key)
		return found3(string(value), found, err)
	case sets:
		return errorName(on.c.Set(ctx, key, []byte(s.value), s.options(on)))
	case refreshes:
		return errorName(on.c.Refresh(ctx, key))
	case removes:
		return errorName(on.c.Remove(ctx, key))
	case appends:
		value, found, err := find[cache.Appender](on).AppendTo(ctx, []byte("head "), key)
		return found3(string(value), found, err)
	case increments:
		n, err := find[cache.Counter](on).Increment(ctx, key, s.delta, s.options(on))
		return fmt.Sprint(n, " ", errorName(err))
	case counts:
		n, found, err := find[cache.Counter](on).Count(ctx, key)
		return found3(n, found, err)
	case getsObject:
		value, found, err := find[cache.Objects](on).GetObject(ctx, key)
		return found3(value, found, err)
	case setsObject:
		return errorName(find[cache.Objects](on).SetObject(ctx, key, s.value, s.options(on)))
	case leases:
		reply, err := find[cache.Leaser](on).Lease(ctx, key, s.ttl)
		return fmt.Sprint(on.reply(reply), " ", errorName(err))
	case expiresTokens, takesMoment, asksUnexpired, getsUnderToken:
		return s.takeRegions(ctx, on, key)
	case releases:
		return errorName(find[cache.Leaser](on).Release(ctx, key, on.lease(s.lease)))
	}
	return s.takeChange(ctx, on, key)
}

func (s step) takeMany(t *testing.T, on *side) string {
	ctx := t.Context()
	switch s.what {
	case getsMany:
		results, err := find[cache.Batcher](on).GetMany(ctx, s.names())
		out := "hit?" // refreshing what was missed changes nothing
		for _, r := range results {
			out += " [" + found3(string(r.Value), r.Found, r.Err) + "]"
		}
		return out + " " + errorName(err)
	case setsMany:
		items := make([]cache.Item, len(s.keys))
		for i, key := range s.names() {
			items[i] = cache.Item{Key: key, Value: fmt.Append(nil, s.value, i), Options: s.options(on)}
		}
		return errorName(find[cache.Batcher](on).SetMany(ctx, items))
	case removesMany:
		return errorName(find[cache.Batcher](on).RemoveMany(ctx, s.names()))
	case leasesMany:
		replies, err := find[cache.Leaser](on).LeaseMany(ctx, s.names(), s.ttl)
		out := errorName(err)
		for _, r := range replies {
			out += " [" + on.reply(r) + " " + errorName(r.Err) + "]"
		}
		return out
	default:
		return errorName(find[cache.Clearer](on).Clear(ctx))
	}
}

func find[T any](on *side) T {
	t, _ := cache.As[T](on.c) // possible has looked
	return t
}

func found3(value any, found bool, err error) string {
	switch {
	case err != nil:
		return errorName(err)
	case !found:
		return fmt.Sprintf("miss %v", value)
	default:
		return fmt.Sprintf("hit %v", value)
	}
}
