package queue

import (
	"cmp"
	"context"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/queue"
)

const (
	// maxClaims is how many items one script claims at most, so that others get
	// their turn.
	maxClaims = 1000
	// maxClaimed is how many bytes of payloads it returns at most, beyond the
	// first.
	maxClaimed = 4 << 20
)

// Claim implements queue.Queue. With more than one partition it is two round trips:
// what is due where, and the claims. A node that is gone does not keep what
// others have from being claimed. The order is that of the servers' clocks.
func (q *Queue) Claim(ctx context.Context, o queue.ClaimOptions) ([]queue.Claim, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return nil, err
	}
	if err := o.Check(); err != nil {
		return nil, err
	}
	shares, failed := q.share(ctx, o.Max)
	var tasks []task
	for i, n := range shares {
		if n > 0 {
			args := []any{n, max(o.Visibility.Microseconds(), 1), maxClaimed}
			tasks = append(tasks, task{i, claimScript.CmdOf(ctx, q.partitions[i].all, args...)})
		}
	}
	if len(tasks) == 0 {
		return nil, failed
	}
	var claims []queue.Claim
	for i, err := range q.run(ctx, "claim", transport.Write, tasks) {
		if err == nil {
			claims, err = q.claimed(claims, tasks[i].cmd)
		}
		if err != nil {
			failed = err
		}
	}
	if len(claims) == 0 {
		return nil, failed
	}
	q.counts.claimed.Add(uint64(len(claims)))
	slices.SortStableFunc(claims, func(a, b queue.Claim) int { return cmp.Compare(a.First, b.First) })
	return claims, nil
}

// share says how many of limit items to claim from each partition: those that were
// due first.
func (q *Queue) share(ctx context.Context, limit int) (shares []int, failed error) {
	shares = make([]int, len(q.partitions))
	if len(shares) == 1 {
		shares[0] = min(limit, maxClaims)
		return shares, nil
	}
	type due struct {
		at        int64
		partition int
	}
	var all []due
	peek := func(p *partition) redis.Cmder {
		return peekScript.CmdOf(ctx, []string{p.ready, p.claimed}, min(limit, maxClaims))
	}
	failed = q.everywhere(ctx, "claim", peek, func(i int, cmd redis.Cmder) error {
		r, ok := list(cmd, 0)
		if !ok {
			return strange("claim")
		}
		for j := range r {
			all = append(all, due{r.number(j), i})
		}
		return nil
	})
	slices.SortStableFunc(all, func(a, b due) int { return cmp.Compare(a.at, b.at) })
	for _, d := range all[:min(limit, len(all))] {
		shares[d.partition]++
	}
	return shares, failed
}

// claimed appends what claim.lua returned.
func (q *Queue) claimed(claims []queue.Claim, cmd redis.Cmder) ([]queue.Claim, error) {
	r, ok := list(cmd, 2)
	if !ok {
		return claims, strange("claim")
	}
	q.damaged.Add(uint64(r.number(0)))
	now := r.number(1)
	for r = r[2:]; len(r) >= 4; r = r[4:] {
		h, ok := parseHeader(r.text(1))
		if !ok {
			return claims, strange("claim")
		}
		claims = append(claims, queue.Claim{
			Item:    h.item(headerHead, r.text(0), r.text(2), now),
			Attempt: int(h.n[headerAttempts]), Token: h.n[headerToken],
		})
		q.counts.redelivered.Add(uint64(r.number(3)))
	}
	return claims, nil
}
