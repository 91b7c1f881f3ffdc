package cachetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/larder-go/larder/cache"
)

func batchSabotages() []sabotage {
	return []sabotage{
		{"sorts what it is asked for", func(m *Model, b *broken) {
			b.getMany = func(ctx context.Context, keys []string) ([]cache.Result, error) {
				return m.GetMany(ctx, slices.Sorted(slices.Values(keys)))
			}
		}, []string{"GetMany/OrderAndDuplicates"}},
		{"answers duplicates once", func(m *Model, b *broken) {
			b.getMany = func(ctx context.Context, keys []string) ([]cache.Result, error) {
				return m.GetMany(ctx, slices.Compact(slices.Sorted(slices.Values(keys))))
			}
		}, []string{"GetMany/OrderAndDuplicates"}},
		{"asks for nothing", func(m *Model, b *broken) {
			b.getMany = func(ctx context.Context, keys []string) ([]cache.Result, error) {
				if len(keys) == 0 {
					return nil, errors.New("wrong number of arguments for 'mget'")
				}
				return m.GetMany(ctx, keys)
			}
			b.setMany = func(ctx context.Context, items []cache.Item) error {
				if len(items) == 0 {
					return errors.New("wrong number of arguments for 'mset'")
				}
				return m.SetMany(ctx, items)
			}
		}, []string{"GetMany/NoKeys", "SetMany/NoItems"}},
		{"loses the last item of a large batch", func(m *Model, b *broken) {
			b.getMany = func(ctx context.Context, keys []string) ([]cache.Result, error) {
				results, err := m.GetMany(ctx, keys)
				if len(results) > 256 {
					results[len(results)-1] = cache.Result{}
				}
				return results, err
			}
			b.setMany = func(ctx context.Context, items []cache.Item) error {
				return m.SetMany(ctx, items[:min(len(items), 256)])
			}
			b.removeMan = func(ctx context.Context, keys []string) error {
				return m.RemoveMany(ctx, keys[:min(len(keys), 128)])
			}
		}, []string{"GetMany/Many", "SetMany/Stores", "RemoveMany/Removes"}},
		{"fails a batch for one of its items", func(m *Model, b *broken) {
			check := func(keys ...string) (err error) {
				for _, key := range keys {
					err = errors.Join(err, cache.CheckKey(key))
				}
				return err
			}
			b.getMany = func(ctx context.Context, keys []string) ([]cache.Result, error) {
				if err := check(keys...); err != nil {
					return nil, err
				}
				return m.GetMany(ctx, keys)
			}
			b.setMany = func(ctx context.Context, items []cache.Item) error {
				for _, item := range items {
					if err := check(item.Key); err != nil {
						return err
					}
				}
				return m.SetMany(ctx, items)
			}
			b.removeMan = func(ctx context.Context, keys []string) error {
				if err := check(keys...); err != nil {
					return err
				}
				return m.RemoveMany(ctx, keys)
			}
			b.leaseMany = func(ctx context.Context, keys []string, ttl time.Duration) ([]cache.LeaseReply, error) {
				if err := check(keys...); err != nil {
					return nil, err
				}
				return m.LeaseMany(ctx, keys, ttl)
			}
		}, []string{"GetMany/ErrorsStayWithTheirKeys", "SetMany/PartialFailure", "RemoveMany/PartialFailure", "LeaseMany/ErrorsStayWithTheirKeys"}},
		{"stops a batch at its first failure", func(m *Model, b *broken) {
			b.setMany = func(ctx context.Context, items []cache.Item) error {
				failed := false
				return m.each(ctx, len(items), func(i int) error {
					if failed {
						return nil
					}
					err := m.Set(ctx, items[i].Key, items[i].Value, items[i].Options)
					failed = err != nil
					return err
				})
			}
		}, []string{"SetMany/PartialFailure"}},
		{"shares slices in batches", func(m *Model, b *broken) {
			b.getMany = func(ctx context.Context, keys []string) ([]cache.Result, error) {
				results, err := m.GetMany(ctx, keys)
				for i := range results {
					m.peek(keys[i], func(e *modelEntry) { results[i].Value = e.bytes })
				}
				return results, err
			}
			b.setMany = func(ctx context.Context, items []cache.Item) error {
				err := m.SetMany(ctx, items)
				for _, item := range items {
					m.peek(item.Key, func(e *modelEntry) { e.bytes = item.Value })
				}
				return err
			}
		}, []string{"GetMany/Copies", "SetMany/Copies"}},
		{"peeks in batches", func(m *Model, b *broken) {
			b.getMany = func(ctx context.Context, keys []string) ([]cache.Result, error) {
				results := make([]cache.Result, len(keys))
				for i, key := range keys {
					m.peek(key, func(e *modelEntry) { results[i] = cache.Result{Value: bytes.Clone(e.bytes), Found: true} })
				}
				return results, nil
			}
		}, []string{"GetMany/MovesSliding", "GetMany/Expired"}},
		{"stores a batch backwards", func(m *Model, b *broken) {
			b.setMany = func(ctx context.Context, items []cache.Item) error {
				items = slices.Clone(items)
				slices.Reverse(items)
				return m.SetMany(ctx, items)
			}
		}, []string{"SetMany/LaterWins"}},
		{"has one lifetime per batch", func(m *Model, b *broken) {
			b.setMany = func(ctx context.Context, items []cache.Item) error {
				items = slices.Clone(items)
				for i := range items {
					items[i].Options = items[0].Options
				}
				return m.SetMany(ctx, items)
			}
		}, []string{"SetMany/OwnOptions"}},
		{"takes no keys for all keys", func(m *Model, b *broken) {
			b.removeMan = func(ctx context.Context, keys []string) error {
				if len(keys) == 0 {
					return m.Clear(ctx)
				}
				return m.RemoveMany(ctx, keys)
			}
		}, []string{"RemoveMany/NoKeys"}},
	}
}

// mapIncrement makes Increment do arithmetic of its own on what is there.
func mapIncrement(f func(old, delta int64) int64) func(*Model, *broken) {
	return func(m *Model, b *broken) {
		b.increment = func(ctx context.Context, key string, delta int64, o cache.EntryOptions) (int64, error) {
			old, found, err := m.Count(ctx, key)
			if err != nil {
				return 0, err
			}
			n := f(old, delta)
			if !found {
				return m.Increment(ctx, key, n, o)
			}
			m.peek(key, func(e *modelEntry) { e.count = n })
			return n, nil
		}
	}
}

func counterSabotages() []sabotage {
	return []sabotage{
		{"starts counters at the first call", func(m *Model, b *broken) {
			b.increment = func(ctx context.Context, key string, delta int64, o cache.EntryOptions) (int64, error) {
				if delta == 0 {
					return 0, nil
				}
				return m.Increment(ctx, key, delta, o)
			}
		}, []string{"Counter/StartsAtZero"}},
		{"only adds", mapIncrement(func(old, delta int64) int64 { return old + max(delta, -delta) }), []string{"Counter/AddsAndSubtracts"}},
		{"counts in floating point", mapIncrement(func(old, delta int64) int64 { return int64(float64(old) + float64(delta)) }),
			[]string{"Counter/ExactBeyond2To53"}},
		{"wraps around", mapIncrement(func(old, delta int64) int64 { return old + delta }),
			[]string{"Counter/OverflowAbove", "Counter/OverflowBelow"}},
		{"saturates", mapIncrement(func(old, delta int64) int64 {
			switch n := old + delta; {
			case delta > 0 && n < old:
				return 1<<63 - 1
			case delta < 0 && n > old:
				return -1 << 63
			default:
				return n
			}
		}), []string{"Counter/OverflowAbove", "Counter/OverflowBelow"}},
		{"reads a counter as its digits", func(m *Model, b *broken) {
			b.get = func(ctx context.Context, key string) ([]byte, bool, error) {
				value, found, err := m.Get(ctx, key)
				if n, ok, countErr := m.Count(ctx, key); errors.Is(err, cache.ErrWrongType) && countErr == nil && ok {
					return strconv.AppendInt(nil, n, 10), true, nil
				}
				return value, found, err
			}
		}, []string{"Counter/IsNoValue"}},
		{"counts on from digits", func(m *Model, b *broken) {
			b.increment = func(ctx context.Context, key string, delta int64, o cache.EntryOptions) (int64, error) {
				m.peek(key, func(e *modelEntry) {
					if n, err := strconv.ParseInt(string(e.bytes), 10, 64); e.kind == kindBytes && err == nil {
						*e = modelEntry{kind: kindCounter, count: n}
					}
				})
				return m.Increment(ctx, key, delta, o)
			}
		}, []string{"Counter/ValueIsNoCounter"}},
		{"refuses to replace a counter", func(m *Model, b *broken) {
			b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
				if _, found, err := m.Count(ctx, key); found && err == nil {
					return cache.ErrWrongType
				}
				return m.Set(ctx, key, value, o)
			}
		}, []string{"Counter/SetReplaces"}},
		{"resets counters instead of removing them", func(m *Model, b *broken) {
			b.remove = func(ctx context.Context, key string) error {
				if _, found, err := m.Count(ctx, key); found && err == nil {
					m.peek(key, func(e *modelEntry) { e.count = 0 })
					return nil
				}
				return m.Remove(ctx, key)
			}
		}, []string{"Counter/RemoveRemoves"}},
		{"reads, then writes", func(m *Model, b *broken) {
			b.increment = func(ctx context.Context, key string, delta int64, o cache.EntryOptions) (int64, error) {
				old, _, err := m.Count(ctx, key)
				if err != nil {
					return 0, err
				}
				time.Sleep(time.Millisecond) // virtual
				_, err = m.Increment(ctx, key, 0, o)
				m.peek(key, func(e *modelEntry) { e.count = old + delta })
				return old + delta, err
			}
		}, []string{"Counter/ConcurrentSumIsExact"}},
		{"forgets the lifetime of counters", func(m *Model, b *broken) {
			b.increment = func(ctx context.Context, key string, delta int64, o cache.EntryOptions) (int64, error) {
				n, err := m.Increment(ctx, key, delta, o)
				m.peek(key, func(e *modelEntry) { e.deadline = time.Time{} })
				return n, err
			}
		}, []string{"Counter/TTL", "Counter/DefaultTTL"}},
		{"gives a counter its lifetime anew", func(m *Model, b *broken) {
			b.increment = func(ctx context.Context, key string, delta int64, o cache.EntryOptions) (int64, error) {
				n, err := m.Increment(ctx, key, delta, o)
				m.peek(key, func(e *modelEntry) { e.deadline = time.Now().Add(o.TTL) })
				return n, err
			}
		}, []string{"Counter/KeepsItsTTL", "Counter/ShorterTTLDoesNotApply"}},
		{"drops a counter's window", func(m *Model, b *broken) {
			b.increment = func(ctx context.Context, key string, delta int64, o cache.EntryOptions) (int64, error) {
				o.SlidingExpiration = 0
				return m.Increment(ctx, key, delta, o)
			}
		}, []string{"Counter/SlidingIsRefused"}},
	}
}
