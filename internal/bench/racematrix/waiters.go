package racematrix

import (
	"context"
	"errors"
	"time"
)

// waiters is how many callers wait for one load: enough to show a window that
// only some of them hit.
const waiters = 100

func leaderLeaves() Race {
	return Race{
		ID: "2", Title: "The caller that began the load is cancelled, and others wait for it",
		Why:   "one client that hangs up must not fail the requests of the others",
		Parts: []Part{{"2", "first caller cancelled: the others that wait"}},
		Play: func(ctx context.Context, s *Setting) ([]Cell, error) {
			for range s.Plays {
				if c, err := leave(ctx, s); err != nil || !c.Right {
					return []Cell{c}, err
				}
			}
			return []Cell{verdict(right)}, nil
		},
	}
}

func leave(ctx context.Context, s *Setting) (cell Cell, err error) {
	started, held := newGate(), newGate()
	defer held.open()
	caches, err := openTexts(s, 1, func(ctx context.Context, _ string) (string, error) {
		started.open()
		select {
		case <-held.opened:
			return newValue, nil
		case <-ctx.Done(): // as a query of a database would
			return "", ctx.Err()
		}
	})
	if err != nil {
		return cell, err
	}
	defer func() { err = errors.Join(err, closeAll(caches)) }()
	leaderCtx, leave := context.WithCancel(ctx)
	defer leave()
	key := newKey()
	leader := call(leaderCtx, caches[0], key)
	if err := begun(started.opened); err != nil {
		return cell, err
	}
	var others []<-chan answer
	for range waiters {
		others = append(others, call(ctx, caches[0], key))
	}
	time.Sleep(settle)
	leave()
	left, ok := within(leader, headStart)
	held.open()
	if !ok {
		left = answered(leader)
	}
	if left.hung {
		return verdict(hangs), nil
	}
	return othersGot(others), nil
}

func othersGot(others []<-chan answer) Cell {
	failed := 0
	for _, other := range others {
		got := answered(other)
		switch {
		case got.hung:
			return verdict(hangs)
		case errors.Is(got.err, context.Canceled):
			failed++
		case got.err != nil || got.value != newValue:
			return verdict(wrong)
		}
	}
	if failed > 0 {
		return byChance(leadersEnd, failed, len(others))
	}
	return verdict(right)
}

const deadline = 50 * time.Millisecond

func followerDeadline() Race {
	return Race{
		ID: "3", Title: "A caller with a deadline waits for a load that is slower",
		Why:   "a caller has to be able to give up, whatever the load of another does",
		Parts: []Part{{"3", "load slower than a caller's deadline: that caller"}},
		Play: func(ctx context.Context, s *Setting) ([]Cell, error) {
			c, err := follow(ctx, s)
			return []Cell{c}, err
		},
	}
}

// follow lets every load ignore its context, so that a caller which loads for
// itself is found out as well.
func follow(ctx context.Context, s *Setting) (cell Cell, err error) {
	started, held := newGate(), newGate()
	defer held.open()
	caches, err := openTexts(s, 1, func(context.Context, string) (string, error) {
		started.open()
		<-held.opened
		return newValue, nil
	})
	if err != nil {
		return cell, err
	}
	defer func() { err = errors.Join(err, closeAll(caches)) }()
	key := newKey()
	leader := call(ctx, caches[0], key)
	if err := begun(started.opened); err != nil {
		return cell, err
	}
	followerCtx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	follower := call(followerCtx, caches[0], key)
	got, ok := within(follower, deadline+time.Second)
	switch {
	case !ok:
		cell = verdict(waits)
	case errors.Is(got.err, context.DeadlineExceeded):
		cell = verdict(right)
	default:
		cell = verdict(wrong)
	}
	held.open()
	if answered(leader).hung || !ok && answered(follower).hung {
		return verdict(hangs), nil
	}
	return cell, nil
}
