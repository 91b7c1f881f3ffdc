package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/breaker"
	"github.com/larder-go/larder/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// noLanes fails the test if a call of tr was handed to a lane.
func noLanes(t *testing.T, tr *Transport) {
	t.Helper()
	for _, n := range tr.routes.all() {
		n.mu.Lock()
		if len(n.running) > 0 {
			t.Errorf("%d lanes were started, want only direct calls", len(n.running))
		}
		n.mu.Unlock()
	}
}

// echo answers GET with the name of the key.
func echo(args []string) string {
	key := args[len(args)-1]
	return fmt.Sprintf("$%d\r\n%s\r\n", len(key), key)
}

// exchanges are a call of each sort, by whether it changes something.
var exchanges = map[string]struct {
	do   func(context.Context, *Transport) error
	kind Kind
}{
	"get": {func(ctx context.Context, tr *Transport) error {
		_, err := tr.Get(ctx, "k")
		return err
	}, Read},
	"read": {func(ctx context.Context, tr *Transport) error {
		return tr.Do(ctx, "k", redis.NewIntCmd(ctx, "strlen", "k"), Read)
	}, Read},
	"write": {incr, Write},
	"batch": {func(ctx context.Context, tr *Transport) error {
		cmds := []redis.Cmder{redis.NewIntCmd(ctx, "incr", "k"), redis.NewIntCmd(ctx, "incr", "k")}
		errs := tr.DoMany(ctx, []string{"k", "k"}, cmds, Write)
		if fmt.Sprint(errs[0]) != fmt.Sprint(errs[1]) {
			return fmt.Errorf("the errors differ: %v", errs)
		}
		return errs[1]
	}, Write},
}

// ending are contexts that end 3 ms after they were made.
var ending = map[string]struct {
	context func() (context.Context, context.CancelFunc)
	want    error
}{
	"cancelled": {func() (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(3*time.Millisecond, cancel)
		return ctx, cancel
	}, context.Canceled},
	"deadline": {func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(context.Background(), 3*time.Millisecond)
	}, context.DeadlineExceeded},
}

// A few callers need no lane, and as many connections as there are of them. One
// more and they share.
func TestFewCallersMakeTheirOwnRoundTrips(t *testing.T) {
	for _, callers := range []int{1, 3, maxDirect, maxDirect + 1} {
		t.Run(fmt.Sprint(callers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var dials atomic.Int32
				s := &server{answer: func(args []string) string {
					time.Sleep(time.Millisecond)
					return echo(args)
				}}
				client := s.clientThat(func(ctx context.Context, network, addr string) (net.Conn, error) {
					dials.Add(1)
					return s.dial(ctx, network, addr)
				})
				defer client.Close()
				tr := open(t, client, Options{})
				var wg sync.WaitGroup
				for i := range callers {
					wg.Go(func() {
						for range 50 {
							key := fmt.Sprint(i)
							if v, err := tr.Get(context.Background(), key); err != nil || string(v) != key {
								t.Errorf("got %q, %v, want %q", v, err, key)
							}
						}
					})
				}
				wg.Wait()
				if callers <= maxDirect {
					noLanes(t, tr)
					if n := int(dials.Load()); n != callers {
						t.Errorf("%d connections for %d callers", n, callers)
					}
					return
				}
				n := tr.routes.all()[0]
				n.mu.Lock()
				defer n.mu.Unlock()
				if len(n.running) == 0 {
					t.Error("no lane was started")
				}
			})
		})
	}
}

func TestDirectCallerLeavesAtOnce(t *testing.T) {
	for name, x := range exchanges {
		for how, end := range ending {
			t.Run(name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &server{answer: silent}
					tr := over(t, s, Options{})
					ctx, cancel := end.context()
					defer cancel()
					start := time.Now()
					err := x.do(ctx, tr)
					if d := time.Since(start); d != 3*time.Millisecond {
						t.Errorf("took %v, want 3ms", d)
					}
					checkLeft(t, err, end.want, x.kind == Write)
					if tr.State() != breaker.Closed || tr.Errors() != 0 {
						t.Errorf("breaker %v, %d errors: a caller that leaves is no failure", tr.State(), tr.Errors())
					}
					if n := s.count(""); n == 0 {
						t.Error("the server saw no command")
					}
					noLanes(t, tr)
				})
			})
		}
	}
}

// checkLeft checks the error of a caller whose context ended.
func checkLeft(t *testing.T, err, want error, unknown bool) {
	t.Helper()
	if !errors.Is(err, want) || errors.Is(err, cache.ErrUnavailable) || errors.Is(err, cache.ErrOutcomeUnknown) != unknown {
		t.Errorf("got %v, want %v, outcome unknown: %t", err, want, unknown)
	}
}

// The dial does not come to an end: nothing was sent, not even a write.
func TestDirectCallerLeavesTheDial(t *testing.T) {
	for name, x := range exchanges {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{answer: silent}
				client := s.clientThat(func(ctx context.Context, network, addr string) (net.Conn, error) {
					time.Sleep(50 * time.Millisecond) // deaf to its context
					return s.dial(ctx, network, addr)
				})
				defer client.Close()
				tr := open(t, client, Options{})
				ctx, cancel := context.WithCancel(context.Background())
				time.AfterFunc(3*time.Millisecond, cancel)
				start := time.Now()
				err := x.do(ctx, tr)
				if d := time.Since(start); d != 3*time.Millisecond {
					t.Errorf("took %v, want 3ms", d)
				}
				checkLeft(t, err, context.Canceled, false)
				if tr.State() != breaker.Closed || tr.Errors() != 0 {
					t.Errorf("breaker %v, %d errors", tr.State(), tr.Errors())
				}
				noLanes(t, tr)
				time.Sleep(time.Second) // the dial ends
				if n := s.count(""); n > 0 {
					t.Errorf("the server saw %d commands, want none", n)
				}
			})
		})
	}
}

// The server does not answer the handshake either.
func TestDirectCallerLeavesTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := redis.NewClient(&redis.Options{
			MaintNotificationsConfig: noMaintNotifications(),
			Dialer: func(context.Context, string, string) (net.Conn, error) {
				here, there := net.Pipe()
				go func() { // reads and says nothing
					for buf := make([]byte, 1024); ; {
						if _, err := there.Read(buf); err != nil {
							return
						}
					}
				}()
				return here, nil
			},
		})
		defer client.Close()
		tr := open(t, client, Options{})
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Millisecond)
		defer cancel()
		start := time.Now()
		checkLeft(t, incr(ctx, tr), context.DeadlineExceeded, false)
		if d := time.Since(start); d != 3*time.Millisecond {
			t.Errorf("took %v, want 3ms", d)
		}
		if tr.State() != breaker.Closed {
			t.Errorf("breaker is %v", tr.State())
		}
	})
}

// A reply that comes after its caller left is not taken for that to the next
// call, be it made by a lane or, later, directly again.
func TestLateReplyIsNobodyElses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: func(args []string) string {
			if strings.HasPrefix(args[1], "late") {
				time.Sleep(10 * time.Millisecond)
			}
			return echo(args)
		}}
		tr := over(t, s, Options{})
		for i := range 20 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*time.Millisecond+time.Microsecond)
			late := fmt.Sprint("late", i)
			v, err := tr.Get(ctx, late)
			if i < 10 && !errors.Is(err, context.DeadlineExceeded) || i > 10 && (err != nil || string(v) != late) {
				t.Errorf("call %d: got %q, %v", i, v, err)
			}
			cancel()
			ctx, cancel = context.WithCancel(context.Background())
			for k := range 5 {
				key := fmt.Sprint("key", i, k)
				if v, err := tr.Get(ctx, key); err != nil || string(v) != key {
					t.Errorf("call %d: got %q, %v, want its own key", i, v, err)
				}
				time.Sleep(5 * time.Millisecond)
			}
			cancel()
			time.Sleep(caution)
		}
		if tr.State() != breaker.Closed || tr.Errors() != 0 {
			t.Errorf("breaker %v, %d errors", tr.State(), tr.Errors())
		}
	})
}

func TestCancellationsLeaveTheBreakerClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := over(t, &server{answer: silent}, Options{})
		for i := range 100 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			if _, err := tr.Get(ctx, "k"); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("call %d: got %v, want DeadlineExceeded", i, err)
			}
			cancel()
			if tr.State() != breaker.Closed {
				t.Fatalf("breaker is %v after %d calls that were given up", tr.State(), i+1)
			}
			time.Sleep(caution)
		}
		if tr.Errors() != 0 {
			t.Errorf("%d errors, want 0", tr.Errors())
		}
		noLanes(t, tr)
	})
}

// A context that would last longer than the budget does not stretch it, and
// the server is to blame.
func TestDirectCallWithALaterDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := over(t, &server{answer: silent}, Options{})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		start := time.Now()
		if err := incr(ctx, tr); !errors.Is(err, cache.ErrOutcomeUnknown) || ctx.Err() != nil {
			t.Errorf("got %v, want ErrOutcomeUnknown", err)
		}
		if d := time.Since(start); d > 120*time.Millisecond {
			t.Errorf("took %v, want about the budget of 100ms", d)
		}
		if tr.State() != breaker.Open || tr.Errors() != 1 {
			t.Errorf("breaker %v, %d errors, want open, 1", tr.State(), tr.Errors())
		}
		noLanes(t, tr)
	})
}

// Callers that keep leaving do not cost a connection each.
func TestCallersThatLeaveAreHandedToLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int32
		s := &server{answer: func(args []string) string {
			time.Sleep(2 * time.Millisecond)
			return echo(args)
		}}
		client := s.clientThat(func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials.Add(1)
			return s.dial(ctx, network, addr)
		})
		defer client.Close()
		tr := open(t, client, Options{})
		for range 250 { // in one second
			ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			if _, err := tr.Get(ctx, "k"); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %v, want DeadlineExceeded, or the answer of a lane", err)
			}
			cancel()
			time.Sleep(3 * time.Millisecond)
		}
		if n := dials.Load(); n > 3 {
			t.Errorf("%d connections for 250 calls that were given up, want 3 at most", n)
		}
	})
}

// A call that left late still leaves the connection of the next one alone.
func TestCancelRacesWithReply(t *testing.T) {
	client := redistest.Server(t).Client()
	tr := open(t, client, patient)
	node := tr.routes.all()[0]
	var wg sync.WaitGroup
	for i := range 2000 {
		key := fmt.Sprint("k", i)
		ctx, cancel := context.WithCancel(context.Background())
		wg.Go(func() {
			for range i % 50 * 20 {
				_ = ctx.Err() // some microseconds
			}
			cancel()
		})
		if err := tr.Do(ctx, key, redis.NewStatusCmd(ctx, "set", key, key), Write); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want nil or Canceled", err)
		}
		cancel()
		node.mu.Lock()
		node.cautious = time.Time{} // go on directly
		node.mu.Unlock()
		next, done := context.WithCancel(context.Background())
		if v, err := tr.Get(next, key); err != nil && !errors.Is(err, redis.Nil) || err == nil && string(v) != key {
			t.Fatalf("got %q, %v, want %q or a miss", v, err, key)
		}
		done()
	}
	wg.Wait()
	if tr.State() != breaker.Closed || tr.Errors() != 0 {
		t.Errorf("breaker %v, %d errors", tr.State(), tr.Errors())
	}
}
