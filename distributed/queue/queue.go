package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/queue"
)

// Queue is a queue on Redis. It is safe for concurrent use, also by many
// processes, and must be closed. Concurrent calls share round trips. Nothing is
// ever sent twice: a change whose answer was lost is cache.ErrOutcomeUnknown.
//
// Every call returns cache.ErrUnavailable when the server is gone, does not answer
// within the budget, or refuses, and cache.ErrWrongType for keys of the queue that
// hold something else.
type Queue struct {
	transport  *transport.Transport
	partitions []partition
	joints     []joint
	agreement  string // the key that has the number of partitions
	maxItems   int    // of a partition
	maxBytes   int64
	damaged    atomic.Uint64
	counts     counts
}

var (
	_ queue.Queue       = (*Queue)(nil)
	_ queue.DeadLetters = (*Queue)(nil)
	_ queue.Flusher     = (*Queue)(nil)
	_ queue.Sequencer   = (*Queue)(nil)
	_ queue.Preflighter = (*Queue)(nil)
)

type counts struct {
	enqueued, coalesced, rejected, claimed, redelivered, done, failed, replaced, lost, buried atomic.Uint64
}

// partition has the names of the keys of one.
type partition struct {
	items, ready, claimed, dead, age, waiting string
	all                                       []string // as slot.lua wants them
}

func newPartition(tag string) partition {
	p := partition{items: tag + "items", ready: tag + "ready", claimed: tag + "claimed", dead: tag + "dead", age: tag + "age", waiting: tag + "waiting"}
	p.all = []string{p.items, p.ready, p.claimed, p.dead, p.age, p.waiting}
	return p
}

// New returns the queue under a prefix. It does not dial, and works on a client of
// its own with the options of the given one, except that nothing is retried; hooks
// are not carried over. The given one is not closed. Bad options are reported
// together, with cache.ErrInvalidConfig.
func New(client redis.UniversalClient, opts *Options) (*Queue, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	o = o.withDefaults(client)
	if err := o.check(client); err != nil {
		return nil, err
	}
	t, err := transport.New(client, transport.Options{Budget: o.Budget})
	if err != nil {
		return nil, err
	}
	q := &Queue{transport: t, partitions: make([]partition, o.Partitions), joints: make([]joint, o.Partitions)}
	q.maxItems, q.maxBytes = o.MaxItems/o.Partitions, o.MaxBytes/int64(o.Partitions)
	for i := range q.partitions {
		q.partitions[i] = newPartition("{" + o.Prefix + ":q:" + strconv.Itoa(i) + "}")
		q.joints[i].q, q.joints[i].p = q, &q.partitions[i]
	}
	q.agreement = "{" + o.Prefix + ":q:0}partitions"
	return q, nil
}

// Close lets the calls under way end and waits for that until ctx does. Afterwards
// every call is cache.ErrClosed. What is queued stays in Redis. Further calls
// of Close only wait.
func (q *Queue) Close(ctx context.Context) error {
	if ctx == nil {
		return cache.ErrNilContext
	}
	err := q.transport.Close(ctx)
	for i := range q.joints { // whose scripts are over, or refused
		err = errors.Join(err, q.joints[i].close(ctx))
	}
	return err
}

// Damaged returns how much was found in the queue's keys by this Queue that no
// queue has put there.
func (q *Queue) Damaged() uint64 { return q.damaged.Load() }

// partitionOf returns the number of key's partition, by FNV-1a: it must be the same
// in every process for ever.
func (q *Queue) partitionOf(key string) int {
	h := uint32(2166136261)
	for i := range len(key) {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return int(h % uint32(len(q.partitions)))
}

// task is a command for a partition.
type task struct {
	partition int
	cmd       redis.Cmder
}

// run runs tasks, in one round trip for each node, and returns their errors.
func (q *Queue) run(ctx context.Context, op string, kind transport.Kind, tasks []task) []error {
	if len(tasks) == 1 { // which is cheaper
		t := tasks[0]
		return []error{failure(op, "", q.transport.Do(ctx, q.partitions[t.partition].items, t.cmd, kind))}
	}
	keys, cmds := make([]string, len(tasks)), make([]redis.Cmder, len(tasks))
	for i, t := range tasks {
		keys[i], cmds[i] = q.partitions[t.partition].items, t.cmd
	}
	errs := q.transport.DoMany(ctx, keys, cmds, kind)
	for i, err := range errs {
		errs[i] = failure(op, "", err)
	}
	return errs
}

// everywhere runs the command that ask returns on every partition, and f on each
// answer that came. It returns what failed.
func (q *Queue) everywhere(ctx context.Context, op string, ask func(p *partition) redis.Cmder, f func(i int, cmd redis.Cmder) error) error {
	tasks := make([]task, len(q.partitions))
	for i := range tasks {
		tasks[i] = task{i, ask(&q.partitions[i])}
	}
	errs := q.run(ctx, op, transport.Read, tasks)
	for i, err := range errs {
		if err == nil {
			errs[i] = f(i, tasks[i].cmd)
		}
	}
	return first(errs)
}

// first returns the first error: those of several partitions mostly say the same.
func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// failure makes the error of a command what the caller shall see. That there is
// nothing is none.
func failure(op, key string, err error) error {
	if err == nil || err == redis.Nil { //nolint:errorlint // ours, unwrapped
		return nil
	}
	var reply redis.Error
	if errors.As(err, &reply) {
		text, _, _ := strings.Cut(reply.Error(), ", with args beginning with")
		switch {
		case strings.Contains(text, "OOM command not allowed"):
			err = fmt.Errorf("%w: the server is out of memory", queue.ErrFull)
		case strings.Contains(text, "WRONGTYPE"):
			err = fmt.Errorf("%w: a key of the queue", cache.ErrWrongType)
		case !errors.Is(err, cache.ErrUnavailable) && !errors.Is(err, cache.ErrOutcomeUnknown):
			err = fmt.Errorf("%w: %s", cache.ErrUnavailable, text)
		}
	}
	return &cache.OpError{Op: op, Key: key, Err: err}
}
