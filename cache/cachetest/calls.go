package cachetest

import (
	"context"
	"errors"
	"time"

	"github.com/larder-go/larder/cache"
)

// call is one way to use one key. Cases about what every call does with its
// input go through all of them.
type call struct {
	name string
	do   func(ctx context.Context, key string) error
}

// calls returns every call that the cache offers. The error of a batch is the
// one of its item.
func (e *env) calls() []call {
	c := e.c
	all := []call{
		{"Get", func(ctx context.Context, key string) error { _, _, err := c.Get(ctx, key); return err }},
		{"Set", func(ctx context.Context, key string) error {
			return c.Set(ctx, key, []byte("new"), cache.EntryOptions{TTL: time.Hour})
		}},
		{"Refresh", c.Refresh},
		{"Remove", c.Remove},
	}
	if a, ok := cache.As[cache.Appender](c); ok {
		all = append(all, call{"AppendTo", func(ctx context.Context, key string) error {
			_, _, err := a.AppendTo(ctx, nil, key)
			return err
		}})
	}
	all = append(all, counterCalls(c)...)
	all = append(all, objectCalls(c)...)
	all = append(all, leaseCalls(c)...)
	all = append(all, versionCalls(c)...)
	all = append(all, lockCalls(c)...)
	all = append(all, markCalls(c)...)
	all = append(all, orderCalls(c)...)
	all = append(all, objectChangeCalls(c)...)
	if r, ok := cache.As[cache.Regions](c); ok {
		all = append(all, call{"GetUnder", func(ctx context.Context, key string) error {
			_, _, err := r.GetUnder(ctx, key, []cache.Token{cache.RegionToken("region")})
			return err
		}})
	}
	return append(all, batchCalls(c)...)
}

func counterCalls(c cache.Cache) []call {
	n, ok := cache.As[cache.Counter](c)
	if !ok {
		return nil
	}
	return []call{
		{"Count", func(ctx context.Context, key string) error { _, _, err := n.Count(ctx, key); return err }},
		{"Increment", func(ctx context.Context, key string) error {
			_, err := n.Increment(ctx, key, 1, cache.EntryOptions{TTL: time.Hour})
			return err
		}},
	}
}

func objectCalls(c cache.Cache) []call {
	o, ok := cache.As[cache.Objects](c)
	if !ok {
		return nil
	}
	return []call{
		{"GetObject", func(ctx context.Context, key string) error { _, _, err := o.GetObject(ctx, key); return err }},
		{"SetObject", func(ctx context.Context, key string) error {
			return o.SetObject(ctx, key, "object", cache.EntryOptions{TTL: time.Hour})
		}},
	}
}

func leaseCalls(c cache.Cache) []call {
	l, ok := cache.As[cache.Leaser](c)
	if !ok {
		return nil
	}
	return []call{
		{"Lease", func(ctx context.Context, key string) error { _, err := l.Lease(ctx, key, time.Minute); return err }},
		{"LeaseMany", func(ctx context.Context, key string) error {
			replies, err := l.LeaseMany(ctx, []string{key}, time.Minute)
			if err == nil && len(replies) == 1 {
				err = replies[0].Err
			}
			return err
		}},
		{"Extend", func(ctx context.Context, key string) error {
			_, err := l.Extend(ctx, key, cache.Lease{1}, time.Minute)
			return err
		}},
		{"Release", func(ctx context.Context, key string) error { return l.Release(ctx, key, cache.Lease{1}) }},
	}
}

func versionCalls(c cache.Cache) []call {
	v, ok := cache.As[cache.Versioner](c)
	if !ok {
		return nil
	}
	value, opts, version := []byte("new"), cache.EntryOptions{TTL: time.Hour}, cache.Version{1}
	return []call{
		{"GetItem", func(ctx context.Context, key string) error { _, _, err := v.GetItem(ctx, key); return err }},
		{"GetIfNewer", func(ctx context.Context, key string) error {
			_, _, _, err := v.GetIfNewer(ctx, key, version)
			return err
		}},
		{"CompareAndSet", func(ctx context.Context, key string) error {
			_, err := v.CompareAndSet(ctx, key, value, version, opts)
			return err
		}},
		{"Add", func(ctx context.Context, key string) error { _, err := v.Add(ctx, key, value, opts); return err }},
		{"RemoveVersion", func(ctx context.Context, key string) error {
			_, err := v.RemoveVersion(ctx, key, version)
			return err
		}},
	}
}

func lockCalls(c cache.Cache) []call {
	l, ok := cache.As[cache.Locker](c)
	if !ok {
		return nil
	}
	handle := cache.LockHandle{1}
	return []call{
		{"GetAndLock", func(ctx context.Context, key string) error {
			_, _, err := l.GetAndLock(ctx, key, time.Hour, cache.LockOptions{Force: true})
			return err
		}},
		{"PutAndUnlock", func(ctx context.Context, key string) error {
			_, err := l.PutAndUnlock(ctx, key, []byte("new"), handle, cache.EntryOptions{TTL: time.Hour})
			return err
		}},
		{"Unlock", func(ctx context.Context, key string) error { return l.Unlock(ctx, key, handle, time.Hour) }},
		{"RemoveLocked", func(ctx context.Context, key string) error { _, err := l.RemoveLocked(ctx, key, handle); return err }},
		{"ResetTTL", func(ctx context.Context, key string) error { return l.ResetTTL(ctx, key, time.Hour) }},
	}
}

func markCalls(c cache.Cache) []call {
	m, ok := cache.As[cache.WriteMarker](c)
	if !ok {
		return nil
	}
	mark := cache.WriteMark{Writer: [16]byte{1}, Epoch: [16]byte{1}}
	return []call{
		{"BeginWrite", func(ctx context.Context, key string) error { _, err := m.BeginWrite(ctx, key, time.Hour); return err }},
		{"EndWrite", func(ctx context.Context, key string) error { return m.EndWrite(ctx, key, mark) }},
	}
}

func batchCalls(c cache.Cache) []call {
	b, ok := cache.As[cache.Batcher](c)
	if !ok {
		return nil
	}
	return []call{
		{"GetMany", func(ctx context.Context, key string) error {
			results, err := b.GetMany(ctx, []string{key})
			if err == nil && len(results) == 1 {
				err = results[0].Err
			}
			return err
		}},
		{"SetMany", func(ctx context.Context, key string) error {
			return b.SetMany(ctx, []cache.Item{{Key: key, Value: []byte("new"), Options: cache.EntryOptions{TTL: time.Hour}}})
		}},
		{"RemoveMany", func(ctx context.Context, key string) error { return b.RemoveMany(ctx, []string{key}) }},
	}
}

// contextCases check what every call does with its context.
func contextCases() []testCase {
	bad := []struct {
		name string
		rule string
		ctx  func() (context.Context, context.CancelFunc)
		want error
	}{
		{"NilIsRefused", "A nil context is refused with ErrNilContext, and nothing is changed.",
			func() (context.Context, context.CancelFunc) { return nil, func() {} }, cache.ErrNilContext},
		{"CancelledIsRefused", "If the context was cancelled its error is returned, and nothing is changed.",
			func() (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancelCause(context.Background())
				cancel(errors.New("a cause"))
				return ctx, func() {}
			}, context.Canceled},
		{"ExpiredIsRefused", "If the context's deadline is over its error is returned, and nothing is changed.",
			func() (context.Context, context.CancelFunc) {
				return context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
			}, context.DeadlineExceeded},
	}
	var out []testCase
	for _, b := range bad {
		out = append(out, testCase{
			name: "Context/" + b.name,
			rule: b.rule,
			run: func(e *env) {
				e.setLong("k", "old")
				ctx, cancel := b.ctx()
				defer cancel()
				for _, call := range e.calls() {
					e.wantErr(call.name, call.do(ctx, "k"), b.want)
					e.wantErr(call.name, call.do(ctx, "absent"), b.want)
				}
				if c, ok := cache.As[cache.Clearer](e.c); ok {
					e.wantErr("Clear", c.Clear(ctx), b.want)
				}
				e.wantHit("k", "old")
				e.wantMiss("absent")
				if l, ok := cache.As[cache.Leaser](e.c); ok {
					reply, err := l.Lease(e.ctx, "absent", time.Minute)
					if err != nil || reply.State != cache.LeaseGranted {
						e.errorf("Lease after refused calls = %v, %v, want granted: one of them left something", reply.State, err)
					}
				}
			},
		})
	}
	return out
}
