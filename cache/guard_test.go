package cache_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/memory"
)

// faultyCodec is a codec of a user's own that fails in one way.
type faultyCodec struct{ fault string }

func (faultyCodec) ID() string { return "faulty" }

func (c faultyCodec) Append(dst []byte, v string) ([]byte, error) {
	switch c.fault {
	case "append panics":
		panic("secret")
	case "append drops dst":
		return []byte(v + " and more than a frame"), nil
	case "append returns nothing":
		return nil, nil
	}
	return append(dst, v...), nil
}

func (c faultyCodec) Decode(data []byte) (string, error) {
	switch c.fault {
	case "decode panics":
		panic("secret")
	case "decode fails":
		return "half", errors.New("secret")
	}
	return string(data), nil
}

func TestFaultyCodecsHarmNobody(t *testing.T) {
	for _, tt := range []struct {
		fault       string
		unencoded   bool
		undecodable uint64
	}{
		{"append panics", true, 0},
		{"append drops dst", true, 0},
		{"append returns nothing", true, 0},
		{"decode panics", false, 1},
		{"decode fails", false, 1},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := openRedis(t)
				v := typed(t, c, &cache.TypedOptions[string]{Codec: faultyCodec{tt.fault}})
				err := v.Set(t.Context(), "k", "v", cache.EntryOptions{})
				if errors.Is(err, cache.ErrUnencodable) != tt.unencoded || !tt.unencoded && err != nil {
					t.Errorf("Set: got %v", err)
				}
				if err != nil && strings.Contains(err.Error(), "secret") {
					t.Errorf("Set: error %q tells of the content", err)
				}
				if got, found, err := v.Get(t.Context(), "k"); got != "" || found || err != nil {
					t.Errorf("Get: got %q, %t, %v; want a miss", got, found, err)
				}
				if got := c.Stats().Undecodable; got != tt.undecodable {
					t.Errorf("got %d undecodable entries, want %d", got, tt.undecodable)
				}
				if got, err := v.GetOrCreateExclusive(t.Context(), "k", load("loaded")); got != "loaded" || err != nil {
					t.Errorf("got %q, %v; want what was loaded", got, err)
				}
			})
		})
	}
}

// A variable of a backend's type that was never set is a nil cache, too.
func TestNilBackendsAreNilCaches(t *testing.T) {
	for name, c := range map[string]cache.Cache{"nil": nil, "memory": (*memory.Cache)(nil), "distributed": (*distributed.Cache)(nil)} {
		_, err := cache.NewTyped[string](c, nil).GetOrCreateExclusive(t.Context(), "k", load("v"))
		_, direct := cache.GetOrCreateExclusive(t.Context(), c, "k", load("v"))
		_, loading := cache.NewLoading(c, func(context.Context, int, *cache.Entry) (string, error) { return "v", nil }, nil).Get(t.Context(), 1)
		write := cache.Write(t.Context(), c, "k", func(context.Context) error { t.Error("the source was written"); return nil })
		_, writing := cache.NewWriting(c, cache.WriteOptions{})
		for what, err := range map[string]error{"Typed": err, "function": direct, "Loading": loading, "Write": write, "NewWriting": writing} {
			if !errors.Is(err, cache.ErrInvalidConfig) {
				t.Errorf("%s, %s: got %v, want ErrInvalidConfig", name, what, err)
			}
		}
		if err := cache.SetEnabled(c, false); err == nil {
			t.Errorf("%s, SetEnabled: got no error", name)
		}
		if got, found := cache.As[cache.Versioner](c); found || got != nil {
			t.Errorf("%s, As: a nil cache has a capability", name)
		}
	}
}
