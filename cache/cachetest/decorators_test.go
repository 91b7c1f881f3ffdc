package cachetest

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/larder-go/larder/cache"
)

const testPrefix = "tenant:7:"

func TestModelKeepsTheContractWatched(t *testing.T) {
	Run(t, Config{New: func(testing.TB) cache.Cache { return Watched(NewModel(cache.EntryOptions{})) }})
}

func TestModelKeepsTheContractPrefixed(t *testing.T) {
	Run(t, Config{
		New:         func(testing.TB) cache.Cache { return Prefixed(NewModel(cache.EntryOptions{}), testPrefix) },
		MaxKeyBytes: cache.MaxKeyLength - len(testPrefix),
	})
}

func TestPrefixedHasWhatTheCacheBelowHas(t *testing.T) {
	all := []need{backend, batcher, counter, objects, leaser, appender, clearer, coordinated, reporter, versioner, locker, marker, ordered, objectVersioner, objectLocker}
	full := Prefixed(NewModel(cache.EntryOptions{}), testPrefix)
	remote := Prefixed(withoutObjects{NewModel(cache.EntryOptions{})}.cache(), testPrefix)
	unversioned := Prefixed(withoutVersions{NewModel(cache.EntryOptions{})}.cache(), testPrefix)
	plain := Prefixed(fourMethods{NewModel(cache.EntryOptions{})}, testPrefix)
	for _, n := range all {
		if !n.has(full) {
			t.Errorf("over a full cache there is no %s", n.name)
		}
		local := n.name == "Objects" || n.name == "Clearer" || n.name == "ObjectVersioner" || n.name == "ObjectLocker"
		if got, want := n.has(remote), !local; got != want {
			t.Errorf("over a remote cache: has %s = %v, want %v", n.name, got, want)
		}
		changes := n.name == "Versioner" || n.name == "Locker" || n.name == "WriteMarker" || n.name == "Ordered"
		if got, want := n.has(unversioned), !local && !changes; got != want {
			t.Errorf("over a remote cache without versions: has %s = %v, want %v", n.name, got, want)
		}
		if n.has(plain) {
			t.Errorf("over a plain cache there is a %s", n.name)
		}
	}
}

func TestPrefixedSeparatesAndReaches(t *testing.T) {
	ctx := t.Context()
	below := NewModel(cache.EntryOptions{})
	a, b := Prefixed(below, "a:"), Prefixed(below, "b:")
	if err := a.Set(ctx, "k", []byte("1"), cache.EntryOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, found, _ := b.Get(ctx, "k"); found {
		t.Error("one prefix sees the other's entry")
	}
	if value, found, _ := below.Get(ctx, "a:k"); !found || string(value) != "1" {
		t.Errorf("below: %q, %v, want the entry under prefix and key", value, found)
	}
}

// A load through the decorator must end by a write below it: both names lead to
// one flight.
func TestWriteBelowVoidsLoadThroughPrefix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		below := NewModel(cache.EntryOptions{})
		typed := cache.NewTyped[string](Prefixed(below, "a:"), nil)
		started := make(chan context.Context, 1)
		loads := 0
		load := func(ctx context.Context, _ *cache.Entry) (string, error) {
			if loads++; loads > 1 {
				return "fresh", nil
			}
			started <- ctx
			<-ctx.Done()
			return "", ctx.Err()
		}
		got := make(chan string, 1)
		go func() {
			value, _ := typed.GetOrCreateExclusive(ctx, "k", load)
			got <- value
		}()
		<-started
		if err := below.Remove(ctx, "a:k"); err != nil {
			t.Fatal(err)
		}
		if value := <-got; value != "fresh" {
			t.Errorf("the caller got %q, want what was loaded after the Remove", value)
		}
	})
}

// fourMethods hides everything else that a cache can do.
type fourMethods struct{ cache.Cache }

// withoutObjects has what a remote cache has.
type withoutObjects struct{ m *Model }

type remote interface {
	cache.Backend
	cache.Batcher
	cache.Counter
	cache.Leaser
	cache.Appender
	cache.Coordinated
}

func (w withoutObjects) cache() cache.Cache {
	type changing interface {
		remote
		cache.Versioner
		cache.Locker
		cache.WriteMarker
		cache.Ordered
	}
	return struct{ changing }{w.m}
}

// withoutVersions has what a simpler remote cache has.
type withoutVersions struct{ m *Model }

func (w withoutVersions) cache() cache.Cache { return struct{ remote }{w.m} }
