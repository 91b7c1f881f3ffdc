package distributed_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	miniserver "github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// secret is a key that must not turn up in any error.
const secret = "personal-data"

// call is one use of one key.
type call struct {
	name  string
	write bool
	do    func(ctx context.Context, c *distributed.Cache) error
}

func calls() []call {
	value := []byte("value")
	bounded := cache.EntryOptions{SlidingExpiration: time.Minute, TTL: time.Hour}
	first := func(errs []error, err error) error {
		if err != nil || len(errs) == 0 {
			return err
		}
		return errs[0]
	}
	batch := func(err error) error {
		var b *cache.BatchError
		if errors.As(err, &b) {
			return first(b.Errs, nil)
		}
		return err
	}
	return []call{
		{"Get", false, func(ctx context.Context, c *distributed.Cache) error { _, _, err := c.Get(ctx, secret); return err }},
		{"AppendTo", false, func(ctx context.Context, c *distributed.Cache) error {
			_, _, err := c.AppendTo(ctx, nil, secret)
			return err
		}},
		{"Count", false, func(ctx context.Context, c *distributed.Cache) error { _, _, err := c.Count(ctx, secret); return err }},
		{"GetMany", false, func(ctx context.Context, c *distributed.Cache) error {
			results, err := c.GetMany(ctx, []string{secret})
			if err == nil {
				err = results[0].Err
			}
			return err
		}},
		{"Set", true, func(ctx context.Context, c *distributed.Cache) error { return c.Set(ctx, secret, value, forever) }},
		{"Set bounded", true, func(ctx context.Context, c *distributed.Cache) error { return c.Set(ctx, secret, value, bounded) }},
		{"Refresh", true, func(ctx context.Context, c *distributed.Cache) error { return c.Refresh(ctx, secret) }},
		{"Remove", true, func(ctx context.Context, c *distributed.Cache) error { return c.Remove(ctx, secret) }},
		{"Increment", true, func(ctx context.Context, c *distributed.Cache) error {
			_, err := c.Increment(ctx, secret, 1, forever)
			return err
		}},
		{"Lease", true, func(ctx context.Context, c *distributed.Cache) error {
			_, err := c.Lease(ctx, secret, time.Minute)
			return err
		}},
		{"LeaseMany", true, func(ctx context.Context, c *distributed.Cache) error {
			replies, err := c.LeaseMany(ctx, []string{secret}, time.Minute)
			if err == nil {
				err = replies[0].Err
			}
			return err
		}},
		{"Release", true, func(ctx context.Context, c *distributed.Cache) error { return c.Release(ctx, secret, cache.Lease{1}) }},
		{"SetMany", true, func(ctx context.Context, c *distributed.Cache) error {
			return batch(c.SetMany(ctx, []cache.Item{{Key: secret, Value: value}}))
		}},
		{"RemoveMany", true, func(ctx context.Context, c *distributed.Cache) error {
			return batch(c.RemoveMany(ctx, []string{secret}))
		}},
		{"GetItem", false, func(ctx context.Context, c *distributed.Cache) error { _, _, err := c.GetItem(ctx, secret); return err }},
		{"GetIfNewer", false, func(ctx context.Context, c *distributed.Cache) error {
			_, _, _, err := c.GetIfNewer(ctx, secret, cache.Version{1})
			return err
		}},
		{"CompareAndSet", true, func(ctx context.Context, c *distributed.Cache) error {
			return anyState(second(c.CompareAndSet(ctx, secret, value, cache.Version{1}, forever)))
		}},
		{"Add", true, func(ctx context.Context, c *distributed.Cache) error {
			return anyState(second(c.Add(ctx, secret, value, bounded)))
		}},
		{"RemoveVersion", true, func(ctx context.Context, c *distributed.Cache) error {
			return second(c.RemoveVersion(ctx, secret, cache.Version{1}))
		}},
		{"GetAndLock", true, func(ctx context.Context, c *distributed.Cache) error {
			_, _, err := c.GetAndLock(ctx, secret, time.Minute, cache.LockOptions{Force: true})
			return anyState(err)
		}},
		{"PutAndUnlock", true, func(ctx context.Context, c *distributed.Cache) error {
			return anyState(second(c.PutAndUnlock(ctx, secret, value, cache.LockHandle{1}, forever)))
		}},
		{"Unlock", true, func(ctx context.Context, c *distributed.Cache) error {
			return anyState(c.Unlock(ctx, secret, cache.LockHandle{1}, 0))
		}},
		{"RemoveLocked", true, func(ctx context.Context, c *distributed.Cache) error {
			return second(c.RemoveLocked(ctx, secret, cache.LockHandle{1}))
		}},
		{"ResetTTL", true, func(ctx context.Context, c *distributed.Cache) error {
			return anyState(c.ResetTTL(ctx, secret, time.Minute))
		}},
	}
}

// anyState returns err unless it only says in which state the key is.
func anyState(err error) error {
	for _, state := range outcomes {
		if state != nil && errors.Is(err, state) {
			return nil
		}
	}
	return err
}

func wantNoKey(t *testing.T, err error) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), secret) {
		t.Errorf("the error's text holds the key: %v", err)
	}
}

func TestServerDown(t *testing.T) {
	for _, call := range calls() {
		t.Run(call.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := redistest.Mini(t)
				var l line
				l.down.Store(true)
				c := open(t, l.client(t, m), distributed.Options{Budget: 100 * time.Millisecond})
				start := time.Now()
				err := call.do(t.Context(), c)
				wantErr(t, err, cache.ErrUnavailable)
				wantNoKey(t, err)
				var op *cache.OpError
				if !errors.As(err, &op) || op.Key != secret {
					t.Errorf("got %#v, want an *OpError that names the key", err)
				}
				if took := time.Since(start); took > 100*time.Millisecond {
					t.Errorf("it took %v, more than the budget", took)
				}
			})
		})
	}
}

func TestServerHangs(t *testing.T) {
	for _, call := range calls() {
		t.Run(call.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := redistest.Mini(t)
				c := open(t, redistest.MiniClient(t, m), distributed.Options{Budget: 100 * time.Millisecond})
				wantMiss(t, c, "other") // connects
				hang := make(chan struct{})
				watch(m, func(string) { <-hang })
				defer close(hang)
				want := cache.ErrUnavailable
				if call.write {
					want = cache.ErrOutcomeUnknown
				}
				start := time.Now()
				err := call.do(t.Context(), c)
				wantErr(t, err, want)
				wantNoKey(t, err)
				if took := time.Since(start); took != 100*time.Millisecond {
					t.Errorf("it took %v, want the budget", took)
				}
			})
		})
	}
}

func TestContextEndsTheWait(t *testing.T) {
	for _, call := range calls() {
		t.Run(call.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := redistest.Mini(t)
				c := open(t, redistest.MiniClient(t, m), distributed.Options{Budget: time.Minute})
				wantMiss(t, c, "other")
				hang := make(chan struct{})
				watch(m, func(string) { <-hang })
				defer close(hang)
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
				defer cancel()
				start := time.Now()
				err := call.do(ctx, c)
				wantErr(t, err, context.DeadlineExceeded)
				if call.write {
					wantErr(t, err, cache.ErrOutcomeUnknown)
				}
				if took := time.Since(start); took != 30*time.Millisecond {
					t.Errorf("it took %v, want the context's 30 ms", took)
				}
			})
		})
	}
}

// What was executed although its reply was lost must not be reported as undone.
func TestLostReplies(t *testing.T) {
	for _, call := range calls() {
		t.Run(call.name, func(t *testing.T) {
			m := redistest.Mini(t)
			var l line
			c := open(t, l.client(t, m), distributed.Options{})
			_ = call.do(t.Context(), c) // connects, and brings the script
			l.lose.Store(true)
			err := call.do(t.Context(), c)
			want := cache.ErrUnavailable
			if call.write {
				want = cache.ErrOutcomeUnknown
			}
			wantErr(t, err, want)
			wantNoKey(t, err)
			l.lose.Store(false)
			wantMiss(t, c, "other")
		})
	}
}

// Replies that refuse a command are an unavailable server's, and some of them
// quote the command.
func TestServerRefuses(t *testing.T) {
	for _, reply := range []string{
		"OOM command not allowed when used memory > 'maxmemory'.",
		"READONLY You can't write against a read only replica.",
		"MISCONF Redis is configured to save RDB snapshots",
		"LOADING Redis is loading the dataset in memory",
		"NOPERM this user has no permissions to run the command",
		"ERR unknown command 'GET', with args beginning with: '" + secret + "' ",
	} {
		for _, call := range calls() {
			m := redistest.Mini(t)
			c := open(t, redistest.MiniClient(t, m), distributed.Options{})
			wantMiss(t, c, "other")
			m.Server().SetPreHook(func(p *miniserver.Peer, _ string, _ ...string) bool {
				p.WriteError(reply)
				return true
			})
			err := call.do(t.Context(), c)
			if !errors.Is(err, cache.ErrUnavailable) || errors.Is(err, cache.ErrOutcomeUnknown) {
				t.Errorf("%s, %s: got %v, want unavailable", reply, call.name, err)
			}
			var answer redis.Error
			if !errors.As(err, &answer) {
				t.Errorf("%s, %s: the cause is lost", reply, call.name)
			}
			wantNoKey(t, err)
		}
	}
}

func TestScriptsComeBackAfterARestart(t *testing.T) {
	c, _, client := onMini(t)
	for _, call := range calls() {
		must(t, c.Remove(t.Context(), secret))
		must(t, client.ScriptFlush(t.Context()).Err())
		if err := call.do(t.Context(), c); err != nil {
			t.Errorf("%s: %v", call.name, err)
		}
	}
}

func TestContextIsCheckedFirst(t *testing.T) {
	c, _, _ := onMini(t)
	var none context.Context
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, call := range calls() {
		wantErr(t, call.do(none, c), cache.ErrNilContext)
		wantErr(t, call.do(cancelled, c), context.Canceled)
	}
	_, err := c.Ping(none)
	wantErr(t, err, cache.ErrNilContext)
	wantErr(t, c.Close(none), cache.ErrNilContext)
	wantMiss(t, c, secret)
}

func TestClose(t *testing.T) {
	m := redistest.Mini(t)
	client := redistest.MiniClient(t, m)
	c, err := distributed.New(client, nil)
	must(t, err)
	must(t, c.Set(t.Context(), secret, []byte("v"), forever))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, call := range calls() {
				if err := call.do(t.Context(), c); err != nil && !errors.Is(err, cache.ErrClosed) && !errors.Is(err, cache.ErrWrongType) {
					t.Errorf("%s during Close: %v", call.name, err)
				}
			}
		})
		wg.Go(func() {
			if err := c.Close(t.Context()); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	wg.Wait()
	for _, call := range calls() {
		wantErr(t, call.do(t.Context(), c), cache.ErrClosed)
	}
	_, err = c.Ping(t.Context())
	wantErr(t, err, cache.ErrClosed)
	must(t, client.Ping(t.Context()).Err())

	owner, err := distributed.New(client, &distributed.Options{CloseClient: true})
	must(t, err)
	must(t, owner.Close(t.Context()))
	wantErr(t, client.Ping(t.Context()).Err(), redis.ErrClosed)
}
