package transport

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/redistest"
	"github.com/redis/go-redis/v9"
)

func TestNewRefusesClientsThatCannotWork(t *testing.T) {
	closed := redis.NewClient(&redis.Options{})
	closedCluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"localhost:1"}})
	closedRing := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "localhost:1"}})
	for _, c := range []redis.UniversalClient{closed, closedCluster, closedRing} {
		_ = c.Close()
	}
	for name, c := range map[string]redis.UniversalClient{
		"nil": nil, "typed nil": (*redis.Client)(nil), "closed": closed, "closed cluster": closedCluster, "closed ring": closedRing,
	} {
		if _, err := New(c, Options{}); !errors.Is(err, cache.ErrInvalidConfig) {
			t.Errorf("%s: got %v, want ErrInvalidConfig", name, err)
		}
	}
}

func TestNewDoesNotDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: silent}
		over(t, s, Options{})
		time.Sleep(time.Minute)
		if len(s.seen) > 0 {
			t.Errorf("the server saw %q", s.seen)
		}
	})
}

func TestCloseLeavesTheGivenClientAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, closes := range []bool{false, true} {
			client := redistest.MiniClient(t, redistest.Mini(t))
			before := *client.Options()
			tr := open(t, client, Options{CloseClient: closes})
			ctx := context.Background()
			if err := set(tr, "k", "v"); err != nil {
				t.Fatal(err)
			}
			if after := *client.Options(); after.MaxRetries != before.MaxRetries || after.ReadTimeout != before.ReadTimeout || after.PoolSize != before.PoolSize {
				t.Error("the given client's options changed")
			}
			for range 2 {
				if err := tr.Close(ctx); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
			if err := client.Get(ctx, "k").Err(); errors.Is(err, redis.ErrClosed) != closes {
				t.Errorf("CloseClient %t: the given client says %v", closes, err)
			}
		}
	})
}

func TestAfterCloseEveryCallIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := open(t, redistest.MiniClient(t, redistest.Mini(t)), Options{})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if err := tr.Close(ctx); err != nil {
			t.Fatal(err)
		}
		_, getErr := tr.Get(ctx, "k")
		_, evalErr := tr.Eval(ctx, NewScript("return 1"), "k", Write)
		for name, err := range map[string]error{
			"Get": getErr, "Eval": evalErr, "Do": set(tr, "k", "v"),
			"Do without end": tr.Do(context.Background(), "k", redis.NewStringCmd(ctx, "get", "k"), Read),
			"DoMany":         tr.DoMany(ctx, []string{"k"}, []redis.Cmder{redis.NewStringCmd(ctx, "get", "k")}, Read)[0],
			"ForEachNode":    tr.ForEachNode(ctx, func(context.Context, *redis.Client) error { return nil }),
		} {
			if !errors.Is(err, cache.ErrClosed) {
				t.Errorf("%s: got %v, want ErrClosed", name, err)
			}
		}
		if tr.Background("k", redis.NewIntCmd(ctx, "incr", "k")) {
			t.Error("Background took a command")
		}
		if tr.Errors() != 0 {
			t.Errorf("got %d errors, want 0", tr.Errors())
		}
	})
}

// Calls that race with Close are answered or refused, but never left waiting.
func TestCloseWhileCalled(t *testing.T) {
	client := redistest.Server(t).Client()
	for range 20 {
		tr := open(t, client, patient)
		var wg sync.WaitGroup
		for g := range 32 {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				for i := range 1000 {
					if g%2 == 0 {
						ctx = context.Background()
					}
					if _, err := tr.Get(ctx, strconv.Itoa(i)); errors.Is(err, cache.ErrClosed) {
						return
					} else if !errors.Is(err, redis.Nil) {
						t.Errorf("got %v, want a miss or ErrClosed", err)
						return
					}
				}
			})
		}
		if err := tr.Close(context.Background()); err != nil {
			t.Error(err)
		}
		wg.Wait()
	}
}

func TestClosedIsSaidBeforeOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := over(t, &server{answer: silent}, Options{})
		_ = incr(t.Context(), tr) // opens the breaker
		if err := tr.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := incr(t.Context(), tr); !errors.Is(err, cache.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	})
}

func TestCloseEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := over(t, &server{answer: silent}, Options{Budget: time.Second})
		go func() { _ = incr(t.Context(), tr) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		start := time.Now()
		if err := tr.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want DeadlineExceeded", err)
		}
		if d := time.Since(start); d != time.Millisecond {
			t.Errorf("took %v, want 1ms", d)
		}
	})
}

func TestNilContextIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := open(t, redistest.MiniClient(t, redistest.Mini(t)), Options{})
		if _, err := tr.Get(nil, "k"); !errors.Is(err, cache.ErrNilContext) { //nolint:staticcheck // that is the test
			t.Errorf("got %v, want ErrNilContext", err)
		}
	})
}

func TestEndedContextSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: silent}
		tr := over(t, s, Options{})
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := incr(ctx, tr); !errors.Is(err, context.Canceled) || errors.Is(err, cache.ErrOutcomeUnknown) {
			t.Errorf("got %v, want context.Canceled alone", err)
		}
		if len(s.seen) > 0 {
			t.Errorf("the server saw %q", s.seen)
		}
	})
}

func TestBackgroundRunsBatchedAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		s := &server{answer: func([]string) string {
			<-free
			return ":1\r\n"
		}}
		tr := over(t, s, Options{Budget: time.Minute})
		taken, dropped := 0, 0
		for range 3 * maxBackground {
			if tr.Background("k", redis.NewIntCmd(context.Background(), "incr", "k")) {
				taken++
			} else {
				dropped++
			}
		}
		if taken < maxBackground || dropped == 0 {
			t.Errorf("took %d and dropped %d, want a bound at about %d", taken, dropped, maxBackground)
		}
		close(free)
		if err := tr.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if n := s.count("incr"); n != taken {
			t.Errorf("%d ran of the %d that were taken", n, taken)
		}
	})
}
