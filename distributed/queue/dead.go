package queue

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/queue"
)

// deadPage is how many dead letters one script lists at most.
const deadPage = 200

// Dead implements queue.DeadLetters. Each partition is asked for up to limit
// letters, 200 with a round trip.
func (q *Queue) Dead(ctx context.Context, after string, limit int) ([]queue.DeadLetter, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return nil, err
	}
	if limit <= 0 {
		return nil, refused("limit", limit, "must be positive")
	}
	var letters []queue.DeadLetter
	from := make(map[int]string, len(q.partitions)) // where to go on, of those that may have more
	left := make(map[int]int, len(q.partitions))
	for i := range q.partitions {
		from[i], left[i] = after, limit
	}
	for len(from) > 0 {
		var tasks []task
		for i, key := range from {
			p := &q.partitions[i]
			tasks = append(tasks, task{i, deadScript.CmdOf(ctx, []string{p.items, p.dead}, key, min(left[i], deadPage))})
		}
		if err := first(q.run(ctx, "dead letters", transport.Read, tasks)); err != nil {
			return nil, err
		}
		for _, t := range tasks {
			r, ok := list(t.cmd, 1)
			if !ok {
				return nil, strange("dead letters")
			}
			page := r[1:]
			letters = q.letters(letters, page, r.number(0))
			n := len(page) / deadFields
			if n < min(left[t.partition], deadPage) || n == left[t.partition] {
				delete(from, t.partition)
				continue
			}
			from[t.partition] = page.text((n - 1) * deadFields)
			left[t.partition] -= n
		}
	}
	slices.SortFunc(letters, func(a, b queue.DeadLetter) int { return cmp.Compare(a.Key, b.Key) })
	return letters[:min(limit, len(letters))], nil
}

// deadFields is how many elements dead.lua returns for each.
const deadFields = 5

// letters appends what dead.lua returned. What is not there, or no dead letter, is
// left out.
func (q *Queue) letters(letters []queue.DeadLetter, r reply, now int64) []queue.DeadLetter {
	for ; len(r) >= deadFields; r = r[deadFields:] {
		h, ok := parseHeader(r.text(1))
		if !ok || h.n[headerState] != stateDead {
			q.damaged.Add(1)
			continue
		}
		died, reason, _ := strings.Cut(r.text(2), " ")
		since, _ := strconv.ParseInt(died, 10, 64)
		letters = append(letters, queue.DeadLetter{
			Item:     h.item(headerHead, r.text(0), r.text(2+int(h.n[headerPlace])), now),
			Attempts: int(h.n[headerAttempts]), Reason: reason, Since: micros(now - since),
		})
	}
	return letters
}

// Revive implements queue.DeadLetters.
func (q *Queue) Revive(ctx context.Context, key string, sequence uint64) error {
	return q.letter(ctx, "revive", key, sequence)
}

// Drop implements queue.DeadLetters.
func (q *Queue) Drop(ctx context.Context, key string, sequence uint64) error {
	return q.letter(ctx, "drop", key, sequence)
}

func (q *Queue) letter(ctx context.Context, op, key string, sequence uint64) error {
	if err := cache.CheckContext(ctx); err != nil {
		return err
	}
	p := &q.partitions[q.partitionOf(key)]
	cmd := letterScript.CmdOf(ctx, p.all, key, sequence, op)
	if err := q.transport.Do(ctx, p.items, cmd, transport.Write); err != nil {
		return failure(op, key, err)
	}
	r, ok := list(cmd, 2)
	if !ok {
		return strange(op)
	}
	q.damaged.Add(uint64(r.number(1)))
	if r.number(0) == 0 {
		return queue.ErrNoDeadLetter
	}
	return nil
}
