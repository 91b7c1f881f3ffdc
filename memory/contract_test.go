package memory_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

// call is one method with valid arguments but ctx and key.
type call struct {
	name string
	do   func(c *memory.Cache, ctx context.Context, key string) error
}

func keyCalls() []call {
	return []call{
		{"Get", func(c *memory.Cache, ctx context.Context, key string) error { _, _, err := c.Get(ctx, key); return err }},
		{"AppendTo", func(c *memory.Cache, ctx context.Context, key string) error {
			_, _, err := c.AppendTo(ctx, nil, key)
			return err
		}},
		{"GetObject", func(c *memory.Cache, ctx context.Context, key string) error {
			_, _, err := c.GetObject(ctx, key)
			return err
		}},
		{"Count", func(c *memory.Cache, ctx context.Context, key string) error {
			_, _, err := c.Count(ctx, key)
			return err
		}},
		{"Set", func(c *memory.Cache, ctx context.Context, key string) error {
			return c.Set(ctx, key, []byte("v"), cache.EntryOptions{})
		}},
		{"SetObject", func(c *memory.Cache, ctx context.Context, key string) error {
			return c.SetObject(ctx, key, 1, cache.EntryOptions{})
		}},
		{"Increment", func(c *memory.Cache, ctx context.Context, key string) error {
			_, err := c.Increment(ctx, key, 1, cache.EntryOptions{})
			return err
		}},
		{"Refresh", func(c *memory.Cache, ctx context.Context, key string) error { return c.Refresh(ctx, key) }},
		{"Remove", func(c *memory.Cache, ctx context.Context, key string) error { return c.Remove(ctx, key) }},
		{"Lease", func(c *memory.Cache, ctx context.Context, key string) error {
			_, err := c.Lease(ctx, key, time.Second)
			return err
		}},
		{"Release", func(c *memory.Cache, ctx context.Context, key string) error {
			return c.Release(ctx, key, cache.Lease{1})
		}},
	}
}

func batchCalls() []call {
	return []call{
		{"GetMany", func(c *memory.Cache, ctx context.Context, key string) error {
			r, err := c.GetMany(ctx, []string{key})
			if err == nil {
				err = r[0].Err
			}
			return err
		}},
		{"SetMany", func(c *memory.Cache, ctx context.Context, key string) error {
			return c.SetMany(ctx, []cache.Item{{Key: key, Value: []byte("v")}})
		}},
		{"RemoveMany", func(c *memory.Cache, ctx context.Context, key string) error {
			return c.RemoveMany(ctx, []string{key})
		}},
		{"LeaseMany", func(c *memory.Cache, ctx context.Context, key string) error {
			r, err := c.LeaseMany(ctx, []string{key}, time.Second)
			if err == nil {
				err = r[0].Err
			}
			return err
		}},
	}
}

func allCalls() []call {
	return append(append(keyCalls(), batchCalls()...),
		call{"Clear", func(c *memory.Cache, ctx context.Context, _ string) error { return c.Clear(ctx) }})
}

func TestEveryCallChecksItsContext(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for _, call := range allCalls() {
		t.Run(call.name, func(t *testing.T) {
			c := open(t, nil)
			wantError(t, call.do(c, nil, "k"), cache.ErrNilContext)
			if err := call.do(c, ended, "k"); err != context.Canceled {
				t.Errorf("got %v, want context.Canceled itself", err)
			}
			if c.Len() != 0 {
				t.Error("something was stored")
			}
		})
	}
}

func TestEveryCallChecksItsKey(t *testing.T) {
	for _, call := range append(keyCalls(), batchCalls()...) {
		t.Run(call.name, func(t *testing.T) {
			c := open(t, nil)
			wantError(t, call.do(c, ctx, ""), cache.ErrInvalidKey)
			wantError(t, call.do(c, ctx, cache.ReservedPrefix+"k"), cache.ErrInvalidKey)
			err := call.do(c, ctx, strings.Repeat("secret", cache.MaxKeyLength))
			wantError(t, err, cache.ErrKeyTooLong)
			if strings.Contains(err.Error(), "secret") {
				t.Error("the error shows the key")
			}
			if err := call.do(c, ctx, strings.Repeat("k", cache.MaxKeyLength)); err != nil {
				t.Errorf("a key of the greatest length: %v", err)
			}
		})
	}
}

func TestEveryCallAfterCloseIsErrClosed(t *testing.T) {
	c := open(t, nil)
	set(t, c, "k", "v", cache.EntryOptions{})
	if err := c.Close(ctx); err != nil {
		t.Fatal(err)
	}
	for _, call := range allCalls() {
		if err := call.do(c, ctx, "k"); err != cache.ErrClosed {
			t.Errorf("%s: got %v, want ErrClosed", call.name, err)
		}
	}
	if err := c.Resize(1, 0); err != cache.ErrClosed {
		t.Errorf("Resize: got %v, want ErrClosed", err)
	}
	if err := c.Close(ctx); err != nil {
		t.Errorf("second Close: %v", err)
	}
	wantError(t, c.Close(nil), cache.ErrNilContext)
	if s := c.Stats(); s.Entries != 0 || s.Bytes != 0 || s.Sets != 1 {
		t.Errorf("got %+v, want it empty", s)
	}
}

func TestBytesAreCopiedInAndOut(t *testing.T) {
	c := open(t, nil)
	in := []byte("value")
	if err := c.SetMany(ctx, []cache.Item{{Key: "a", Value: in}, {Key: "b", Value: in}}); err != nil {
		t.Fatal(err)
	}
	in[0] = 'X'
	out, _, _ := c.Get(ctx, "a")
	_ = append(out[:0], "XXXXX"...)
	many, err := c.GetMany(ctx, []string{"a", "a"})
	if err != nil {
		t.Fatal(err)
	}
	many[0].Value[0] = 'X'
	appended, _, _ := c.AppendTo(ctx, nil, "a")
	appended[0] = 'X'
	for key, v := range c.All() {
		v.([]byte)[0] = 'X'
		wantValue(t, c, key, "value")
	}
}

func TestEmptyBytesAreAValue(t *testing.T) {
	c := open(t, nil)
	set(t, c, "k", "", cache.EntryOptions{})
	if v, found, err := c.Get(ctx, "k"); v == nil || len(v) != 0 || !found || err != nil {
		t.Errorf("got %v, %v, %v", v, found, err)
	}
	r, err := c.GetMany(ctx, []string{"k"})
	if err != nil || r[0].Value == nil || !r[0].Found {
		t.Errorf("got %v, %v", r, err)
	}
	wantError(t, c.Set(ctx, "k", nil, cache.EntryOptions{}), cache.ErrNilValue)
	wantError(t, c.SetObject(ctx, "k", nil, cache.EntryOptions{}), cache.ErrNilValue)
	wantValue(t, c, "k", "")
}

func TestAppendToUsesTheCallersMemory(t *testing.T) {
	c := open(t, nil)
	set(t, c, "k", "value", cache.EntryOptions{})
	dst := append(make([]byte, 0, 64), "got "...)
	got, found, err := c.AppendTo(ctx, dst, "k")
	if string(got) != "got value" || !found || err != nil || &got[0] != &dst[0] {
		t.Errorf("got %q, %v, %v", got, found, err)
	}
	got, found, err = c.AppendTo(ctx, dst, "absent")
	if string(got) != "got " || found || err != nil {
		t.Errorf("a miss: got %q, %v, %v", got, found, err)
	}
	if got, _, err = c.AppendTo(ctx, dst, ""); string(got) != "got " || err == nil {
		t.Errorf("an error: got %q, %v", got, err)
	}
}

func TestKindsDoNotMix(t *testing.T) {
	store := map[string]func(c *memory.Cache) error{
		"bytes":   func(c *memory.Cache) error { return c.Set(ctx, "k", []byte("1"), cache.EntryOptions{}) },
		"object":  func(c *memory.Cache) error { return c.SetObject(ctx, "k", 1, cache.EntryOptions{}) },
		"counter": func(c *memory.Cache) error { _, err := c.Increment(ctx, "k", 1, cache.EntryOptions{}); return err },
	}
	use := map[string][]func(c *memory.Cache) error{
		"bytes": {
			func(c *memory.Cache) error { _, _, err := c.Get(ctx, "k"); return err },
			func(c *memory.Cache) error { _, _, err := c.AppendTo(ctx, nil, "k"); return err },
			func(c *memory.Cache) error {
				r, err := c.GetMany(ctx, []string{"k"})
				return errors.Join(err, r[0].Err)
			},
		},
		"object": {func(c *memory.Cache) error { _, _, err := c.GetObject(ctx, "k"); return err }},
		"counter": {
			func(c *memory.Cache) error { _, _, err := c.Count(ctx, "k"); return err },
			func(c *memory.Cache) error { _, err := c.Increment(ctx, "k", 1, cache.EntryOptions{}); return err },
		},
	}
	for kind, store := range store {
		t.Run(kind, func(t *testing.T) {
			c := open(t, nil)
			for other, uses := range use {
				for _, use := range uses {
					if err := store(c); err != nil {
						t.Fatal(err)
					}
					err := use(c)
					if kind == other && err != nil || kind != other && !errors.Is(err, cache.ErrWrongType) {
						t.Errorf("%s used as %s: got %v", kind, other, err)
					}
				}
			}
			if s := c.Stats(); s.Misses != 0 {
				t.Errorf("got %d misses for calls of the wrong kind", s.Misses)
			}
		})
	}
}

func TestGetObjectDoesNotKeepItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, nil)
		for _, key := range []string{"aa", "bb"} {
			if err := c.SetObject(ctx, key, key, cache.EntryOptions{SlidingExpiration: 2 * time.Second}); err != nil {
				t.Fatal(err)
			}
		}
		buf := []byte("aa")
		key := unsafe.String(&buf[0], len(buf))
		for range 100 { // fills the engine's read buffer, and moves the deadline
			time.Sleep(time.Second)
			for _, name := range []string{"aa", "bb", "cc"} {
				copy(buf, name)
				got, found, err := c.GetObject(ctx, key)
				if name != "cc" && got != name || found != (name != "cc") || err != nil {
					t.Fatalf("%s: got %v, %v, %v", name, got, found, err)
				}
			}
		}
		time.Sleep(2 * time.Second)
		for _, name := range []string{"aa", "bb"} {
			copy(buf, name)
			if _, found, _ := c.GetObject(ctx, key); found {
				t.Errorf("%s: found after its window", name)
			}
		}
	})
}

func TestOneBadKeyOfABatchLosesNoOther(t *testing.T) {
	c := open(t, nil)
	err := c.SetMany(ctx, []cache.Item{
		{Key: "a", Value: []byte("1")}, {Key: "", Value: []byte("2")}, {Key: "b", Value: nil},
		{Key: "c", Value: []byte("3"), Options: cache.EntryOptions{TTL: -1}},
		{Key: "a", Value: []byte("4")},
	})
	var failed *cache.BatchError
	if !errors.As(err, &failed) || len(failed.Errs) != 5 {
		t.Fatalf("got %v", err)
	}
	for i, want := range []error{nil, cache.ErrInvalidKey, cache.ErrNilValue, cache.ErrInvalidTTL, nil} {
		wantError(t, failed.Errs[i], want)
	}
	set(t, c, "b", "2", cache.EntryOptions{})
	got, err := c.GetMany(ctx, []string{"b", "", "a", "absent", "a"})
	if err != nil || len(got) != 5 {
		t.Fatal(got, err)
	}
	wantError(t, got[1].Err, cache.ErrInvalidKey)
	for i, want := range []string{"2", "", "4", "", "4"} {
		if string(got[i].Value) != want || got[i].Found != (want != "") {
			t.Errorf("%d: got %+v, want %q", i, got[i], want)
		}
	}
	wantError(t, c.RemoveMany(ctx, []string{"a", "", "b"}), cache.ErrInvalidKey)
	if c.Len() != 0 {
		t.Errorf("%d entries left", c.Len())
	}
	if got, err := c.GetMany(ctx, nil); len(got) != 0 || err != nil {
		t.Errorf("no keys: got %v, %v", got, err)
	}
	if err := c.SetMany(ctx, nil); err != nil {
		t.Errorf("no items: %v", err)
	}
}

func TestCounterRules(t *testing.T) {
	c := open(t, nil)
	inc := func(delta int64) (int64, error) { return c.Increment(ctx, "n", delta, cache.EntryOptions{}) }
	for _, step := range []struct {
		delta, want int64
		err         error
	}{
		{0, 0, nil}, {5, 5, nil}, {-7, -2, nil},
		{math.MinInt64, -2, cache.ErrOverflow},
		{2, 0, nil}, {math.MaxInt64, math.MaxInt64, nil},
		{1, math.MaxInt64, cache.ErrOverflow}, {math.MinInt64, -1, nil},
	} {
		n, err := inc(step.delta)
		if !errors.Is(err, step.err) || err == nil && n != step.want {
			t.Errorf("%+d: got %d, %v, want %d, %v", step.delta, n, err, step.want, step.err)
		}
		if n, found, err := c.Count(ctx, "n"); n != step.want || !found || err != nil {
			t.Errorf("%+d: Count: got %d, %v, %v, want %d", step.delta, n, found, err, step.want)
		}
	}
	_, err := c.Increment(ctx, "n", 1, cache.EntryOptions{SlidingExpiration: time.Second})
	var refused *cache.OptionError
	if !errors.As(err, &refused) || !errors.Is(err, cache.ErrInvalidTTL) {
		t.Errorf("sliding: got %v", err)
	}
	if n, found, err := c.Count(ctx, "absent"); n != 0 || found || err != nil {
		t.Errorf("absent: got %d, %v, %v", n, found, err)
	}
	if s := c.Stats(); s.Sets != 1 || s.Entries != 1 {
		t.Errorf("got %+v, want one entry set", s)
	}
}

func TestStatsCountEachOnce(t *testing.T) {
	seen := &events{}
	c := open(t, &memory.Options{Observer: seen})
	set(t, c, "a", "1", cache.EntryOptions{})
	set(t, c, "a", "2", cache.EntryOptions{})
	wantValue(t, c, "a", "2")
	wantMiss(t, c, "b")
	if _, err := c.GetMany(ctx, []string{"a", "b", "a", "c"}); err != nil {
		t.Fatal(err)
	}
	if err := c.Refresh(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if err := c.RemoveMany(ctx, []string{"a", "b"}); err != nil {
		t.Fatal(err)
	}
	want := cache.Stats{Hits: 3, Misses: 3, Sets: 2, Removes: 1}
	if got := c.Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if hits, misses := seen.count(cache.EventHit), seen.count(cache.EventMiss); hits != 3 || misses != 3 {
		t.Errorf("observed %d hits and %d misses", hits, misses)
	}
}

func TestHitsDoNotAllocate(t *testing.T) {
	c := open(t, nil)
	withCancel, cancel := context.WithCancel(ctx)
	defer cancel()
	buf := make([]byte, 0, 16)
	for name, opts := range map[string]cache.EntryOptions{
		"ttl": {TTL: time.Hour}, "sliding": {SlidingExpiration: time.Hour}, "no expiry": {TTL: cache.NoExpiry},
	} {
		if err := c.SetObject(ctx, "o", &struct{}{}, opts); err != nil {
			t.Fatal(err)
		}
		set(t, c, "b", "value", opts)
		for call, do := range map[string]func() bool{
			"GetObject": func() bool { _, ok, _ := c.GetObject(withCancel, "o"); return ok },
			"AppendTo":  func() bool { _, ok, _ := c.AppendTo(withCancel, buf, "b"); return ok },
			"Refresh":   func() bool { return c.Refresh(withCancel, "b") == nil },
			"a miss":    func() bool { _, ok, _ := c.GetObject(withCancel, "absent"); return !ok },
		} {
			allocs := testing.AllocsPerRun(1000, func() {
				if !do() {
					t.Error("did not work")
				}
			})
			if allocs != 0 {
				t.Errorf("%s, %s: %v allocations", call, name, allocs)
			}
		}
	}
}
