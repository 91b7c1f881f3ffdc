package queue

import (
	"context"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/queue"
)

// lookedUp is how many keys one script looks up at most.
const lookedUp = 500

// group is what one script gets of the arguments of a call.
type group struct {
	partition int
	at        []int // their places in the whole
}

// groups shares n things out by the partition of their keys, at most limit for
// each script.
func (q *Queue) groups(n, limit int, key func(i int) string) []group {
	var all []group
	open := make(map[int]int) // the group of a partition that has room
	for i := range n {
		p := q.partitionOf(key(i))
		g, ok := open[p]
		if !ok || len(all[g].at) == limit {
			g = len(all)
			open[p] = g
			all = append(all, group{partition: p})
		}
		all[g].at = append(all[g].at, i)
	}
	return all
}

// Lookup implements queue.Queue. It is one round trip, to each node at once. A key of
// which something is there that cannot be read has a dead letter, or will.
func (q *Queue) Lookup(ctx context.Context, keys []string) ([]queue.State, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return nil, err
	}
	states := make([]queue.State, len(keys))
	if len(keys) == 0 {
		return states, nil
	}
	groups := q.groups(len(keys), lookedUp, func(i int) string { return keys[i] })
	tasks := make([]task, len(groups))
	for i, g := range groups {
		args := make([]any, len(g.at))
		for j, at := range g.at {
			args[j] = keys[at]
		}
		tasks[i] = task{g.partition, lookupScript.CmdOf(ctx, []string{q.partitions[g.partition].items}, args...)}
	}
	if err := first(q.run(ctx, "lookup", transport.Read, tasks)); err != nil {
		return nil, err
	}
	for i, g := range groups {
		r, ok := list(tasks[i].cmd, 3*len(g.at)+1)
		if !ok {
			return nil, strange("lookup")
		}
		now := r.number(len(r) - 1)
		for j, at := range g.at {
			states[at] = q.look(keys[at], r[3*j:3*j+3], now)
		}
	}
	return states, nil
}

// look reads a header and two payloads.
func (q *Queue) look(key string, r reply, now int64) queue.State {
	if r[0] == nil {
		return queue.State{}
	}
	h, ok := parseHeader(r.text(0))
	if !ok {
		q.damaged.Add(1)
		return queue.State{Dead: true}
	}
	return h.state(key, [2]string{r.text(1), r.text(2)}, now)
}
