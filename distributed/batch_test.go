package distributed_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

func testBatch(t *testing.T, s server) {
	ctx := t.Context()
	items := make([]cache.Item, 300)
	for i := range items {
		items[i] = cache.Item{Key: fmt.Sprint("k", i), Value: fmt.Append(nil, "v", i)}
	}
	items[7].Options = cache.EntryOptions{SlidingExpiration: time.Minute, TTL: time.Hour} // takes a script
	must(t, s.SetMany(ctx, items))
	s.raw(t, "foreign", "text")
	must(t, s.client.RPush(ctx, s.prefix+"list", "x").Err())

	keys := []string{"absent", "", "foreign", "list", "k7"}
	for i := range items {
		keys = append(keys, fmt.Sprint("k", len(items)-1-i))
	}
	results, err := s.GetMany(ctx, keys)
	must(t, err)
	for i, key := range keys {
		wantErr(t, results[i].Err, map[bool]error{true: cache.ErrInvalidKey}[key == ""])
		want := ""
		if key != "" && key[0] == 'k' {
			want = "v" + key[1:]
		}
		if got := results[i]; got.Found != (want != "") || string(got.Value) != want {
			t.Errorf("%q: got %+v, want %q", key, got, want)
		}
	}

	var remove []string
	for i := range items {
		if i%2 == 0 {
			remove = append(remove, items[i].Key)
		}
	}
	must(t, s.RemoveMany(ctx, append(remove, "absent", "list", remove[0])))
	for i := range items {
		if i%2 == 0 {
			wantMiss(t, s, items[i].Key)
		} else {
			wantValue(t, s, items[i].Key, fmt.Sprint("v", i))
		}
	}
}

func batchErrs(t *testing.T, err error, n int) []error {
	t.Helper()
	var batch *cache.BatchError
	if !errors.As(err, &batch) || len(batch.Errs) != n {
		t.Fatalf("got %v, want a *cache.BatchError of %d", err, n)
	}
	return batch.Errs
}

func TestBatchKeepsErrorsWithTheirItems(t *testing.T) {
	c, _, _ := onMini(t)
	ctx := t.Context()
	errs := batchErrs(t, c.SetMany(ctx, []cache.Item{
		{Key: "a", Value: []byte("a")},
		{Key: "", Value: []byte("x")},
		{Key: "nil"},
		{Key: "big", Value: make([]byte, 1<<20+1)},
		{Key: "b", Value: []byte("b")},
		{Key: "lost", Value: []byte("x"), Options: cache.EntryOptions{Lease: cache.Lease{1}}},
	}), 6)
	for i, want := range []error{nil, cache.ErrInvalidKey, cache.ErrNilValue, cache.ErrValueTooLarge, nil, cache.ErrLeaseLost} {
		wantErr(t, errs[i], want)
		var op *cache.OpError
		if want != nil && (!errors.As(errs[i], &op) || op.Op != "set_many") {
			t.Errorf("item %d: got %#v, want an *OpError", i, errs[i])
		}
	}
	wantValue(t, c, "a", "a")
	wantValue(t, c, "b", "b")
	errs = batchErrs(t, c.RemoveMany(ctx, []string{"", "a"}), 2)
	wantErr(t, errs[0], cache.ErrInvalidKey)
	wantErr(t, errs[1], nil)
	wantMiss(t, c, "a")
}

func testBatchFills(t *testing.T, s server) {
	ctx := t.Context()
	replies, err := s.LeaseMany(ctx, []string{"a", "b", "c"}, time.Minute)
	must(t, err)
	must(t, s.Remove(ctx, "b"))
	fill := func(i int, key string) cache.Item {
		return cache.Item{Key: key, Value: []byte("filled " + key), Options: fillWith(replies[i].Lease)}
	}
	errs := batchErrs(t, s.SetMany(ctx, []cache.Item{fill(0, "a"), fill(1, "b"), fill(2, "c")}), 3)
	wantErr(t, errs[0], nil)
	wantErr(t, errs[1], cache.ErrLeaseLost)
	wantErr(t, errs[2], nil)
	wantValue(t, s, "a", "filled a")
	wantMiss(t, s, "b")
	wantValue(t, s, "c", "filled c")
}

func TestSetManyOfOneKey(t *testing.T) {
	set := func(value string) cache.Item { return cache.Item{Key: "k", Value: []byte(value)} }
	fill := func(value string, token cache.Lease) cache.Item {
		return cache.Item{Key: "k", Value: []byte(value), Options: fillWith(token)}
	}
	for name, tc := range map[string]struct {
		items func(token cache.Lease) []cache.Item
		want  string
		errs  []error
	}{
		"the later wins": {
			func(cache.Lease) []cache.Item { return []cache.Item{set("1"), set("2"), set("3")} }, "3", nil,
		},
		"a script that is sent again does not win": { // the server does not have it yet
			func(cache.Lease) []cache.Item {
				bounded := set("1")
				bounded.Options = cache.EntryOptions{SlidingExpiration: time.Minute, TTL: time.Hour}
				return []cache.Item{bounded, set("2")}
			}, "2", nil,
		},
		"a refused item does not win": {
			func(cache.Lease) []cache.Item {
				return []cache.Item{set("1"), {Key: "k", Value: []byte("2"), Options: cache.EntryOptions{TTL: -1}}}
			}, "1", []error{nil, cache.ErrInvalidTTL},
		},
		"a fill after a set is too late": {
			func(token cache.Lease) []cache.Item { return []cache.Item{set("1"), fill("2", token)} },
			"1", []error{nil, cache.ErrLeaseLost},
		},
		"a set after a fill wins": {
			func(token cache.Lease) []cache.Item { return []cache.Item{fill("1", token), set("2")} }, "2", nil,
		},
		"a lease is good for one fill": {
			func(token cache.Lease) []cache.Item { return []cache.Item{fill("1", token), fill("2", token)} },
			"1", []error{nil, cache.ErrLeaseLost},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, _, _ := onMini(t)
			token := lease(t, c, "k")
			err := c.SetMany(t.Context(), tc.items(token))
			if tc.errs == nil {
				must(t, err)
			} else {
				for i, err := range batchErrs(t, err, len(tc.errs)) {
					wantErr(t, err, tc.errs[i])
				}
			}
			wantValue(t, c, "k", tc.want)
		})
	}
}

func TestRoundTrips(t *testing.T) {
	m := redistest.Mini(t)
	var line line
	c := open(t, line.client(t, m), distributed.Options{})
	ctx := t.Context()
	items := make([]cache.Item, 50)
	keys := make([]string, 50)
	for i := range items {
		keys[i] = fmt.Sprint("k", i)
		items[i] = cache.Item{Key: keys[i], Value: []byte("v")}
	}
	sliding := cache.EntryOptions{SlidingExpiration: time.Minute, TTL: time.Hour}
	do := map[string]struct {
		want int64
		call func() error
	}{
		"Get":             {1, func() error { _, _, err := c.Get(ctx, "plain"); return err }},
		"Set":             {1, func() error { return c.Set(ctx, "k", []byte("v"), forever) }},
		"Set bounded":     {1, func() error { return c.Set(ctx, "k", []byte("v"), sliding) }},
		"Refresh":         {1, func() error { return c.Refresh(ctx, "k") }},
		"Remove":          {1, func() error { return c.Remove(ctx, "k") }},
		"Increment":       {1, func() error { _, err := c.Increment(ctx, "n", 1, forever); return err }},
		"Count":           {1, func() error { _, _, err := c.Count(ctx, "n"); return err }},
		"Lease":           {1, func() error { _, err := c.Lease(ctx, "l", time.Minute); return err }},
		"Release":         {1, func() error { return c.Release(ctx, "l", cache.Lease{1}) }},
		"GetMany":         {1, func() error { _, err := c.GetMany(ctx, keys); return err }},
		"SetMany":         {1, func() error { return c.SetMany(ctx, items) }},
		"RemoveMany":      {1, func() error { return c.RemoveMany(ctx, keys) }},
		"LeaseMany":       {1, func() error { _, err := c.LeaseMany(ctx, keys, time.Minute); return err }},
		"GetMany of none": {0, func() error { _, err := c.GetMany(ctx, nil); return err }},
		"SetMany of none": {0, func() error { return c.SetMany(ctx, nil) }},
		"RemoveMany none": {0, func() error { return c.RemoveMany(ctx, nil) }},
		"bad key":         {0, func() error { _, _, _ = c.Get(ctx, ""); return nil }},
		"bad value":       {0, func() error { _ = c.Set(ctx, "k", nil, forever); return nil }},
		"Release of none": {0, func() error { return c.Release(ctx, "l", cache.Lease{}) }},
	}
	for name, tc := range do {
		must(t, tc.call()) // connects, and brings the script
		before := line.sends.Load()
		must(t, tc.call())
		if got := line.sends.Load() - before; got != tc.want {
			t.Errorf("%s: got %d round trips, want %d", name, got, tc.want)
		}
	}
}
