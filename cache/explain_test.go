package cache_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

// only returns the one reason of an explanation, without its layer.
func only(t *testing.T, e cache.Explanation, err error) cache.Reason {
	t.Helper()
	if err != nil || len(e.Reasons) != 1 {
		t.Fatalf("got %v, %v; want one reason", e, err)
	}
	return e.Reasons[0]
}

func TestTypedExplain(t *testing.T) {
	type other struct{ A, B int }
	for _, kind := range kinds[1:] {
		t.Run(kind.name, func(t *testing.T) {
			ctx := t.Context()
			c := kind.open(t)
			v := typed(t, c, &cache.TypedOptions[string]{NegativeTTL: time.Minute})
			tests := []struct {
				name string
				put  func(key string) error
				want cache.State
			}{
				{"nothing", func(string) error { return nil }, cache.StateAbsent},
				{"a value", func(key string) error { return v.Set(ctx, key, "secret", cache.EntryOptions{}) }, cache.StateValue},
				{"a zero value", func(key string) error { return v.Set(ctx, key, "", cache.EntryOptions{}) }, cache.StateValue},
				{"a negative entry", func(key string) error {
					_, err := v.GetOrCreateExclusive(ctx, key, func(context.Context, *cache.Entry) (string, error) { return "", cache.ErrNotFound })
					if errors.Is(err, cache.ErrNotFound) {
						return nil
					}
					return fmt.Errorf("got %w", err)
				}, cache.StateNegative},
				{"another type", func(key string) error { return typed[other](t, c, nil).Set(ctx, key, other{}, cache.EntryOptions{}) }, cache.StateSchema},
			}
			for _, tt := range tests {
				if err := tt.put(tt.name); err != nil {
					t.Fatalf("%s: %v", tt.name, err)
				}
				e, err := v.Explain(ctx, tt.name)
				if r := only(t, e, err); r.State != tt.want || e.Served() != (tt.want == cache.StateValue) {
					t.Errorf("%s: got %v, want %v", tt.name, e, tt.want)
				}
				if strings.Contains(e.String(), "secret") {
					t.Errorf("%s: %q tells the value", tt.name, e)
				}
			}
			e, err := v.Explain(cache.Disabled(ctx), "a value")
			if err != nil || e.Served() || e.Reasons[0].State != cache.StateDisabled || !e.Has(cache.StateValue) {
				t.Errorf("in a context without caching: got %v, %v", e, err)
			}
			if stats := c.(cache.StatsReporter).Stats(); stats.Undecodable != 0 {
				t.Errorf("explaining counted %d undecodable entries, want 0", stats.Undecodable)
			}
		})
	}
}

// An abstract type is held in a wrapper: what is there is judged all the same.
func TestTypedExplainOfAnInterface(t *testing.T) {
	v := typed[any](t, openMemory(t), nil)
	if err := v.Set(t.Context(), "k", nil, cache.EntryOptions{}); err != nil {
		t.Fatal(err)
	}
	e, err := v.Explain(t.Context(), "k")
	if r := only(t, e, err); r.State != cache.StateValue {
		t.Errorf("got %v, want a value", e)
	}
}

func TestTypedExplainOfBytes(t *testing.T) {
	ctx := t.Context()
	m := openMemory(t)
	if err := m.Set(ctx, "k", []byte("bytes"), cache.EntryOptions{}); err != nil {
		t.Fatal(err)
	}
	e, err := typed[[]byte](t, m, nil).Explain(ctx, "k")
	if r := only(t, e, err); r.State != cache.StateForeign || !errors.Is(r.Err, cache.ErrWrongType) {
		t.Errorf("bytes in memory: got %v, want something that the typed layer did not write", e)
	}
	c := openRedis(t)
	v := typed[int](t, c, nil)
	for _, data := range []string{"", "bytes"} {
		if err := c.Set(ctx, "k", []byte(data), cache.EntryOptions{}); err != nil {
			t.Fatal(err)
		}
		e, err = v.Explain(ctx, "k")
		if r := only(t, e, err); r.State != cache.StateUndecodable || r.Err == nil {
			t.Errorf("bytes without a frame: got %v, want undecodable", e)
		}
	}
	if err := v.Set(ctx, "k", 42, cache.EntryOptions{}); err != nil {
		t.Fatal(err)
	}
	data, _, err := c.Get(ctx, "k")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Set(ctx, "k", append(data, "more"...), cache.EntryOptions{}); err != nil {
		t.Fatal(err)
	}
	e, err = v.Explain(ctx, "k")
	if r := only(t, e, err); r.State != cache.StateUndecodable || !errors.Is(r.Err, cache.ErrUndecodable) {
		t.Errorf("a frame around what is no int: got %v, want undecodable", e)
	}
}

func TestTypedExplainNeedsTheCapability(t *testing.T) {
	if _, err := typed[string](t, newFour(), nil).Explain(t.Context(), "k"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v, want ErrUnsupported", err)
	}
}

// An uncached load shows, too.
func TestExplainOfALoadThatBypassesTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := typed[string](t, openMemory(t), nil)
		h := newHeld()
		c := start(cache.Disabled(t.Context()), v, h.load("v"))
		synctest.Wait()
		e, err := v.Explain(t.Context(), "k")
		if err != nil || !e.Has(cache.StateLoading) || !e.Has(cache.StateAbsent) || e.Served() {
			t.Errorf("got %v, %v, want a load and no entry", e, err)
		}
		close(h.release)
		c.want(t, "v", nil)
	})
}

func TestExplanationsForHumans(t *testing.T) {
	reasons := func(r ...cache.Reason) cache.Explanation { return cache.Explanation{Reasons: r} }
	tests := []struct {
		e    cache.Explanation
		want string
	}{
		{reasons(cache.Reason{Layer: "redis", State: cache.StateValue, TTL: time.Minute, Sliding: time.Hour, Locked: true}),
			"served: redis: value, 1m0s left, sliding 1h0m0s, locked"},
		{reasons(cache.Reason{Layer: "memory", State: cache.StateRegionExpired}, cache.Reason{Layer: "redis", State: cache.StateValue, TTL: cache.NoExpiry}),
			"served: memory: region expired; redis: value, no end"},
		{reasons(cache.Reason{Layer: "redis", State: cache.StateLease, TTL: 4900 * time.Millisecond}),
			"not served: redis: lease of another process, 4.9s left"},
		{reasons(cache.Reason{Layer: "redis", State: cache.StateLease, Here: true}, cache.Reason{Layer: "load", State: cache.StateLoading, Age: 120 * time.Millisecond, Waiters: 7}),
			"not served: redis: lease of a load here; load: loading for 120ms, 7 wait"},
		{reasons(cache.Reason{Layer: "redis", State: cache.StateBreakerOpen, Err: cache.ErrUnavailable}),
			"not served: redis: breaker open (cache unavailable)"},
		{reasons(cache.Reason{Layer: "load", State: cache.StateDisabled}, cache.Reason{Layer: "redis", State: cache.StateValue}),
			"not served: load: disabled; redis: value"},
		{reasons(), "not served"},
		{reasons(cache.Reason{Layer: "x", State: 200}), "not served: x: State(200)"},
	}
	for _, tt := range tests {
		if got := tt.e.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
	for s := cache.StateUnknown; s <= cache.StateLoading; s++ {
		if strings.HasPrefix(s.String(), "State(") {
			t.Errorf("state %d has no name", s)
		}
	}
}

func ExampleTyped_Explain() {
	ctx := context.Background()
	c, err := memory.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close(ctx)
	prices := cache.NewTyped[int](c, nil)

	explain := func() {
		e, err := prices.Explain(ctx, "price")
		fmt.Println(e, err)
	}
	explain()
	_ = prices.Set(ctx, "price", 42, cache.EntryOptions{TTL: cache.NoExpiry, SlidingExpiration: cache.MaxTTL})
	e, _ := prices.Explain(ctx, "price")
	fmt.Println(e.Served(), e.Reasons[0].State)
	_ = cache.SetEnabled(c, false)
	e, _ = prices.Explain(ctx, "price")
	fmt.Println(e.Served(), e.Reasons[0].State)
	// Output:
	// not served: memory: absent <nil>
	// true value
	// false disabled
}
