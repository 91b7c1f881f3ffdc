package queue

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/queue"
)

// Stats implements queue.Queue. It is one round trip, whatever is queued.
func (q *Queue) Stats(ctx context.Context) (queue.Stats, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return queue.Stats{}, err
	}
	st := q.counted()
	ask := func(p *partition) redis.Cmder { return statsScript.CmdOf(ctx, p.all) }
	err := q.everywhere(ctx, "stats", ask, func(_ int, cmd redis.Cmder) error {
		r, ok := list(cmd, 4)
		if !ok {
			return strange("stats")
		}
		_, items, bytes := parseMeta(r.text(0))
		dead := int(r.number(2))
		st.Queued += max(items-dead, 0)
		st.Bytes += bytes
		st.InFlight += int(r.number(1))
		st.Dead += dead
		st.Oldest = max(st.Oldest, micros(r.number(3)))
		return nil
	})
	if err != nil {
		return queue.Stats{}, err
	}
	return st, nil
}

// counted returns what this process did.
func (q *Queue) counted() queue.Stats {
	c := &q.counts
	return queue.Stats{
		Enqueued: c.enqueued.Load(), Coalesced: c.coalesced.Load(), Rejected: c.rejected.Load(),
		Claimed: c.claimed.Load(), Redelivered: c.redelivered.Load(), Done: c.done.Load(),
		Failed: c.failed.Load(), Replaced: c.replaced.Load(), Lost: c.lost.Load(), Buried: c.buried.Load(),
	}
}

// parseMeta reads the numbers of a partition; what cannot be read is 0.
func parseMeta(s string) (last uint64, items int, bytes int64) {
	var n [3]int64
	for i, field := range strings.Fields(s) {
		if i < len(n) {
			n[i], _ = strconv.ParseInt(field, 10, 64)
		}
	}
	return uint64(max(n[0], 0)), int(n[1]), n[2]
}

// Barrier implements queue.Flusher. It is one round trip.
func (q *Queue) Barrier(ctx context.Context) (queue.Barrier, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return nil, err
	}
	b := make(queue.Barrier, len(q.partitions))
	ask := func(p *partition) redis.Cmder { return redis.NewStringCmd(ctx, "hget", p.items, "m") }
	err := q.everywhere(ctx, "barrier", ask, func(i int, cmd redis.Cmder) error {
		b[i], _, _ = parseMeta(cmd.(*redis.StringCmd).Val())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Before implements queue.Flusher. It is one round trip, whatever is queued.
func (q *Queue) Before(ctx context.Context, b queue.Barrier) (int, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return 0, err
	}
	if len(b) != len(q.partitions) {
		return 0, refused("Barrier", len(b), "is another queue's")
	}
	total, at := 0, 0
	ask := func(p *partition) redis.Cmder {
		at++
		return redis.NewIntCmd(ctx, "zcount", p.age, 1, fmt.Sprint(b[at-1]))
	}
	err := q.everywhere(ctx, "before", ask, func(_ int, cmd redis.Cmder) error {
		total += int(cmd.(*redis.IntCmd).Val())
		return nil
	})
	if err != nil {
		return 0, err
	}
	return total, nil
}
