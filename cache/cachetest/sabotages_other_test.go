package cachetest

import (
	"context"
	"errors"
	"time"

	"github.com/larder-go/larder/cache"
)

func objectSabotages() []sabotage {
	mapObject := func(f func(any) any) func(*Model, *broken) {
		return func(m *Model, b *broken) {
			b.setObject = func(ctx context.Context, key string, value any, o cache.EntryOptions) error {
				return m.SetObject(ctx, key, f(value), o)
			}
		}
	}
	return []sabotage{
		{"copies objects", mapObject(func(v any) any {
			if p, ok := v.(*thing); ok && p != nil {
				copied := *p
				return &copied
			}
			return v
		}), []string{"Objects/KeepIdentity"}},
		{"takes a nil pointer for nil", mapObject(func(v any) any {
			if p, ok := v.(*thing); ok && p == nil {
				return nil
			}
			return v
		}), []string{"Objects/AnyValue"}},
		{"stores nil", mapObject(func(v any) any {
			if v == nil {
				return "nil"
			}
			return v
		}), []string{"Objects/NilIsRefused"}},
		{"reads objects as bytes", func(m *Model, b *broken) {
			b.get = func(ctx context.Context, key string) ([]byte, bool, error) {
				if o, found, err := m.GetObject(ctx, key); found && err == nil {
					value, _ := o.([]byte)
					return value, true, nil
				}
				return m.Get(ctx, key)
			}
		}, []string{"Objects/IsNoByteValue"}},
		{"reads bytes as objects", func(m *Model, b *broken) {
			b.getObject = func(ctx context.Context, key string) (any, bool, error) {
				if value, found, err := m.Get(ctx, key); found && err == nil {
					return value, true, nil
				}
				return m.GetObject(ctx, key)
			}
		}, []string{"Objects/ByteValueIsNone"}},
		{"keeps bytes and objects apart", func(m *Model, b *broken) {
			other := NewModel(cache.EntryOptions{})
			b.getObject, b.setObject = other.GetObject, other.SetObject
		}, []string{"Objects/RemoveRemoves", "Objects/IsNoByteValue"}},
		{"refuses to replace bytes by an object", func(m *Model, b *broken) {
			b.setObject = func(ctx context.Context, key string, value any, o cache.EntryOptions) error {
				if _, found, err := m.Get(ctx, key); found && err == nil {
					return cache.ErrWrongType
				}
				return m.SetObject(ctx, key, value, o)
			}
		}, []string{"Objects/ReplaceEachOther"}},
		{"remembers the last key it was asked for", func(m *Model, b *broken) {
			var lastKey string
			var last any
			b.getObject = func(ctx context.Context, key string) (any, bool, error) {
				if key == lastKey && last != nil {
					return last, true, nil
				}
				value, found, err := m.GetObject(ctx, key)
				lastKey, last = key, value
				return value, found, err
			}
		}, []string{"Objects/KeyMemoryIsTheCallers"}},
		{"forgets the lifetime of objects", func(m *Model, b *broken) {
			b.setObject = func(ctx context.Context, key string, value any, o cache.EntryOptions) error {
				return m.SetObject(ctx, key, value, cache.EntryOptions{TTL: time.Hour, Lease: o.Lease})
			}
		}, []string{"Objects/TTL", "Objects/Sliding", "Exclusive/LoaderSaysHowLong"}},
		{"does not slide by GetObject", func(m *Model, b *broken) {
			b.getObject = func(ctx context.Context, key string) (any, bool, error) {
				var last time.Time
				m.peek(key, func(e *modelEntry) { last = e.lastRead })
				value, found, err := m.GetObject(ctx, key)
				m.peek(key, func(e *modelEntry) { e.lastRead = last })
				return value, found, err
			}
		}, []string{"Objects/Sliding"}},
	}
}

func otherSabotages() []sabotage {
	mapAppend := func(f func(dst, got []byte, found bool, err error) []byte) func(*Model, *broken) {
		return func(m *Model, b *broken) {
			b.appendTo = func(ctx context.Context, dst []byte, key string) ([]byte, bool, error) {
				got, found, err := m.AppendTo(ctx, dst, key)
				return f(dst, got, found, err), found, err
			}
		}
	}
	return []sabotage{
		{"overwrites dst", mapAppend(func(dst, got []byte, _ bool, _ error) []byte { return got[len(dst):] }), []string{"AppendTo/Appends"}},
		{"drops dst on a miss", mapAppend(func(_, got []byte, found bool, err error) []byte {
			if !found && err == nil {
				return nil
			}
			return got
		}), []string{"AppendTo/MissKeepsDst"}},
		{"drops dst on an error", mapAppend(func(_, got []byte, _ bool, err error) []byte {
			if err != nil {
				return nil
			}
			return got
		}), []string{"AppendTo/ErrorKeepsDst"}},
		{"appends to nothing by reference", func(m *Model, b *broken) {
			b.appendTo = func(ctx context.Context, dst []byte, key string) ([]byte, bool, error) {
				got, found, err := m.AppendTo(ctx, dst, key)
				if dst == nil {
					m.peek(key, func(e *modelEntry) { got = e.bytes })
				}
				return got, found, err
			}
		}, []string{"AppendTo/CopiesTheValue"}},
		{"does not slide by AppendTo", func(m *Model, b *broken) {
			b.appendTo = func(_ context.Context, dst []byte, key string) (got []byte, found bool, err error) {
				m.peek(key, func(e *modelEntry) { got, found = append(dst, e.bytes...), true })
				return got, found, nil
			}
		}, []string{"AppendTo/MovesSliding"}},
		{"clears what may be evicted", func(m *Model, b *broken) {
			b.clear = func(context.Context) error {
				m.mu.Lock()
				defer m.mu.Unlock()
				for key, e := range m.entries {
					if !e.deadline.IsZero() {
						delete(m.entries, key)
					}
				}
				return nil
			}
		}, []string{"Clear/Removes", "Lease/VoidedByClear"}},
		{"reports that there is nothing to clear", func(m *Model, b *broken) {
			b.clear = func(ctx context.Context) error {
				if m.Stats().Entries == 0 {
					return cache.ErrNotFound
				}
				return m.Clear(ctx)
			}
		}, []string{"Clear/OfNothing"}},
		{"gives a reply to another's question", func(m *Model, b *broken) {
			var last string
			b.get = func(ctx context.Context, key string) ([]byte, bool, error) {
				m.mu.Lock()
				last = key
				m.mu.Unlock()
				time.Sleep(time.Millisecond) // virtual
				m.mu.Lock()
				key = last
				m.mu.Unlock()
				return m.Get(ctx, key)
			}
		}, []string{"Concurrent/Smoke"}},
		{"counts all reads as hits", func(m *Model, b *broken) {
			b.stats = func() cache.Stats { s := m.Stats(); s.Hits, s.Misses = s.Hits+s.Misses, 0; return s }
		}, []string{"Stats/HitsAndMisses"}},
		{"answers after Close", func(m *Model, b *broken) {
			b.refresh = func(ctx context.Context, key string) error {
				if err := m.Refresh(ctx, key); !errors.Is(err, cache.ErrClosed) {
					return err
				}
				return nil
			}
		}, []string{"Close/ThenErrClosed"}},
		{"closes once", func(m *Model, b *broken) {
			b.close = func(ctx context.Context) error {
				if err := m.whole(ctx); err != nil {
					return err
				}
				return m.Close(ctx)
			}
		}, []string{"Close/IsIdempotent"}},
		{"breaks pipes when it closes", func(m *Model, b *broken) {
			b.refresh = func(ctx context.Context, key string) error {
				if err := m.Refresh(ctx, key); err != nil {
					return errors.New("write: broken pipe")
				}
				return nil
			}
			b.get, b.set, b.remove = func(ctx context.Context, key string) ([]byte, bool, error) {
				return nil, false, b.refresh(ctx, key)
			}, func(ctx context.Context, key string, _ []byte, _ cache.EntryOptions) error {
				return b.refresh(ctx, key)
			}, b.refresh
		}, []string{"Close/WhileInUse"}},
		{"has one name for all keys", func(m *Model, b *broken) {
			b.coord = func(string) (*cache.Coordinator, string) { return m.coordinator, "x" }
		}, []string{"Coordinate/OnePerCache", "Exclusive/KeysLoadApart"}},
		{"has a coordinator per call", func(_ *Model, b *broken) {
			b.coord = func(key string) (*cache.Coordinator, string) { return cache.NewCoordinator(nil), key }
		}, []string{"Coordinate/OnePerCache", "Exclusive/OneLoadForConcurrentCallers", "Exclusive/OneCallerLeaves"}},
	}
}
