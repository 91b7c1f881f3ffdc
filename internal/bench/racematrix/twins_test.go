package racematrix

import (
	"context"
	"reflect"
	"sync"
)

// The twins are caches broken on purpose, each in another way. What the races
// say of them is in TestRacesAreLostByWhoDeservesIt.
func twins() []Contender {
	return []Contender{naiveTwin(), joiningTwin(), recklessTwin()}
}

// store is what the caches of one twin share, as they would a Redis.
type store struct {
	mu   sync.Mutex
	held map[string]any
}

func (s *store) get(key string) (any, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, found := s.held[key]
	return value, found
}

func (s *store) set(key string, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[key] = value
}

func (s *store) remove(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, key)
	return nil
}

func closed() error { return nil }

// naiveTwin gets, loads and sets, and takes a zero value for a miss.
func naiveTwin() Contender {
	s := &store{held: map[string]any{}}
	return Contender{
		Name: "naive twin", OnRedis: true,
		Texts: naive[string](s), Numbers: naive[int](s), Pointers: naive[*int](s), Bytes: naive[[]byte](s),
	}
}

func naive[V any](s *store) Opener[V] {
	return func(_ string, source Source[V]) (*Cache[V], error) {
		return &Cache[V]{
			Get: func(ctx context.Context, key string) (V, error) {
				if held, found := s.get(key); found && !reflect.ValueOf(held).IsZero() {
					return held.(V), nil
				}
				value, err := source(ctx, key)
				if err == nil {
					s.set(key, value)
				}
				return value, err
			},
			Remove: s.remove,
			Close:  closed,
		}, nil
	}
}

// joiningTwin shares loads, and shares too much. Its copies of byte slices
// forget whether these were empty or nil.
func joiningTwin() Contender {
	s := &store{held: map[string]any{}}
	return Contender{
		Name: "joining twin", OnRedis: true,
		Texts: joining[string](s), Numbers: joining[int](s), Pointers: joining[*int](s), Bytes: joining[[]byte](s),
	}
}

type shared[V any] struct {
	done  sync.WaitGroup
	value V
	err   error
}

func joining[V any](s *store) Opener[V] {
	return func(_ string, source Source[V]) (*Cache[V], error) {
		var mu sync.Mutex
		loads := map[string]*shared[V]{}
		lead := func(ctx context.Context, key string, l *shared[V]) {
			defer func() {
				mu.Lock()
				delete(loads, key)
				mu.Unlock()
				l.done.Done()
			}()
			if l.value, l.err = source(ctx, key); l.err == nil {
				s.set(key, l.value)
			}
		}
		return &Cache[V]{
			Get: func(ctx context.Context, key string) (V, error) {
				if held, found := s.get(key); found {
					return forgetful(held.(V)), nil
				}
				mu.Lock()
				if l, found := loads[key]; found {
					mu.Unlock()
					l.done.Wait()
					return l.value, l.err
				}
				l := &shared[V]{}
				l.done.Add(1)
				loads[key] = l
				mu.Unlock()
				lead(ctx, key, l)
				return l.value, l.err
			},
			Remove: s.remove,
			Close:  closed,
		}, nil
	}
}

func forgetful[V any](value V) V {
	if b, ok := any(value).([]byte); ok {
		return any(append([]byte(nil), b...)).(V)
	}
	return value
}

// recklessTwin is a naive one that loads in a goroutine of its own, which
// nothing guards.
func recklessTwin() Contender {
	c := naiveTwin()
	c.Name = "reckless twin"
	inner := c.Texts
	c.Texts = func(addr string, source Source[string]) (*Cache[string], error) {
		return inner(addr, func(ctx context.Context, key string) (string, error) {
			got := make(chan answer, 1)
			go func() {
				value, err := source(ctx, key)
				got <- answer{value: value, err: err}
			}()
			a := <-got
			return a.value, a.err
		})
	}
	return c
}
