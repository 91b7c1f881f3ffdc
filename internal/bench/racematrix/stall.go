package racematrix

import (
	"context"
	"errors"
	"time"
)

const (
	stallPatience = 10 * time.Second
	stallPrompt   = time.Second // without a deadline, no longer than that
	stallDeadline = time.Second
)

func stalledRedis() Race {
	return Race{
		ID: "8", Title: "Redis is stopped (SIGSTOP) and the loader answers at once: how long a call takes",
		Why:        "a cache that is slower than its source takes the service down with it",
		NeedsRedis: true,
		Parts: []Part{
			{"8a", "Redis stopped: a call without a deadline"},
			{"8b", "Redis stopped: a call with a deadline of 1 s"},
			{"8c", "Redis stopped: as 8a, the client's time-outs 100 ms, no retries"},
		},
		Play: func(ctx context.Context, s *Setting) ([]Cell, error) {
			c := s.Contender
			return cells(
				func() (Cell, error) { return stall(ctx, s, c.Texts, 0, stallPrompt) },
				func() (Cell, error) { return stall(ctx, s, c.Texts, stallDeadline, stallDeadline+headStart) },
				func() (Cell, error) { return stall(ctx, s, c.Hasty, 0, stallPrompt) },
			)
		},
	}
}

// stall times the first call after the server stopped.
func stall(ctx context.Context, s *Setting, open Opener[string], deadline, atMost time.Duration) (cell Cell, err error) {
	c, err := open(s.Addr(), func(context.Context, string) (string, error) { return newValue, nil })
	if err != nil {
		return cell, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if _, err := c.Get(ctx, newKey()); err != nil { // it has a connection now
		return cell, err
	}
	if err := s.Server.Freeze(); err != nil {
		return cell, err
	}
	if deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, deadline)
		defer cancel()
	}
	start := time.Now()
	got := call(ctx, c, newKey())
	a, ok := within(got, stallPatience)
	cell = stallCell(a, ok, time.Since(start), atMost)
	if err := s.Server.Thaw(); err != nil {
		return cell, err
	}
	if !ok {
		// Its client may go on trying for as long as it just did.
		if _, ok := within(got, stallPatience); !ok {
			return cell, errHangs
		}
	}
	return cell, nil
}

func stallCell(a answer, ok bool, took, atMost time.Duration) Cell {
	if !ok {
		return Cell{Text: "over 10 s"}
	}
	c := seconds(took, atMost)
	if a.err != nil || a.value != newValue {
		c.Text, c.Right = "error, "+c.Text, false
	}
	return c
}
