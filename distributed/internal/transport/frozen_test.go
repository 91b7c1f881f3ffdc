package transport

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/breaker"
	"github.com/larder-go/larder/internal/redistest"
)

func TestFrozenServer(t *testing.T) {
	srv := redistest.Server(t)
	var mu sync.Mutex
	var states []breaker.State
	tr := open(t, srv.Client(), Options{Budget: time.Second, OnBreaker: func(s breaker.State) {
		mu.Lock()
		defer mu.Unlock()
		states = append(states, s)
	}})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := set(tr, "k", "v"); err != nil {
		t.Fatal(err)
	}
	srv.Stop()
	start := time.Now()
	if _, err := tr.Get(ctx, "k"); !errors.Is(err, cache.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	for range 100 {
		if _, err := tr.Get(ctx, "k"); !errors.Is(err, cache.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	}
	// How long exactly is for tests in virtual time: this machine may be busy.
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("101 calls took %v, want one budget for the first, and next to nothing for the others", d)
	}
	if tr.Rejected() == 0 || tr.Errors() == 0 {
		t.Errorf("rejected %d, errors %d, want some of both", tr.Rejected(), tr.Errors())
	}
	srv.Cont()
	recover := time.Now()
	for {
		if v, err := tr.Get(ctx, "k"); err == nil {
			if string(v) != "v" {
				t.Errorf("got %q, want v", v)
			}
			break
		}
		if time.Since(recover) > 20*time.Second {
			t.Fatal("no answer 20s after the server went on")
		}
		time.Sleep(time.Millisecond) // the probes are the transport's
	}
	mu.Lock()
	defer mu.Unlock()
	if len(states) < 3 || states[0] != breaker.Open || states[len(states)-1] != breaker.Closed {
		t.Errorf("breaker went %v", states)
	}
}

func TestRestartedServer(t *testing.T) {
	srv := redistest.Server(t)
	tr := open(t, srv.Client(), patient)
	if err := set(tr, "k", "v"); err != nil {
		t.Fatal(err)
	}
	srv.Kill()
	for range 10 {
		if _, err := tr.Get(context.Background(), "k"); !errors.Is(err, cache.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	}
	srv.Restart()
	for start := time.Now(); set(tr, "k", "v") != nil; time.Sleep(time.Millisecond) {
		if time.Since(start) > 5*time.Second {
			t.Fatal("no answer 5s after the restart")
		}
	}
}

// One reply that does not come holds up its own lane only, and neither those
// beside it nor the breaker.
func TestStuckLaneHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		tr := over(t, &server{answer: func(args []string) string {
			if args[1] == "huge" {
				<-stuck
				return hangUp
			}
			return "$1\r\nv\r\n"
		}}, Options{})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var wg sync.WaitGroup
		for range 2 { // as many as there are lanes to begin with
			wg.Go(func() {
				if _, err := tr.Get(ctx, "huge"); !errors.Is(err, cache.ErrUnavailable) {
					t.Errorf("got %v, want ErrUnavailable", err)
				}
			})
			synctest.Wait()
		}
		for i := range 200 {
			start := time.Now()
			if v, err := tr.Get(ctx, "k"); err != nil || string(v) != "v" {
				t.Fatalf("call %d: got %q, %v", i, v, err)
			}
			if d := time.Since(start); d > 2*slow {
				t.Errorf("call %d took %v: it waited for a stuck lane", i, d)
			}
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
		if got := tr.State(); got != breaker.Closed {
			t.Errorf("breaker is %v", got)
		}
		close(stuck)
	})
}
