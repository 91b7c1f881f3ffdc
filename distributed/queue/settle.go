package queue

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/queue"
)

// settledAtOnce is how many outcomes one script settles at most.
const settledAtOnce = 200

// Settle implements queue.Queue. It is one round trip, to each node at once. If it
// fails, some outcomes may have been settled: it is cache.ErrOutcomeUnknown then.
func (q *Queue) Settle(ctx context.Context, outcomes []queue.Outcome) ([]queue.Settled, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return nil, err
	}
	if err := queue.CheckOutcomes(outcomes); err != nil || len(outcomes) == 0 {
		return nil, err
	}
	groups := q.groups(len(outcomes), settledAtOnce, func(i int) string { return outcomes[i].Claim.Key })
	tasks := make([]task, len(groups))
	for i, g := range groups {
		args := make([]any, 0, 6*len(g.at))
		for _, at := range g.at {
			o := &outcomes[at]
			args = append(args, o.Claim.Key, o.Claim.Sequence, o.Claim.Token, int(o.Result), o.After.Microseconds(), queue.CutReason(o.Reason))
		}
		tasks[i] = task{g.partition, settleScript.CmdOf(ctx, q.partitions[g.partition].all, args...)}
	}
	settled := make([]queue.Settled, len(outcomes))
	errs := q.run(ctx, "settle", transport.Write, tasks)
	done := 0
	for i, g := range groups {
		if errs[i] == nil {
			errs[i] = q.answered(tasks[i].cmd, g, outcomes, settled)
		}
		if errs[i] == nil {
			done++
		}
	}
	return settled, partly(done > 0, first(errs))
}

// partly makes err say that something was done all the same.
func partly(done bool, err error) error {
	if err == nil || !done {
		return err
	}
	return &cache.OpError{Op: "settle", Err: unknown{err}}
}

// unknown is an error of a call that was done in part.
type unknown struct{ error }

func (u unknown) Unwrap() []error { return []error{cache.ErrOutcomeUnknown, u.error} }

// answered reads what settle.lua returned.
func (q *Queue) answered(cmd redis.Cmder, g group, outcomes []queue.Outcome, settled []queue.Settled) error {
	r, ok := list(cmd, len(g.at)+1)
	if !ok {
		return strange("settle")
	}
	q.damaged.Add(uint64(r.number(len(g.at))))
	for j, at := range g.at {
		settled[at] = queue.Settled(r.number(j))
		q.count(outcomes[at].Result, settled[at])
	}
	return nil
}

func (q *Queue) count(r queue.Result, s queue.Settled) {
	if s == queue.SettledLost {
		q.counts.lost.Add(1)
		return
	}
	if r == queue.Done {
		q.counts.done.Add(1)
		return
	}
	q.counts.failed.Add(1)
	switch s {
	case queue.SettledReplaced:
		q.counts.replaced.Add(1)
	case queue.SettledDead:
		q.counts.buried.Add(1)
	}
}
