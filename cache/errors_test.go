package cache_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

func TestErrorTextsHoldNoKeysAndNoValues(t *testing.T) {
	const secret = "ann@example.com"
	for _, err := range []error{
		&cache.OpError{Op: "get", Key: secret, Err: cache.ErrUnavailable},
		&cache.BatchError{Errs: []error{nil, &cache.OpError{Op: "set", Key: secret, Err: cache.ErrNilValue}}},
		&cache.LoaderPanicError{Value: secret},
		&cache.LoaderPanicError{Value: errors.New(secret)},
		cache.CheckKey(cache.ReservedPrefix + secret),
	} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%T tells the key or value: %v", err, err)
		}
	}
}

func TestErrorsUnwrap(t *testing.T) {
	op := &cache.OpError{Op: "set", Key: "k", Err: cache.ErrNilValue}
	batch := &cache.BatchError{Errs: []error{nil, op, nil}}
	if !errors.Is(batch, cache.ErrNilValue) || errors.Is(batch, cache.ErrClosed) {
		t.Errorf("BatchError does not unwrap to what failed: %v", batch)
	}
	if got, want := batch.Error(), "larder: 1 of 3 items failed, the first with: set: nil value"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p := &cache.LoaderPanicError{Value: io.EOF}
	if !errors.Is(p, cache.ErrLoaderPanic) || !errors.Is(p, io.EOF) {
		t.Errorf("LoaderPanicError is not both ErrLoaderPanic and its cause")
	}
}

func TestCheckKey(t *testing.T) {
	tests := []struct {
		key  string
		want error
	}{
		{"", cache.ErrInvalidKey},
		{cache.ReservedPrefix, cache.ErrInvalidKey},
		{cache.ReservedPrefix + "x", cache.ErrInvalidKey},
		{"_", nil},
		{"x" + cache.ReservedPrefix, nil},
		{"\x00\r\n *?[]{}:|_../\xff", nil},
		{strings.Repeat("x", cache.MaxKeyLength-1), nil},
		{strings.Repeat("x", cache.MaxKeyLength), nil},
		{strings.Repeat("x", cache.MaxKeyLength+1), cache.ErrKeyTooLong},
	}
	for _, tt := range tests {
		if err := cache.CheckKey(tt.key); !errors.Is(err, tt.want) {
			t.Errorf("a key of %d bytes: got %v, want %v", len(tt.key), err, tt.want)
		}
	}
}

// watched is an observing decorator, hidden one that changes something.
type (
	watched struct{ cache.Cache }
	hidden  struct{ cache.Cache }
)

func (w watched) Unwrap() cache.Cache { return w.Cache }

func TestAs(t *testing.T) {
	m := openMemory(t)
	if got, ok := cache.As[cache.Objects](watched{watched{m}}); !ok || got != cache.Objects(m) {
		t.Errorf("through observing decorators: got %v, %v", got, ok)
	}
	if _, ok := cache.As[cache.Objects](watched{hidden{m}}); ok {
		t.Error("found a capability behind a decorator that changes something")
	}
	if _, ok := cache.As[cache.Objects](nil); ok {
		t.Error("found a capability of nil")
	}
}

func TestObserverSeesLoads(t *testing.T) {
	var mu sync.Mutex
	seen := map[cache.EventKind]int{}
	c, err := memory.New(&memory.Options{Observer: cache.ObserverFunc(func(_ context.Context, e cache.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Layer == "load" {
			seen[e.Kind]++
		}
	})})
	if err != nil {
		t.Fatal(err)
	}
	v := cache.NewTyped[string](c, nil)
	if _, err := v.GetOrCreateExclusive(t.Context(), "k", load("v")); err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	_, err = v.GetOrCreateExclusive(t.Context(), "other", func(context.Context, *cache.Entry) (string, error) {
		return "", errors.Join(boom, v.Remove(t.Context(), "other"))
	})
	if !errors.Is(err, boom) {
		t.Errorf("got %v, want boom", err)
	}
	closeCache(t, c)
	want := map[cache.EventKind]int{cache.EventLoad: 4, cache.EventInvalidation: 3} // two rounds sent back, and a patient one
	if !maps.Equal(seen, want) {
		t.Errorf("got events %v, want %v", seen, want)
	}
	if s := c.Stats(); s.Loads != 4 || s.LoadErrors != 3 {
		t.Errorf("got %d loads, %d errors; want 4, 3", s.Loads, s.LoadErrors)
	}
	if k := cache.EventKind(200).String(); k != "unknown" {
		t.Errorf("an unknown kind prints %q", k)
	}
}
