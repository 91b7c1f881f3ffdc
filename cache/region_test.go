package cache_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/cachetest"
)

var shop, fruit = cache.RegionToken("shop"), cache.KeyToken("shop", "fruit")

func expire(t *testing.T, v *cache.Typed[string], tokens ...cache.Token) {
	t.Helper()
	r, ok := cache.As[cache.Regions](v.Cache())
	if !ok {
		t.Fatal("the cache has no regions")
	}
	if err := r.ExpireTokens(t.Context(), tokens...); err != nil {
		t.Errorf("ExpireTokens: %v", err)
	}
}

func track(t *testing.T, v *cache.Typed[string]) {
	t.Helper()
	r, ok := cache.As[cache.Regions](v.Cache())
	if !ok {
		t.Fatal("the cache has no regions")
	}
	r.TrackRegions()
}

// slow is a loader that waits for release, names tokens and brings value.
func slow(release <-chan struct{}, value string, err error, change func(*cache.Entry)) func(context.Context, *cache.Entry) (string, error) {
	return func(_ context.Context, e *cache.Entry) (string, error) {
		<-release
		change(e)
		return value, err
	}
}

func names(tokens ...cache.Token) func(*cache.Entry) {
	return func(e *cache.Entry) { e.AddToken(tokens...) }
}

// The claim with regions: a load is under way here, a region expires there, a
// caller comes here and joins, for the key's lease stands; only then the loader
// says that it depends on the region.
func TestLateCallerDoesNotGetALoadWhoseRegionExpiredElsewhere(t *testing.T) {
	notFound := errors.Join(cache.ErrNotFound)
	for name, load := range map[string]struct {
		err    error
		change func(*cache.Entry)
	}{
		"AddToken":      {nil, names(fruit)},
		"Entry.Tokens":  {nil, func(e *cache.Entry) { e.Tokens = []cache.Token{shop} }},
		"not stored":    {nil, func(e *cache.Entry) { e.NoStore = true; e.AddToken(fruit) }},
		"an error":      {errors.New("the source is broken"), names(fruit)},
		"not found":     {notFound, names(fruit)},
		"a bad option":  {nil, func(e *cache.Entry) { e.TTL = -1; e.AddToken(fruit) }},
		"global":        {nil, names(cache.GlobalToken(), fruit)},
		"of many":       {nil, names(cache.RegionToken("a"), cache.RegionToken("b"), fruit)},
		"two at a time": {nil, func(e *cache.Entry) { e.AddToken(cache.RegionToken("a")); e.AddToken(fruit) }},
	} {
		t.Run(name, func(t *testing.T) {
			twoProcesses(t, func(t *testing.T, here, there *cache.Typed[string]) {
				track(t, here)
				release := make(chan struct{})
				early := start(t.Context(), here, slow(release, "old", load.err, load.change))
				synctest.Wait()
				expire(t, there, shop)
				late := start(t.Context(), here, func(_ context.Context, e *cache.Entry) (string, error) {
					e.AddToken(fruit)
					return "new", nil
				})
				synctest.Wait()
				if n := here.Cache().(cache.StatsReporter).Stats().LoadsShared; n != 1 {
					t.Errorf("got %d shared loads, want the late caller to have joined", n)
				}
				close(release)
				<-early.done
				late.want(t, "new", nil)
				if got, _, err := there.Get(t.Context(), "k"); got != "new" || err != nil {
					t.Errorf("in the cache afterwards: got %q, %v; want what is new", got, err)
				}
			})
		})
	}
}

// Where only one process has the cache the same holds, with nobody to ask.
func TestLateCallerDoesNotGetALoadWhoseRegionExpired(t *testing.T) {
	for name, change := range map[string]func(*cache.Entry){
		"AddToken":     names(fruit),
		"Entry.Tokens": func(e *cache.Entry) { e.Tokens = []cache.Token{fruit} },
		"not stored":   func(e *cache.Entry) { e.NoStore = true; e.Tokens = []cache.Token{fruit} },
	} {
		for _, bypass := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					v := typed[string](t, openMemory(t), nil)
					ctx := t.Context()
					if bypass {
						ctx = cache.Disabled(ctx)
					}
					release := make(chan struct{})
					loads := 0
					early := start(ctx, v, func(ctx context.Context, e *cache.Entry) (string, error) {
						if loads++; loads > 1 {
							return "new", nil
						}
						return slow(release, "old", nil, change)(ctx, e)
					})
					synctest.Wait()
					expire(t, v, shop)
					late := start(ctx, v, load("new"))
					synctest.Wait()
					close(release)
					late.want(t, "new", nil)
					<-early.done
					if got, found, _ := v.Get(t.Context(), "k"); found && got != "new" {
						t.Errorf("in the cache afterwards: got %q, want what is new", got)
					}
				})
			})
		}
	}
}

// A flight may find that somebody has stored a value meanwhile. What that depends
// on nobody knows, so any expiration keeps later callers from sharing it.
func TestLateCallerDoesNotGetAValueFoundBeforeItsRegionExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asking, found := cachetest.NewGate(), cachetest.NewGate()
		memory := openMemory(t)
		_, c := cachetest.NewFaults(memory, 1,
			cachetest.Fault{Kind: cachetest.HoldBefore, Ops: []string{"lease"}, Nth: 1, Gate: asking},
			cachetest.Fault{Kind: cachetest.HoldAfter, Ops: []string{"get_object"}, Nth: 2, Gate: found})
		v := typed[string](t, c, nil)
		early := start(t.Context(), v, load("new")) // if it is sent back
		synctest.Wait()
		if err := memory.SetObject(t.Context(), "k", "old", cache.EntryOptions{Tokens: []cache.Token{fruit}}); err != nil {
			t.Error(err)
		}
		asking.Open()
		synctest.Wait()
		if found.Held() != 1 {
			t.Fatal("the flight has not found the value")
		}
		expire(t, v, shop)
		late := start(t.Context(), v, load("new"))
		synctest.Wait()
		found.Open()
		late.want(t, "new", nil)
		<-early.done
	})
}

// Between the answer about a flight's regions and its end nobody may join it: the
// region may expire in between.
func TestNobodyJoinsALoadWhoseRegionsWereJudged(t *testing.T) {
	twoProcesses(t, func(t *testing.T, here, there *cache.Typed[string]) {
		track(t, here)
		for _, how := range []string{"stored", "not stored", "locked"} {
			if how == "locked" { // so that there is no lease which would be gone by then
				if _, _, err := there.Cache().(cache.Locker).GetAndLock(t.Context(), "k", time.Hour, cache.LockOptions{Force: true}); err != nil {
					t.Fatal(err)
				}
			}
			gate := cachetest.NewGate()
			_, c := cachetest.NewFaults(here.Cache(), 1, cachetest.Fault{Kind: cachetest.HoldAfter, Ops: []string{"unexpired", "set"}, Gate: gate})
			v := cache.NewTyped[string](c, nil)
			release := make(chan struct{})
			loader := slow(release, "old", nil, func(e *cache.Entry) { e.NoStore = how == "not stored"; e.AddToken(fruit) })
			calls := []*call{start(t.Context(), v, loader)}
			synctest.Wait()
			calls = append(calls, start(t.Context(), v, loader)) // somebody to ask for
			synctest.Wait()
			close(release)
			synctest.Wait()
			if gate.Held() != 1 {
				t.Fatal("the flight does not wait for its answer")
			}
			expire(t, there, shop)
			after := start(t.Context(), v, func(_ context.Context, e *cache.Entry) (string, error) {
				e.NoStore = true
				return "new", nil
			})
			synctest.Wait()
			after.want(t, "new", nil)
			gate.Open()
			for _, c := range calls {
				c.want(t, "old", nil)
			}
			remove(t, there)
		}
	})
}

// Callers that came before the region expired may take what the load brings, and
// are not made to load once more.
func TestCallersFromBeforeKeepTheirLoad(t *testing.T) {
	twoProcesses(t, func(t *testing.T, here, there *cache.Typed[string]) {
		track(t, here)
		h := newHeld()
		early := start(t.Context(), here, func(ctx context.Context, e *cache.Entry) (string, error) {
			v, err := h.load("old")(ctx, e)
			e.AddToken(fruit)
			return v, err
		})
		synctest.Wait()
		expire(t, there, fruit)
		close(h.release)
		early.want(t, "old", nil)
		if n := h.calls.Load(); n != 1 {
			t.Errorf("got %d loads, want 1", n)
		}
		if _, found, err := here.Get(t.Context(), "k"); found || err != nil {
			t.Errorf("in the cache afterwards: got %v, %v; want nothing", found, err)
		}
	})
}

// If the region did not expire late callers share the load as ever.
func TestLateCallersShareALoadWithLiveTokens(t *testing.T) {
	twoProcesses(t, func(t *testing.T, here, there *cache.Typed[string]) {
		track(t, here)
		for _, store := range []bool{true, false} {
			if err := there.Set(t.Context(), "k", "known", cache.EntryOptions{Tokens: []cache.Token{fruit}}); err != nil {
				t.Error(err)
			}
			remove(t, there)
			h := newHeld()
			var calls []*call
			for range 10 {
				calls = append(calls, start(t.Context(), here, func(ctx context.Context, e *cache.Entry) (string, error) {
					v, err := h.load("v")(ctx, e)
					e.NoStore = !store
					e.AddToken(fruit)
					return v, err
				}))
				synctest.Wait()
			}
			expire(t, there, cache.RegionToken("sho"))
			close(h.release)
			for _, c := range calls {
				c.want(t, "v", nil)
			}
			if n := h.calls.Load(); n != 1 {
				t.Errorf("stored %v: got %d loads, want 1", store, n)
			}
		}
	})
}

// A patient load is not cancelled, and who joined it late still starts over; but
// nobody more than once for this, however often the region expires.
func TestExpiringWithoutEndSendsEachCallerBackOnce(t *testing.T) {
	twoProcesses(t, func(t *testing.T, here, there *cache.Typed[string]) {
		track(t, here)
		done := make(chan struct{})
		expiring := make(chan struct{})
		go func() {
			defer close(expiring)
			for {
				select {
				case <-done:
					return
				case <-time.After(10 * time.Millisecond):
					expire(t, there, shop)
				}
			}
		}()
		loader := func(_ context.Context, e *cache.Entry) (string, error) {
			time.Sleep(time.Second)
			e.AddToken(fruit)
			return "v", nil
		}
		begin := time.Now()
		var calls []*call
		for range 20 {
			calls = append(calls, start(t.Context(), here, loader))
			time.Sleep(20 * time.Millisecond)
		}
		for _, c := range calls {
			c.want(t, "v", nil)
		}
		if took := time.Since(begin); took > 4*time.Second {
			t.Errorf("it took %v for all callers, want that of three loads at most", took)
		}
		close(done)
		<-expiring
	})
}

// While the cache cannot be asked loads are shared all the same.
func TestLoadsAreSharedWhileRegionsCannotBeAsked(t *testing.T) {
	twoProcesses(t, func(t *testing.T, here, there *cache.Typed[string]) {
		f, c := cachetest.NewFaults(here.Cache(), 1)
		v := cache.NewTyped[string](c, nil)
		track(t, v)
		release := make(chan struct{})
		early := start(t.Context(), v, slow(release, "old", nil, func(e *cache.Entry) { e.NoStore = true; e.AddToken(fruit) }))
		synctest.Wait()
		late := start(t.Context(), v, load("new"))
		synctest.Wait()
		f.Plan(cachetest.Fault{Kind: cachetest.FailBefore, Ops: []string{"unexpired"}})
		close(release)
		early.want(t, "old", nil)
		late.want(t, "old", nil)
		if f.Calls("unexpired") == 0 {
			t.Error("nobody asked")
		}
	})
}

// Without callers who came late there is nothing to ask; a fill tells by itself.
func TestTokensCostNoRoundTrip(t *testing.T) {
	twoProcesses(t, func(t *testing.T, here, _ *cache.Typed[string]) {
		f, c := cachetest.NewFaults(here.Cache(), 1)
		v := cache.NewTyped[string](c, &cache.TypedOptions[string]{Defaults: cache.EntryOptions{Tokens: []cache.Token{shop}}})
		for _, store := range []bool{false, true} {
			got, err := v.GetOrCreateExclusive(t.Context(), "k", func(_ context.Context, e *cache.Entry) (string, error) {
				e.NoStore = !store
				e.AddToken(fruit)
				return "v", nil
			})
			if got != "v" || err != nil {
				t.Errorf("got %q, %v, want the loaded value", got, err)
			}
		}
		if got, found, err := v.Get(t.Context(), "k"); got != "v" || !found || err != nil {
			t.Errorf("Get = %q, %v, %v, want a hit", got, found, err)
		}
		if n := f.Calls("unexpired") + f.Calls("moment") + f.Calls("get"); n != 0 {
			t.Errorf("got %d calls besides leases, fills and GetUnder, want none", n)
		}
	})
}

// Many ids: each has its own callers, tokens and fate.
func TestManyStartOverOneByOne(t *testing.T) {
	twoProcesses(t, func(t *testing.T, here, there *cache.Typed[string]) {
		track(t, here)
		ids, key := []string{"k", "other"}, func(id string) string { return id }
		loader := func(value string, release <-chan struct{}) func(context.Context, []string, *cache.Entry) (map[string]string, error) {
			return func(_ context.Context, ids []string, e *cache.Entry) (map[string]string, error) {
				<-release
				rows := make(map[string]string)
				for i, id := range ids {
					rows[id] = value
					if id == "k" {
						e.At(i).AddToken(fruit)
					}
				}
				return rows, nil
			}
		}
		held, free := make(chan struct{}), make(chan struct{})
		close(free)
		results := make(chan map[string]string, 2)
		get := func(value string, release <-chan struct{}) {
			rows, err := cache.GetOrCreateMany(t.Context(), here, ids, key, loader(value, release))
			if err != nil {
				t.Errorf("GetOrCreateMany: %v", err)
			}
			results <- rows
		}
		go get("old", held)
		synctest.Wait()
		expire(t, there, shop)
		go get("new", free)
		synctest.Wait()
		close(held)
		first, second := <-results, <-results
		if first["k"] == "new" {
			first, second = second, first
		}
		if first["k"] != "old" || second["k"] != "new" || second["other"] != "old" {
			t.Errorf("got %v for who came before the expiration, %v afterwards; want the late one to start over for k only", first, second)
		}
		for id, want := range map[string]string{"k": "new", "other": "old"} {
			if got, _, _ := there.Get(t.Context(), id); got != want {
				t.Errorf("in the cache %s is %q, want %q", id, got, want)
			}
		}
	})
}

// What the cache does not track cannot be told apart from what expired: the first
// load that names a token is not stored, the next one is.
func TestTokensBeforeRegionsAreTracked(t *testing.T) {
	twoProcesses(t, func(t *testing.T, here, _ *cache.Typed[string]) {
		for _, want := range []bool{false, true} {
			if _, err := here.GetOrCreateExclusive(t.Context(), "k", func(_ context.Context, e *cache.Entry) (string, error) {
				e.AddToken(fruit)
				return "v", nil
			}); err != nil {
				t.Error(err)
			}
			if _, found, err := here.Get(t.Context(), "k"); found != want || err != nil {
				t.Errorf("got %v, %v, want %v", found, err, want)
			}
		}
	})
}

func TestTokensNeedACacheWithRegions(t *testing.T) {
	v := typed[string](t, newFour(), nil)
	if err := v.Set(t.Context(), "k", "v", cache.EntryOptions{Tokens: []cache.Token{shop}}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Set: got %v, want ErrUnsupported", err)
	}
	_, err := v.GetOrCreateExclusive(t.Context(), "k", func(_ context.Context, e *cache.Entry) (string, error) {
		e.AddToken(shop)
		return "v", nil
	})
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("GetOrCreateExclusive: got %v, want ErrUnsupported", err)
	}
	all := typed(t, newFour(), &cache.TypedOptions[string]{Defaults: cache.EntryOptions{Tokens: []cache.Token{shop}}})
	if _, _, err := all.Get(t.Context(), "k"); !errors.Is(err, cache.ErrInvalidConfig) {
		t.Errorf("Get: got %v, want ErrInvalidConfig", err)
	}
}

// AddToken changes nothing of the caller's slices, and names each token once.
func TestAddToken(t *testing.T) {
	backing := []cache.Token{shop, fruit}
	e := cache.Entry{EntryOptions: cache.EntryOptions{Tokens: backing[:1]}}
	e.AddToken(shop, cache.GlobalToken())
	e.AddToken(cache.GlobalToken())
	e.At(0).AddToken(cache.RegionToken("x"))
	if len(e.Tokens) != 3 || backing[1] != fruit {
		t.Errorf("got %v, with %v in the caller's slice; want three tokens, and the slice as it was", e.Tokens, backing)
	}
	defer func() {
		if recover() == nil {
			t.Error("At(1) of one entry: no panic")
		}
	}()
	e.At(1)
}
