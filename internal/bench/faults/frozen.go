package faults

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/larder-go/larder/internal/bench"
	"github.com/larder-go/larder/internal/bench/l2"
	"github.com/larder-go/larder/internal/bench/redisserver"
)

// Frozen is how long callers waited while Redis was frozen.
type Frozen struct {
	Caller string
	// First is the first call, Later those that follow: of a peer one, and none
	// if the first was capped. A number that is Capped is a lower bound.
	First, Later bench.Sample // nanoseconds
	Recovery     bench.Sample // nanoseconds from thawing until Redis serves again
	FirstCapped  bool
	LaterCapped  bool
	Served       int // calls that returned the value
	Calls        int
}

const (
	laterCalls   = 200 // after the first, in each round
	warmCalls    = 20
	recoveryTime = 20 * time.Second
)

var errNoRecovery = errors.New("faults: Redis thawed and larder does not use it")

// Freeze measures larder for so many rounds and peers for one, each call of a
// peer for at most patience.
func Freeze(ctx context.Context, s *redisserver.Server, rounds int, patience time.Duration) ([]Frozen, error) {
	ours, err := freezeLarder(ctx, s, rounds)
	if err != nil {
		return nil, err
	}
	theirs, err := freezePeers(ctx, s, patience)
	return append([]Frozen{ours}, theirs...), err
}

func freezeLarder(ctx context.Context, s *redisserver.Server, rounds int) (f Frozen, err error) {
	l, err := openLarderRedis(s.Addr, func(context.Context, string) (string, error) { return "value", nil })
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	f.Caller = "larder GetOrCreateExclusive, fast loader"
	call := func(key string) float64 {
		start := time.Now()
		value, err := l.get(ctx, key)
		took := time.Since(start)
		f.Calls++
		if err == nil && value == "value" {
			f.Served++
		}
		return float64(took)
	}
	for range rounds {
		for range warmCalls {
			if _, err := l.get(ctx, "warm"); err != nil {
				return f, err
			}
		}
		if err := s.Freeze(); err != nil {
			return f, err
		}
		f.First = append(f.First, call("warm"))
		for range laterCalls {
			f.Later = append(f.Later, call("warm"))
		}
		thawed := time.Now()
		if err := s.Thaw(); err != nil {
			return f, err
		}
		if err := waitForRecovery(ctx, l); err != nil {
			return f, err
		}
		f.Recovery = append(f.Recovery, float64(time.Since(thawed)))
	}
	return f, nil
}

// waitForRecovery waits until a removal reaches the server again.
func waitForRecovery(ctx context.Context, l *loader) error {
	for deadline := time.Now().Add(recoveryTime); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if l.remove(ctx, "other") == nil {
			return nil
		}
	}
	return errNoRecovery
}

// freezePeers lets all peers call at once, and a second time if the first call
// ended.
func freezePeers(ctx context.Context, s *redisserver.Server, patience time.Duration) (frozen []Frozen, err error) {
	callers, closeAll, err := peers(ctx, s.Addr)
	if err != nil {
		return nil, err
	}
	if err := s.Freeze(); err != nil {
		return nil, errors.Join(err, closeAll())
	}
	frozen = make([]Frozen, len(callers))
	var all sync.WaitGroup
	var left sync.WaitGroup // calls that took longer than patience
	for i, c := range callers {
		all.Go(func() {
			f := &frozen[i]
			f.Caller = c.name
			first, capped := timed(c, patience, f, &left)
			f.First, f.FirstCapped = bench.Sample{float64(first)}, capped
			if capped { // a second call might wait for the first one
				return
			}
			later, capped := timed(c, patience, f, &left)
			f.Later, f.LaterCapped = bench.Sample{float64(later)}, capped
		})
	}
	all.Wait()
	err = s.Thaw()
	left.Wait()
	return frozen, errors.Join(err, closeAll())
}

// caller is one peer's call; it returns whether it got a value.
type caller struct {
	name string
	call func() bool
}

func peers(ctx context.Context, addr string) (callers []caller, closeAll func() error, err error) {
	clients, err := l2.Open(addr)
	if err != nil {
		return nil, nil, err
	}
	once, err := openGoRedisCache(addr, func(context.Context, string) (string, error) { return "value", nil })
	if err != nil {
		return nil, nil, errors.Join(err, l2.CloseAll(clients))
	}
	closeAll = func() error { return errors.Join(l2.CloseAll(clients), once.close()) }
	callers = append(callers, caller{once.name + ", fast loader", func() bool {
		value, err := once.get(ctx, "warm")
		return err == nil && value == "value"
	}})
	for _, c := range clients {
		if c.Name == l2.Larder || c.Name == "go-redis/cache" {
			continue
		}
		err = errors.Join(err, c.Set(ctx, "peers", []byte("value")))
		callers = append(callers, caller{c.Name + " GET", func() bool {
			_, found, err := c.Get(ctx, "peers")
			return err == nil && found
		}})
	}
	for _, c := range callers {
		for range warmCalls {
			if !c.call() {
				err = errors.Join(err, errors.New("faults: "+c.name+" does not work before the freeze"))
				break
			}
		}
	}
	if err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	return callers, closeAll, nil
}

// timed runs c for at most patience; then it leaves the call behind, in left.
func timed(c caller, patience time.Duration, f *Frozen, left *sync.WaitGroup) (took time.Duration, capped bool) {
	served := make(chan bool, 1)
	start := time.Now()
	left.Go(func() { served <- c.call() })
	f.Calls++
	select {
	case ok := <-served:
		if ok {
			f.Served++
		}
		return time.Since(start), false
	case <-time.After(patience):
		return patience, true
	}
}
