package racematrix

import (
	"context"
	"errors"
)

func sentinels() Race {
	return Race{
		ID: "7", Title: "Values that are easily taken for none are loaded, and read back from the cache",
		Why: "a cache that takes them for a miss loads them again each time; one that mixes them up changes data",
		Parts: []Part{
			{"7a", "read back: a nil pointer"},
			{"7b", "read back: the number 0"},
			{"7c", "read back: an empty slice, and a nil one"},
			{"7d", "read back: that there is no such value"},
		},
		Play: func(ctx context.Context, s *Setting) ([]Cell, error) {
			c, addr := s.Contender, s.Addr()
			isNil := func(p *int) bool { return p == nil }
			isZero := func(n int) bool { return n == 0 }
			isEmpty := func(b []byte) bool { return b != nil && len(b) == 0 }
			isNone := func(b []byte) bool { return b == nil }
			return cells(
				func() (Cell, error) { return twice(ctx, addr, c.Pointers, nil, nil, isNil) },
				func() (Cell, error) { return twice(ctx, addr, c.Numbers, 0, nil, isZero) },
				func() (Cell, error) {
					empty, err := twice(ctx, addr, c.Bytes, []byte{}, nil, isEmpty)
					if err != nil || !empty.Right {
						return empty, err
					}
					return twice(ctx, addr, c.Bytes, nil, nil, isNone)
				},
				func() (Cell, error) { return twice(ctx, addr, c.Numbers, 0, errAbsent, isZero) },
			)
		},
	}
}

func cells(plays ...func() (Cell, error)) (all []Cell, err error) {
	for _, play := range plays {
		c, err := play()
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// twice asks two times for what the source answers with value and outcome; the
// second answer has to come from the cache and be the same.
func twice[V any](ctx context.Context, addr string, open Opener[V], value V, outcome error, same func(V) bool) (cell Cell, err error) {
	loads := 0 // calls come one after the other
	c, err := open(addr, func(context.Context, string) (V, error) {
		loads++
		return value, outcome
	})
	if err != nil {
		return cell, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	key := newKey()
	for range 2 {
		got, err := c.Get(ctx, key)
		if !errors.Is(err, outcome) || !same(got) {
			return verdict(changed), nil
		}
	}
	if loads != 1 {
		return verdict(notKept), nil
	}
	return verdict(right), nil
}
