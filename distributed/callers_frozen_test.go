package distributed_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// leaver calls everything there is on its key, and leaves what takes long. What it
// gave is its own again then, and so is what it got: it writes to both at once, so
// that the race detector sees who still uses them.
type leaver struct {
	cache   *distributed.Cache
	key     string
	size    int
	calls   atomic.Int64
	left    atomic.Int64 // calls that ended without an answer
	strange atomic.Int64 // values that nobody stored
}

// value is one that check knows.
func (l *leaver) value() []byte {
	return append([]byte(l.key+":"), bytes.Repeat([]byte{'v'}, l.size)...)
}

// check spoils a value that a call returned, after a look at it.
func (l *leaver) check(value []byte, found bool) {
	if found && !bytes.Equal(value, l.value()) {
		l.strange.Add(1)
	}
	clear(value)
}

func (l *leaver) note(err error) {
	l.calls.Add(1)
	if errors.Is(err, cache.ErrUnavailable) || errors.Is(err, cache.ErrOutcomeUnknown) || errors.Is(err, context.DeadlineExceeded) {
		l.left.Add(1)
	}
}

// run makes each call of a round on a goroutine of its own.
func (l *leaver) run(ctx context.Context, all *sync.WaitGroup) {
	known := &known{tokens: []cache.Token{cache.KeyToken("region", l.key)}}
	known.version.Store(&cache.Version{1})
	known.handle.Store(&cache.LockHandle{1})
	for _, call := range slices.Concat(l.writes(ctx, known), l.reads(ctx, known), l.others(ctx, known)) {
		all.Go(func() { l.note(call()) })
	}
}

// known is what the calls of a round learn from each other.
type known struct {
	tokens  []cache.Token
	version atomic.Pointer[cache.Version]
	handle  atomic.Pointer[cache.LockHandle]
}

// writes are the calls that are given a value.
func (l *leaver) writes(ctx context.Context, known *known) (calls []func() error) {
	c, key, hour := l.cache, l.key, cache.EntryOptions{TTL: time.Hour}
	bounded, dependent := hour, hour
	bounded.SlidingExpiration = time.Minute
	dependent.Tokens = known.tokens
	for _, write := range []func(value []byte) error{
		func(v []byte) error { return c.Set(ctx, key, v, hour) },
		func(v []byte) error { return c.Set(ctx, key, v, bounded) },
		func(v []byte) error { return c.Set(ctx, key, v, dependent) },
		func(v []byte) error {
			fill := dependent
			fill.Lease = cache.Lease{1}
			return c.SetMany(ctx, []cache.Item{{Key: key, Value: v, Options: hour}, {Key: key, Value: v, Options: fill}})
		},
		func(v []byte) error { _, err := c.Add(ctx, key, v, hour); return err },
		func(v []byte) error {
			_, err := c.CompareAndSet(ctx, key, v, *known.version.Load(), dependent)
			return err
		},
		func(v []byte) error { return c.SetIfNewer(ctx, key, v, 1, hour) },
		func(v []byte) error { _, err := c.PutAndUnlock(ctx, key, v, *known.handle.Load(), hour); return err },
		func(v []byte) error {
			mark, err := c.BeginWrite(ctx, key, time.Second)
			end := hour
			end.Mark = mark
			return errors.Join(err, c.Set(ctx, key, v, end), c.EndWrite(ctx, key, mark))
		},
	} {
		calls = append(calls, func() error {
			value := l.value()
			defer clear(value)
			return write(value)
		})
	}
	return calls
}

// reads are the calls that return a value.
func (l *leaver) reads(ctx context.Context, known *known) []func() error {
	c, key, tokens := l.cache, l.key, known.tokens
	return []func() error{
		func() error { v, ok, err := c.Get(ctx, key); l.check(v, ok); return err },
		func() error { v, ok, err := c.Get(ctx, key); l.check(v, ok); return err },
		func() error { v, ok, err := c.GetUnder(ctx, key, tokens); l.check(v, ok); return err },
		func() error {
			found, err := c.GetMany(ctx, []string{key, key, "other"})
			for _, r := range found {
				l.check(r.Value, r.Found)
				err = errors.Join(err, r.Err)
			}
			return err
		},
		func() error {
			item, ok, err := c.GetItem(ctx, key)
			l.check(item.Value, ok)
			if ok {
				known.version.Store(&item.Version)
			}
			return err
		},
		func() error {
			item, newer, _, err := c.GetIfNewer(ctx, key, *known.version.Load())
			l.check(item.Value, newer)
			return err
		},
		func() error {
			item, handle, err := c.GetAndLock(ctx, key, time.Second, cache.LockOptions{Force: true})
			l.check(item.Value, item.Value != nil)
			known.handle.Store(&handle)
			return err
		},
		func() error {
			copied, ok, err := c.Tier().Read(ctx, key, tokens)
			l.check(copied.Value, ok)
			if ok {
				_, err = c.Tier().Current(ctx, key, &copied)
			}
			return err
		},
		func() error {
			copies, err := c.Tier().ReadMany(ctx, []string{key, "other"})
			for _, r := range copies {
				l.check(r.Value, r.Found)
				err = errors.Join(err, r.Err)
			}
			return err
		},
		func() error {
			v, reply, err := c.Peek(ctx, key)
			l.check(v, reply.State == cache.LeaseFound)
			return err
		},
	}
}

// others are all other calls.
func (l *leaver) others(ctx context.Context, known *known) []func() error {
	c, key, counter := l.cache, l.key, l.key+"n"
	return []func() error{
		func() error {
			reply, err := c.Lease(ctx, key, time.Second)
			_, stop := c.Await(ctx, key, reply.Lease)
			stop()
			_, extendErr := c.Extend(ctx, key, cache.Lease{1}, time.Second)
			return errors.Join(err, extendErr, c.Release(ctx, key, reply.Lease))
		},
		func() error { _, err := c.LeaseMany(ctx, []string{key, "absent"}, time.Second); return err },
		func() error { return c.Unlock(ctx, key, *known.handle.Load(), 0) },
		func() error { return c.ResetTTL(ctx, key, time.Hour) },
		func() error { return c.Refresh(ctx, key) },
		func() error { _, err := c.RemoveVersion(ctx, key, *known.version.Load()); return err },
		func() error { _, err := c.RemoveLocked(ctx, key, *known.handle.Load()); return err },
		func() error { _, err := c.Increment(ctx, counter, 1, cache.EntryOptions{TTL: time.Hour}); return err },
		func() error { _, _, err := c.Count(ctx, counter); return err },
		func() error { _, err := c.Explain(ctx, key); return err },
		func() error { return c.ExpireTokens(ctx, known.tokens...) },
		func() error {
			since, err := c.Moment(ctx)
			_, freshErr := c.Unexpired(ctx, since, known.tokens)
			return errors.Join(err, freshErr)
		},
		func() error { return c.RemoveMany(ctx, []string{"absent", counter}) },
		func() error { _, err := c.Ping(ctx); return err },
	}
}

// A server that is frozen answers late: when those who asked have left, and use
// again what they gave, and while others ask anew.
func TestNobodyUsesWhatACallerLeft(t *testing.T) {
	one, other := redistest.Server(t), redistest.Server(t)
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"one": one.Addr(), "other": other.Addr()}})
	t.Cleanup(func() { _ = ring.Close() })
	for name, client := range map[string]redis.UniversalClient{"one server": one.Client(), "two servers": ring} {
		t.Run(name, func(t *testing.T) {
			c, err := distributed.New(client, &distributed.Options{BreakerFailures: -1, Budget: 50 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close(context.Background()) })
			c.TrackRegions()
			var callers []*leaver
			for i := range 6 {
				callers = append(callers, &leaver{cache: c, key: fmt.Sprint("key", i), size: i * i * 400})
			}
			var calls, left, strange int64
			for range 8 {
				freeze(one, callers)
			}
			for _, l := range callers {
				calls, left, strange = calls+l.calls.Load(), left+l.left.Load(), strange+l.strange.Load()
			}
			if strange > 0 {
				t.Errorf("%d values that nobody stored", strange)
			}
			if left == 0 || left == calls {
				t.Errorf("%d of %d calls were left", left, calls)
			}
		})
	}
}

// freeze has everybody call a frozen server. When half of them have left, it answers
// while all call it again.
func freeze(server *redistest.Instance, callers []*leaver) {
	var leaving, all sync.WaitGroup
	server.Stop()
	for i, l := range callers {
		if i%2 == 0 {
			l.run(context.Background(), &all)
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*3*time.Millisecond)
		defer cancel()
		l.run(ctx, &leaving)
	}
	leaving.Wait()
	server.Cont()
	for _, l := range callers {
		l.run(context.Background(), &all)
	}
	all.Wait()
}
