package racematrix

import (
	"context"
	"errors"
	"time"
)

const (
	// settle is how long callers have to begin to wait for a load, where
	// nothing tells that they do.
	settle = 100 * time.Millisecond
	// headStart is how long a call has to return while the load it may or may
	// not wait for is held up.
	headStart = 300 * time.Millisecond
	// patience is when a call that nothing holds up counts as hanging.
	patience = 3 * time.Second
)

var (
	errNotStarted = errors.New("racematrix: the load did not start")
	errHangs      = errors.New("racematrix: a call does not return, although no load is held up")
)

// answer is what a call brought.
type answer struct {
	value string
	err   error
	hung  bool
}

// call runs get in a goroutine of its own.
func call(ctx context.Context, c *Cache[string], key string) <-chan answer {
	got := make(chan answer, 1)
	go func() {
		value, err := c.Get(ctx, key)
		got <- answer{value: value, err: err}
	}()
	return got
}

// within waits for an answer for at most d, and then says that the call hung.
func within[T any](got <-chan T, d time.Duration) (a T, ok bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case a = <-got:
		return a, true
	case <-t.C:
		return a, false
	}
}

// answered is within with the bound of a call that nothing holds up.
func answered(got <-chan answer) answer {
	a, ok := within(got, patience)
	a.hung = !ok
	return a
}

// begun waits until a load has started.
func begun(started <-chan struct{}) error {
	if _, ok := within(started, patience); !ok {
		return errNotStarted
	}
	return nil
}
