package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/breaker"
	"github.com/redis/go-redis/v9"
)

func silent([]string) string { return "" }

// over returns a transport over s for a test in a bubble.
func over(t *testing.T, s *server, opts Options) *Transport {
	client := s.client()
	t.Cleanup(func() { _ = client.Close() })
	return open(t, client, opts)
}

func incr(ctx context.Context, tr *Transport) error {
	return tr.Do(ctx, "k", redis.NewIntCmd(ctx, "incr", "k"), Write)
}

// A server that takes commands and never answers.
func TestNoCallOutlastsItsBudget(t *testing.T) {
	calls := map[string]struct {
		do   func(context.Context, *Transport) error
		want error
	}{
		"get": {func(ctx context.Context, tr *Transport) error {
			_, err := tr.Get(ctx, "k")
			return err
		}, cache.ErrUnavailable},
		"read": {func(ctx context.Context, tr *Transport) error {
			return tr.Do(ctx, "k", redis.NewIntCmd(ctx, "strlen", "k"), Read)
		}, cache.ErrUnavailable},
		"write": {incr, cache.ErrOutcomeUnknown},
		"batch": {func(ctx context.Context, tr *Transport) error {
			cmds := []redis.Cmder{redis.NewIntCmd(ctx, "incr", "a"), redis.NewIntCmd(ctx, "incr", "b")}
			return errors.Join(tr.DoMany(ctx, []string{"a", "b"}, cmds, Write)...)
		}, cache.ErrOutcomeUnknown},
	}
	for name, c := range calls {
		for _, cancellable := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/cancellable=%t", name, cancellable), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					tr := over(t, &server{answer: silent}, Options{})
					ctx := context.Background()
					if cancellable {
						var cancel func()
						ctx, cancel = context.WithCancel(ctx)
						defer cancel()
					}
					start := time.Now()
					err := c.do(ctx, tr)
					if d := time.Since(start); d > 120*time.Millisecond {
						t.Errorf("took %v, want about the budget of 100ms", d)
					}
					if !errors.Is(err, c.want) {
						t.Errorf("got %v, want %v", err, c.want)
					}
					if got := tr.State(); got != breaker.Open {
						t.Errorf("breaker is %v after a timeout and no success, want open", got)
					}
					start = time.Now()
					if err := c.do(ctx, tr); !errors.Is(err, cache.ErrUnavailable) {
						t.Errorf("got %v from an open breaker, want ErrUnavailable", err)
					}
					if d := time.Since(start); d != 0 {
						t.Errorf("an open breaker took %v", d)
					}
				})
			})
		}
	}
}

// Nobody answers the dial: nothing can have been sent.
func TestWriteWithoutConnectionWasNotDone(t *testing.T) {
	dials := map[string]func(ctx context.Context, network, addr string) (net.Conn, error){
		"refused": func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
		},
		"unanswered": func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		"deaf to its context": func(context.Context, string, string) (net.Conn, error) {
			time.Sleep(3 * time.Second)
			return nil, errors.New("at last")
		},
	}
	for name, dial := range dials {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{answer: silent}
				client := s.clientThat(dial)
				defer client.Close()
				tr := open(t, client, Options{})
				start := time.Now()
				err := incr(context.Background(), tr)
				if d := time.Since(start); d > 120*time.Millisecond {
					t.Errorf("took %v", d)
				}
				if !errors.Is(err, cache.ErrUnavailable) || errors.Is(err, cache.ErrOutcomeUnknown) {
					t.Errorf("got %v, want ErrUnavailable", err)
				}
				if err := tr.Close(context.Background()); err != nil {
					t.Error(err)
				}
				time.Sleep(10 * time.Second) // go-redis's own dials end
			})
		})
	}
}

func TestLostReplyIsOutcomeUnknownAndNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: func(args []string) string {
			if args[0] == "ping" {
				return "+PONG\r\n"
			}
			return hangUp
		}}
		tr := over(t, s, Options{})
		ctx := context.Background()
		if err := incr(ctx, tr); !errors.Is(err, cache.ErrOutcomeUnknown) {
			t.Errorf("got %v for a write, want ErrOutcomeUnknown", err)
		}
		if n := s.count("incr"); n != 1 {
			t.Errorf("INCR was sent %d times, want once", n)
		}
		if _, err := tr.Get(ctx, "k"); !errors.Is(err, cache.ErrUnavailable) {
			t.Errorf("got %v for a read, want ErrUnavailable", err)
		}
	})
}

func TestErrorRepliesThatMeanNotDone(t *testing.T) {
	for _, reply := range []string{
		"LOADING Redis is loading the dataset in memory", "READONLY You can't write against a read only replica.",
		"CLUSTERDOWN The cluster is down", "MISCONF Redis is configured to save RDB snapshots", "OOM command not allowed",
		"NOAUTH Authentication required.", "NOPERM this user has no permissions", "ERR max number of clients reached",
		"MASTERDOWN Link with MASTER is down", "BUSY Redis is busy running a script", "NOREPLICAS Not enough good replicas",
	} {
		word, _, _ := strings.Cut(reply, " ")
		t.Run(word, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := over(t, &server{answer: func([]string) string { return "-" + reply + "\r\n" }}, Options{})
				ctx := context.Background()
				err := incr(ctx, tr)
				if !errors.Is(err, cache.ErrUnavailable) || errors.Is(err, cache.ErrOutcomeUnknown) {
					t.Errorf("got %v for a write, want ErrUnavailable", err)
				}
				if _, err := tr.Get(ctx, "k"); !errors.Is(err, cache.ErrUnavailable) {
					t.Errorf("got %v for a get, want ErrUnavailable", err)
				}
			})
		})
	}
}

func TestErrorReplyIsOfItsCommandAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := over(t, &server{answer: func(args []string) string {
			if args[1] == "list" {
				return "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
			}
			return "$1\r\nv\r\n"
		}}, Options{})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				if i%10 == 0 {
					_, err := tr.Get(ctx, "list")
					if !redis.HasErrorPrefix(err, "WRONGTYPE") || errors.Is(err, cache.ErrUnavailable) {
						t.Errorf("got %v, want WRONGTYPE", err)
					}
					return
				}
				if v, err := tr.Get(ctx, "k"); err != nil || string(v) != "v" {
					t.Errorf("got %q, %v", v, err)
				}
			})
		}
		wg.Wait()
		if tr.State() != breaker.Closed || tr.Errors() != 0 {
			t.Errorf("breaker %v, %d errors, want closed, 0", tr.State(), tr.Errors())
		}
	})
}

// Who waits for a lane sees the end of his context when the call has turned out
// to be a slow one, at the latest.
func TestEndedContextEndsTheWait(t *testing.T) {
	for _, ends := range []time.Duration{time.Millisecond, slowCall + time.Millisecond} {
		t.Run(ends.String(), func(t *testing.T) { endedContext(t, ends, Options{}) })
		t.Run(ends.String()+" long budget", func(t *testing.T) { endedContext(t, ends, Options{Budget: time.Hour}) })
	}
}

func endedContext(t *testing.T, ends time.Duration, opts Options) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: silent}
		tr := over(t, s, opts)
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(ends, cancel)
		var wg sync.WaitGroup
		start := time.Now()
		for i := range 20 {
			wg.Go(func() {
				if i%2 == 0 {
					if _, err := tr.Get(ctx, "k"); !errors.Is(err, context.Canceled) || errors.Is(err, cache.ErrUnavailable) {
						t.Errorf("got %v for a read, want context.Canceled", err)
					}
					return
				}
				if err := incr(ctx, tr); !errors.Is(err, context.Canceled) {
					t.Errorf("got %v for a write, want context.Canceled", err)
				}
			})
		}
		wg.Wait()
		if d, want := time.Since(start), max(ends, slowCall); d != want {
			t.Errorf("took %v, want %v", d, want)
		}
		if tr.State() != breaker.Closed || tr.Errors() != 0 {
			t.Errorf("breaker %v, %d errors: a caller that leaves is no failure", tr.State(), tr.Errors())
		}
	})
}

// The write that was under way may have been done, the one that waited was not.
func TestCancelledWriteSaysWhetherItWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: silent}
		tr := over(t, s, Options{})
		const sent = maxDirect + maxLanes
		ctx, cancel := context.WithCancel(context.Background())
		errs := make(chan error, sent+1)
		for range sent {
			go func() { errs <- incr(ctx, tr) }()
			time.Sleep(2 * slow) // the first go by themselves, then each lane takes one
		}
		go func() { errs <- incr(ctx, tr) }()
		time.Sleep(slowCall)
		cancel()
		synctest.Wait()
		unknown := 0
		for range sent + 1 {
			err := <-errs
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want context.Canceled", err)
			}
			if errors.Is(err, cache.ErrOutcomeUnknown) {
				unknown++
			}
		}
		if n := s.count("incr"); unknown != sent || n != sent {
			t.Errorf("%d writes unknown and %d sent, want %d of each", unknown, n, sent)
		}
		time.Sleep(time.Second)
		if n := s.count("incr"); n != sent {
			t.Errorf("the write that was given up unsent was sent later")
		}
	})
}

// Calls that come while every lane is stuck still end in their own time. The
// breaker is off, so nothing else helps them.
func TestQueuedCallsKeepToTheirBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := over(t, &server{answer: silent}, Options{Breaker: breaker.Options{Failures: -1}})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 7 * time.Millisecond)
				start := time.Now()
				if _, err := tr.Get(ctx, "k"); !errors.Is(err, cache.ErrUnavailable) {
					t.Errorf("call %d: got %v, want ErrUnavailable", i, err)
				}
				if d := time.Since(start); d > 120*time.Millisecond {
					t.Errorf("call %d took %v, want 120ms at most", i, d)
				}
			})
		}
		wg.Wait()
	})
}

// foreign is a client of a type that the transport does not know, and that
// keeps to no deadline.
type foreign struct {
	redis.UniversalClient
	hung chan struct{}
}

func (f *foreign) Process(context.Context, redis.Cmder) error {
	<-f.hung
	return nil
}

func (f *foreign) Ping(ctx context.Context) *redis.StatusCmd {
	<-ctx.Done()
	return redis.NewStatusResult("", ctx.Err())
}

func TestUnknownClientCannotHoldACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &foreign{(&server{answer: silent}).client(), make(chan struct{})}
		defer client.UniversalClient.Close()
		tr := open(t, client, Options{})
		start := time.Now()
		if err := incr(context.Background(), tr); !errors.Is(err, cache.ErrOutcomeUnknown) {
			t.Errorf("got %v, want ErrOutcomeUnknown", err)
		}
		if d := time.Since(start); d > 120*time.Millisecond {
			t.Errorf("took %v", d)
		}
		time.Sleep(20 * time.Millisecond)
		if got := tr.State(); got != breaker.Open {
			t.Errorf("breaker is %v, want open", got)
		}
		close(client.hung)
	})
}

// All lanes are stuck for good: calls that no lane takes end all the same, and
// are known not to have been sent.
func TestCallsThatNoLaneTakesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &foreign{(&server{answer: silent}).client(), make(chan struct{})}
		defer client.UniversalClient.Close()
		tr := open(t, client, Options{Breaker: breaker.Options{Failures: -1}})
		var wg sync.WaitGroup
		for i := range 3 * maxLanes {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 2 * slow) // so each finds the lanes before it stuck
				start := time.Now()
				err := incr(context.Background(), tr)
				if want := i < maxLanes; errors.Is(err, cache.ErrOutcomeUnknown) != want {
					t.Errorf("call %d: got %v, want outcome unknown: %t", i, err, want)
				}
				if d := time.Since(start); d > 120*time.Millisecond {
					t.Errorf("call %d took %v", i, d)
				}
			})
		}
		wg.Wait()
		close(client.hung)
	})
}

// A cluster of which nobody answers, so that there is no slot map.
func TestClusterThatNeverAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: silent}
		client := redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: []string{"10.0.0.1:1", "10.0.0.2:1"}, Dialer: s.dial, DisableIdentity: true,
			MaintNotificationsConfig: noMaintNotifications(),
		})
		defer client.Close()
		tr := open(t, client, Options{})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				start := time.Now()
				if err := incr(ctx, tr); !errors.Is(err, cache.ErrUnavailable) || errors.Is(err, cache.ErrOutcomeUnknown) {
					t.Errorf("got %v, want ErrUnavailable", err)
				}
				if d := time.Since(start); d > 120*time.Millisecond {
					t.Errorf("took %v", d)
				}
			})
		}
		wg.Wait()
		if got := tr.State(); got == breaker.Closed {
			t.Errorf("breaker is %v", got)
		}
		start := time.Now()
		if err := incr(ctx, tr); !errors.Is(err, cache.ErrUnavailable) || time.Since(start) != 0 {
			t.Errorf("got %v after %v, want ErrUnavailable at once", err, time.Since(start))
		}
		if tr.Background("k", redis.NewIntCmd(ctx, "incr", "k")) {
			t.Error("Background took a command for a node that nobody knows")
		}
		if err := tr.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := incr(ctx, tr); !errors.Is(err, cache.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
		time.Sleep(10 * time.Second) // go-redis's own goroutines end
	})
}
