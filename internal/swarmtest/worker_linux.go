package swarmtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/goleak"
)

// Worker is one worker process as it sees itself. Its methods are safe for
// concurrent use.
type Worker[T, B any] struct {
	Number int
	Task   T
	Board  *B

	failed atomic.Bool
}

// Main returns at once unless this process is a worker. In a worker it never
// returns: it calls work, and ends the process when that has returned. The context
// ends when the worker shall end. Work that returns before has failed.
func Main[T, B any](work func(ctx context.Context, w *Worker[T, B])) {
	text, ok := os.LookupEnv(orderEnv)
	if !ok {
		return
	}
	w := &Worker[T, B]{}
	if err := w.live(text, work); err != nil {
		w.Fail("%v", err)
	}
	if w.failed.Load() {
		os.Exit(1)
	}
	os.Exit(0)
}

// live is a worker's life.
func (w *Worker[T, B]) live(text string, work func(context.Context, *Worker[T, B])) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	w.Number = o.Number
	if err := json.Unmarshal(o.Task, &w.Task); err != nil {
		return err
	}
	b, unmap, err := openBoard[B](o.Board)
	if err != nil {
		return err
	}
	w.Board = b
	ctx, end := context.WithCancel(context.Background())
	var input sync.WaitGroup
	input.Go(func() {
		defer end()
		_, _ = io.Copy(io.Discard, os.Stdin) // ends when the test says so, or is no more
	})
	work(ctx, w)
	if ctx.Err() == nil {
		return errors.New("it ended too soon")
	}
	input.Wait()
	return errors.Join(goleak.Find(), noSockets(), unmap())
}

// noSockets is the error of sockets that this process still has.
func noSockets() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	n := 0
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	if n > 0 {
		return fmt.Errorf("%d sockets are left", n)
	}
	return nil
}

// Fail says what must not happen, and makes the worker one that has failed.
func (w *Worker[T, B]) Fail(format string, args ...any) {
	w.failed.Store(true)
	w.Say(format, args...)
}

// Say writes to the test, in one piece.
func (w *Worker[T, B]) Say(format string, args ...any) {
	_, _ = fmt.Fprintf(os.Stdout, "process %d: %s\n", w.Number, fmt.Sprintf(format, args...)) // if nobody listens the exit status tells
}

// Pause waits for d, or returns the error with which ctx ends before.
func Pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
