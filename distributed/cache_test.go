package distributed_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/envelope"
	"github.com/larder-go/larder/internal/redistest"
)

func testKeysAreByteForByte(t *testing.T, s server) {
	c := open(t, s.client, distributed.Options{Prefix: "master"})
	for _, key := range []string{
		"DistributedCacheKey", "a b", "\x00", "\r\n", "*?[]", "{tag}", "{}{a}", "{", "}", "\xff\xfe", ":", "../x", "e\u0301", "\u00e9",
	} {
		must(t, c.Set(t.Context(), key, []byte(key), forever))
		if n := s.client.Exists(t.Context(), "master"+key).Val(); n != 1 {
			t.Errorf("%q: a bare client does not see prefix + key", key)
		}
	}
	for _, key := range []string{"DistributedCacheKey", "{tag}", "e\u0301", "\u00e9", "\x00"} {
		wantValue(t, c, key, key)
	}
}

func testSetGetRemove(t *testing.T, s server) {
	wantMiss(t, s, "k")
	for _, value := range [][]byte{{}, {0}, []byte("42"), []byte("hello"), bytes.Repeat([]byte("x"), 1<<20)} {
		must(t, s.Set(t.Context(), "k", value, cache.EntryOptions{}))
		wantValue(t, s, "k", string(value))
		got, found, err := s.AppendTo(t.Context(), []byte("before "), "k")
		if err != nil || !found || string(got) != "before "+string(value) {
			t.Fatalf("AppendTo: got %d bytes, %v, %v", len(got), found, err)
		}
	}
	must(t, s.Remove(t.Context(), "k"))
	wantMiss(t, s, "k")
	if n := s.client.Exists(t.Context(), s.prefix+"k").Val(); n != 0 {
		t.Error("the key is still there after Remove")
	}
	must(t, s.Remove(t.Context(), "k"))
	must(t, s.Refresh(t.Context(), "k"))
	got, found, err := s.AppendTo(t.Context(), []byte("before"), "k")
	if err != nil || found || string(got) != "before" {
		t.Errorf("AppendTo of nothing: got %q, %v, %v, want the buffer as it was", got, found, err)
	}
}

func testSetReplacesAnything(t *testing.T, s server) {
	ctx := t.Context()
	name := s.prefix + "k"
	for what, prepare := range map[string]func() error{
		"text":    func() error { return s.client.Set(ctx, name, "text", 0).Err() },
		"counter": func() error { return s.client.Incr(ctx, name).Err() },
		"list":    func() error { return s.client.RPush(ctx, name, "x").Err() },
		"hash":    func() error { return s.client.HSet(ctx, name, "data", "x").Err() },
	} {
		must(t, s.client.Del(ctx, name).Err())
		must(t, prepare())
		must(t, s.Set(ctx, "k", []byte(what), cache.EntryOptions{}))
		wantValue(t, s, "k", what)
	}
}

func TestTwoCachesOfOnePrefixShareEntries(t *testing.T) {
	m := redistest.Mini(t)
	a := open(t, redistest.MiniClient(t, m), distributed.Options{Prefix: "p:"})
	b := open(t, redistest.MiniClient(t, m), distributed.Options{Prefix: "p:"})
	other := open(t, redistest.MiniClient(t, m), distributed.Options{Prefix: "q:"})
	must(t, a.Set(t.Context(), "k", []byte("v"), cache.EntryOptions{}))
	wantValue(t, b, "k", "v")
	wantMiss(t, other, "k")
}

// An entry belongs to its full Redis key: a copy under another prefix is not
// one of that cache.
func TestEntriesDoNotMoveBetweenKeys(t *testing.T) {
	c, m, client := onMini(t)
	must(t, c.Set(t.Context(), "a", []byte("a's"), forever))
	must(t, c.Set(t.Context(), "b", []byte("b's"), forever))
	raw, err := m.Get("p:a")
	must(t, err)
	must(t, m.Set("p:b", raw))
	must(t, m.Set("q:a", raw))
	wantMiss(t, c, "b")
	wantMiss(t, open(t, client, distributed.Options{Prefix: "q:"}), "a")
	wantValue(t, c, "a", "a's")
	if got := c.Stats().Undecodable; got != 1 {
		t.Errorf("got %d undecodable, want 1", got)
	}
}

func TestVersionsAreUnique(t *testing.T) {
	c, m, _ := onMini(t)
	seen := make(map[envelope.ID]bool)
	for range 1000 {
		must(t, c.Set(t.Context(), "k", []byte("v"), forever))
		raw, err := m.Get("p:k")
		must(t, err)
		h, _, err := envelope.Decode([]byte(raw), envelope.Digest("p:k"))
		must(t, err)
		if seen[h.ID] {
			t.Fatal("got a version twice")
		}
		seen[h.ID] = true
	}
}

func TestValuesAreIsolated(t *testing.T) {
	c, _, _ := onMini(t)
	value := []byte("value")
	must(t, c.Set(t.Context(), "k", value, forever))
	copy(value, "XXXXX")
	for range 2 {
		got, _, err := c.Get(t.Context(), "k")
		must(t, err)
		if string(got) != "value" {
			t.Fatalf("got %q, want what was stored", got)
		}
		copy(append(got, "more"...), "XXXXXXXXX")
		copy(got, "XXXXX")
	}
}

func TestStats(t *testing.T) {
	c, m, _ := onMini(t)
	ctx := t.Context()
	must(t, c.Set(ctx, "k", []byte("v"), forever))
	must(t, c.SetMany(ctx, []cache.Item{{Key: "a", Value: []byte("a")}, {Key: "b", Value: []byte("b")}}))
	wantValue(t, c, "k", "v")
	wantMiss(t, c, "absent")
	_, err := c.GetMany(ctx, []string{"a", "b", "absent"})
	must(t, err)
	must(t, m.Set("p:foreign", "text"))
	wantMiss(t, c, "foreign")
	must(t, c.Remove(ctx, "k"))
	must(t, c.RemoveMany(ctx, []string{"a", "absent"}))
	want := cache.Stats{Hits: 3, Misses: 3, Sets: 3, Removes: 2, Undecodable: 1}
	if got := c.Stats(); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestMaxValueBytes(t *testing.T) {
	m := redistest.Mini(t)
	c := open(t, redistest.MiniClient(t, m), distributed.Options{MaxValueBytes: 10})
	must(t, c.Set(t.Context(), "k", make([]byte, 10), cache.EntryOptions{}))
	wantErr(t, c.Set(t.Context(), "k", make([]byte, 11), cache.EntryOptions{}), cache.ErrValueTooLarge)
	wantValue(t, c, "k", string(make([]byte, 10)))
	c = open(t, redistest.MiniClient(t, m), distributed.Options{})
	wantErr(t, c.Set(t.Context(), "k", make([]byte, 1<<20+1), cache.EntryOptions{}), cache.ErrValueTooLarge)
}

func TestDefaults(t *testing.T) {
	m := redistest.Mini(t)
	c := open(t, redistest.MiniClient(t, m), distributed.Options{Defaults: cache.EntryOptions{TTL: time.Minute}})
	must(t, c.Set(t.Context(), "k", []byte("v"), cache.EntryOptions{}))
	if got := m.TTL("k"); got <= 0 || got > time.Minute {
		t.Errorf("got a TTL of %v, want the default's minute", got)
	}
	c = open(t, redistest.MiniClient(t, m), distributed.Options{})
	must(t, c.Set(t.Context(), "k", []byte("v"), cache.EntryOptions{}))
	if got := m.TTL("k"); got <= time.Minute || got > cache.DefaultTTL {
		t.Errorf("got a TTL of %v, want %v", got, cache.DefaultTTL)
	}
}
