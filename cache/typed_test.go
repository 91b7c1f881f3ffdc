package cache_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
)

// roundTrip stores value in both ways and wants it back as it was.
func roundTrip[V any](t *testing.T, c cache.Cache, name string, value V) {
	t.Helper()
	v := typed[V](t, c, nil)
	loads := 0
	for range 2 {
		got, err := v.GetOrCreateExclusive(t.Context(), name, func(context.Context, *cache.Entry) (V, error) {
			loads++
			return value, nil
		})
		if err != nil || !reflect.DeepEqual(got, value) {
			t.Errorf("%s: GetOrCreateExclusive: got %#v, %v; want %#v", name, got, err, value)
		}
	}
	if loads != 1 {
		t.Errorf("%s: got %d loads, want 1", name, loads)
	}
	if err := v.Set(t.Context(), name, value, cache.EntryOptions{}); err != nil {
		t.Errorf("%s: Set: %v", name, err)
	}
	got, found, err := v.Get(t.Context(), name)
	if err != nil || !found || !reflect.DeepEqual(got, value) {
		t.Errorf("%s: Get: got %#v, %v, %v; want %#v", name, got, found, err, value)
	}
}

func TestEveryValueIsAValue(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		roundTrip(t, c, "nil pointer", (*product)(nil))
		roundTrip(t, c, "pointer to zero", &product{})
		roundTrip(t, c, "zero struct", product{})
		roundTrip(t, c, "empty text", "")
		roundTrip(t, c, "zero", 0)
		roundTrip(t, c, "false", false)
		roundTrip(t, c, "nil slice", []int(nil))
		roundTrip(t, c, "empty slice", []int{})
		roundTrip(t, c, "nil bytes", []byte(nil))
		roundTrip(t, c, "empty bytes", []byte{})
		roundTrip(t, c, "nil map", map[string]int(nil))
		roundTrip(t, c, "empty map", map[string]int{})
		roundTrip(t, c, "nil interface", any(nil))
	})
}

func TestNegativeEntries(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		missing := func(loads *int) func(context.Context, *cache.Entry) (string, error) {
			return func(context.Context, *cache.Entry) (string, error) {
				*loads++
				return "", cache.ErrNotFound
			}
		}
		plain := typed[string](t, c, nil)
		loads := 0
		for range 2 {
			if _, err := plain.GetOrCreateExclusive(t.Context(), "k", missing(&loads)); !errors.Is(err, cache.ErrNotFound) {
				t.Errorf("got %v, want ErrNotFound", err)
			}
		}
		if loads != 2 {
			t.Errorf("without NegativeTTL: got %d loads, want 2", loads)
		}

		negative := typed[string](t, c, &cache.TypedOptions[string]{NegativeTTL: time.Second})
		loads = 0
		for range 2 {
			if _, err := negative.GetOrCreateExclusive(t.Context(), "k", missing(&loads)); !errors.Is(err, cache.ErrNotFound) {
				t.Errorf("got %v, want ErrNotFound", err)
			}
		}
		if _, found, err := negative.Get(t.Context(), "k"); found || !errors.Is(err, cache.ErrNotFound) {
			t.Errorf("Get of a negative entry: got %v, %v; want false, ErrNotFound", found, err)
		}
		if loads != 1 {
			t.Errorf("with NegativeTTL: got %d loads, want 1", loads)
		}
		if _, expires := c.(*four); !expires {
			time.Sleep(time.Second)
			if _, found, err := negative.Get(t.Context(), "k"); found || err != nil {
				t.Errorf("after NegativeTTL: got %v, %v; want a plain miss", found, err)
			}
		}
	})
}

func TestLoaderSaysHowLongItsValueLives(t *testing.T) {
	for _, k := range kinds[1:] {
		t.Run(k.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := typed[string](t, k.open(t), &cache.TypedOptions[string]{Defaults: cache.EntryOptions{TTL: time.Minute}})
				live := func(key string, ttl time.Duration) {
					t.Helper()
					time.Sleep(ttl - time.Millisecond)
					if _, found, err := v.Get(t.Context(), key); !found || err != nil {
						t.Errorf("%s: gone 1ms before its deadline (%v)", key, err)
					}
					time.Sleep(time.Millisecond)
					if _, found, err := v.Get(t.Context(), key); found || err != nil {
						t.Errorf("%s: alive at its deadline (%v)", key, err)
					}
				}
				mustLoad(t, v, "own", cache.Entry{EntryOptions: cache.EntryOptions{TTL: time.Second}})
				live("own", time.Second)
				mustLoad(t, v, "default", cache.Entry{})
				live("default", time.Minute)
				mustLoad(t, v, "no store", cache.Entry{NoStore: true})
				if _, found, _ := v.Get(t.Context(), "no store"); found {
					t.Error("NoStore: the value was stored")
				}
			})
		})
	}
}

func mustLoad(t *testing.T, v *cache.Typed[string], key string, entry cache.Entry) {
	t.Helper()
	got, err := v.GetOrCreateExclusive(t.Context(), key, func(_ context.Context, e *cache.Entry) (string, error) {
		*e = entry
		return "v", nil
	})
	if got != "v" || err != nil {
		t.Errorf("%s: got %q, %v", key, got, err)
	}
}

func TestRefusedFillsDoNotFailTheRead(t *testing.T) {
	for _, k := range kinds[1:] {
		t.Run(k.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := k.open(t).(cache.Backend)
				big := typed[string](t, c, nil)
				opts := cache.EntryOptions{Size: 1 << 40}
				value := strings.Repeat("x", 2<<20)
				got, err := big.GetOrCreateExclusive(t.Context(), "big", func(_ context.Context, e *cache.Entry) (string, error) {
					e.EntryOptions = opts
					return value, nil
				})
				if got != value || err != nil {
					t.Errorf("too large a value: got %d bytes, %v; want it all the same", len(got), err)
				}
				if _, found, _ := big.Get(t.Context(), "big"); found {
					t.Error("too large a value was stored")
				}
				if n := c.Stats().FillsRefused; n != 1 {
					t.Errorf("FillsRefused: got %d, want 1", n)
				}
				_, err = big.GetOrCreateExclusive(t.Context(), "bad", func(_ context.Context, e *cache.Entry) (string, error) {
					e.TTL = -1
					return "v", nil
				})
				if !errors.Is(err, cache.ErrInvalidTTL) {
					t.Errorf("a loader's negative TTL: got %v, want ErrInvalidTTL", err)
				}
			})
		})
	}
}

func TestUnencodableValueIsReturnedButNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openRedis(t)
		funcs := typed[any](t, c, nil)
		got, err := funcs.GetOrCreateExclusive(t.Context(), "k", func(context.Context, *cache.Entry) (any, error) {
			return func() {}, nil
		})
		if got == nil || err != nil {
			t.Errorf("got %v, %v; want the function", got, err)
		}
		if err := funcs.Set(t.Context(), "k", func() {}, cache.EntryOptions{}); !errors.Is(err, cache.ErrUnencodable) {
			t.Errorf("Set: got %v, want ErrUnencodable", err)
		}
	})
}

type productV2 struct {
	Name  string
	Price float64
}

// A changed type, and bytes that are no typed entry at all, are misses that are
// counted and that the next load replaces.
func TestEntryOfAnotherSchemaIsAMiss(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		if _, ok := cache.As[cache.Objects](c); ok {
			return // see TestObjectOfAnotherTypeIsAMiss
		}
		spoil := map[string]func(){
			"old type": func() {
				if err := typed[product](t, c, nil).Set(t.Context(), "k", product{"tea", 3}, cache.EntryOptions{}); err != nil {
					t.Error(err)
				}
			},
			"foreign bytes": func() {
				if err := c.Set(t.Context(), "k", []byte("hello"), cache.EntryOptions{}); err != nil {
					t.Error(err)
				}
			},
			"no bytes": func() {
				if err := c.Set(t.Context(), "k", []byte{}, cache.EntryOptions{}); err != nil {
					t.Error(err)
				}
			},
		}
		v2 := typed[productV2](t, c, nil)
		for name, do := range spoil {
			do()
			if _, found, err := v2.Get(t.Context(), "k"); found || err != nil {
				t.Errorf("%s: got %v, %v; want a miss", name, found, err)
			}
			want := productV2{"tea", 3.5}
			for range 2 {
				got, err := v2.GetOrCreateExclusive(t.Context(), "k", load(want))
				if got != want || err != nil {
					t.Errorf("%s: got %v, %v; want %v", name, got, err, want)
				}
			}
			if got, found, err := v2.Get(t.Context(), "k"); !found || got != want || err != nil {
				t.Errorf("%s was not replaced: got %v, %v, %v", name, got, found, err)
			}
		}
		if s, ok := cache.As[cache.StatsReporter](c); ok && s.Stats().Undecodable < 3 {
			t.Errorf("Undecodable: got %d, want at least 3", s.Stats().Undecodable)
		}
	})
}

func TestObjectOfAnotherTypeIsAMiss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openMemory(t)
		if err := typed[product](t, c, nil).Set(t.Context(), "k", product{"tea", 3}, cache.EntryOptions{}); err != nil {
			t.Fatal(err)
		}
		v2 := typed[productV2](t, c, nil)
		if _, found, err := v2.Get(t.Context(), "k"); found || err != nil {
			t.Errorf("got %v, %v; want a miss", found, err)
		}
		want := productV2{"tea", 3.5}
		for range 2 {
			if got, err := v2.GetOrCreateExclusive(t.Context(), "k", load(want)); got != want || err != nil {
				t.Errorf("got %v, %v; want %v", got, err, want)
			}
		}
		if got, found, _ := v2.Get(t.Context(), "k"); !found || got != want {
			t.Errorf("the object was not replaced: %v, %v", got, found)
		}
		if err := c.Set(t.Context(), "bytes", []byte("x"), cache.EntryOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := v2.GetOrCreateExclusive(t.Context(), "bytes", load(want)); !errors.Is(err, cache.ErrWrongType) {
			t.Errorf("a key of the byte API: got %v, want ErrWrongType", err)
		}
	})
}

func TestSchemaNameJoinsTypes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type renamed struct {
			Name  string
			Price int
		}
		c := openRedis(t)
		if err := typed(t, c, &cache.TypedOptions[product]{Schema: "product/1"}).Set(t.Context(), "k", product{"tea", 3}, cache.EntryOptions{}); err != nil {
			t.Fatal(err)
		}
		got, found, err := typed(t, c, &cache.TypedOptions[renamed]{Schema: "product/1"}).Get(t.Context(), "k")
		if !found || err != nil || got != (renamed{"tea", 3}) {
			t.Errorf("got %v, %v, %v; want the same product", got, found, err)
		}
	})
}

func TestSwitches(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed[string](t, c, nil)
		off := cache.Disabled(t.Context())
		if err := v.Set(t.Context(), "k", "old", cache.EntryOptions{}); err != nil {
			t.Fatal(err)
		}
		if got, err := v.GetOrCreateExclusive(off, "k", load("new")); got != "new" || err != nil {
			t.Errorf("bypassing: got %q, %v; want the source's value", got, err)
		}
		if _, found, err := v.Get(off, "k"); found || err != nil {
			t.Errorf("Get, bypassing: got %v, %v; want a miss", found, err)
		}
		if got, _, _ := v.Get(t.Context(), "k"); got != "old" {
			t.Errorf("bypassing stored %q", got)
		}
		if err := v.Set(off, "k", "unseen", cache.EntryOptions{}); err != nil {
			t.Error(err)
		}
		if got, found, _ := v.Get(t.Context(), "k"); found {
			t.Errorf("after a Set that bypassed, the cache has %q, which is out of date", got)
		}

		h := newHeld()
		calls := []*call{start(off, v, h.load("v")), start(off, v, h.load("v"))}
		synctest.Wait()
		close(h.release)
		for _, c := range calls {
			c.want(t, "v", nil)
		}
		if n := h.calls.Load(); n != 1 {
			t.Errorf("callers that bypass: got %d loads, want 1", n)
		}
	})
}

func TestSetEnabled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openMemory(t)
		v := typed[string](t, c, nil)
		if err := cache.SetEnabled(c, false); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"a", "b"} {
			if got, err := v.GetOrCreateExclusive(t.Context(), "k", load(want)); got != want || err != nil {
				t.Errorf("off: got %q, %v; want %q", got, err, want)
			}
		}
		if err := cache.SetEnabled(c, true); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got, _ := v.GetOrCreateExclusive(t.Context(), "k", load("c")); got != "c" {
				t.Errorf("on again: got %q, want \"c\"", got)
			}
		}
		if err := cache.SetEnabled(newFour(), false); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("without a coordinator: got %v, want ErrUnsupported", err)
		}
	})
}

// down is a cache whose server is gone.
type down struct{ four }

func (*down) Get(context.Context, string) ([]byte, bool, error) {
	return nil, false, cache.ErrUnavailable
}

func (*down) Set(context.Context, string, []byte, cache.EntryOptions) error {
	panic("a fill was tried although the look-up had failed")
}

func TestCacheThatIsDownDoesNotFailReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := typed[string](t, &down{}, nil)
		h := newHeld()
		calls := []*call{start(t.Context(), v, h.load("v")), start(t.Context(), v, h.load("v"))}
		synctest.Wait()
		close(h.release)
		for _, c := range calls {
			c.want(t, "v", nil)
		}
		if n := h.calls.Load(); n != 1 {
			t.Errorf("got %d loads, want 1", n)
		}
		if _, _, err := v.Get(t.Context(), "k"); !errors.Is(err, cache.ErrUnavailable) {
			t.Errorf("Get: got %v, want ErrUnavailable", err)
		}
	})
}

func TestPackageFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openMemory(t)
		for range 2 {
			if got, err := cache.GetOrCreateExclusive(t.Context(), c, "k", load(7)); got != 7 || err != nil {
				t.Errorf("got %v, %v; want 7", got, err)
			}
		}
		if got, found, _ := cache.NewTyped[int](c, nil).Get(t.Context(), "k"); got != 7 || !found {
			t.Errorf("a Typed of the same cache: got %v, %v; want 7", got, found)
		}
		if _, err := cache.GetOrCreateExclusive(t.Context(), newFour(), "k", load(7)); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("without a coordinator: got %v, want ErrUnsupported", err)
		}
		if _, err := cache.GetOrCreateExclusive(t.Context(), nil, "k", load(7)); !errors.Is(err, cache.ErrInvalidConfig) {
			t.Errorf("nil cache: got %v, want ErrInvalidConfig", err)
		}
	})
}

func TestConfigurationErrors(t *testing.T) {
	tests := map[string]*cache.Typed[string]{
		"nil cache":            cache.NewTyped[string](nil, nil),
		"negative NegativeTTL": cache.NewTyped(newFour(), &cache.TypedOptions[string]{NegativeTTL: -1}),
		"negative LoadTimeout": cache.NewTyped(newFour(), &cache.TypedOptions[string]{LoadTimeout: -1}),
		"negative size":        cache.NewTyped(newFour(), &cache.TypedOptions[string]{Defaults: cache.EntryOptions{Size: -1}}),
	}
	for name, v := range tests {
		_, err := v.GetOrCreateExclusive(t.Context(), "k", load("v"))
		_, _, getErr := v.Get(t.Context(), "k")
		setErr := v.Set(t.Context(), "k", "v", cache.EntryOptions{})
		for _, err := range []error{err, getErr, setErr, v.Remove(t.Context(), "k"), v.Refresh(t.Context(), "k")} {
			if !errors.Is(err, cache.ErrInvalidConfig) {
				t.Errorf("%s: got %v, want ErrInvalidConfig", name, err)
			}
		}
	}
}

func TestSlidingThroughTyped(t *testing.T) {
	for _, k := range kinds[1:] {
		t.Run(k.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := typed[string](t, k.open(t), nil)
				if err := v.Set(t.Context(), "k", "v", cache.EntryOptions{SlidingExpiration: time.Minute}); err != nil {
					t.Fatal(err)
				}
				for range 5 {
					time.Sleep(40 * time.Second)
					if _, found, err := v.Get(t.Context(), "k"); !found || err != nil {
						t.Fatalf("a Get did not restart the window (%v)", err)
					}
					synctest.Wait()
				}
				time.Sleep(40 * time.Second)
				if err := v.Refresh(t.Context(), "k"); err != nil {
					t.Error(err)
				}
				time.Sleep(40 * time.Second)
				if _, found, _ := v.Get(t.Context(), "k"); !found {
					t.Error("Refresh did not restart the window")
				}
				synctest.Wait()
				time.Sleep(time.Minute)
				if _, found, _ := v.Get(t.Context(), "k"); found {
					t.Error("alive after a window without reads")
				}
			})
		})
	}
}
