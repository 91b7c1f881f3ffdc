package queue_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	redisqueue "github.com/larder-go/larder/distributed/queue"
	"github.com/larder-go/larder/internal/redistest"
	"github.com/larder-go/larder/queue"
	"github.com/larder-go/larder/queue/queuetest"
)

func open(tb testing.TB, client redis.UniversalClient, opts redisqueue.Options) *redisqueue.Queue {
	tb.Helper()
	if opts.Budget == 0 {
		opts.Budget = 10 * time.Second // machines that test are slow
	}
	q, err := redisqueue.New(client, &opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := q.Close(context.Background()); err != nil {
			tb.Errorf("Close: got %v, want no error", err)
		}
	})
	return q
}

// conform runs the contract's tests on queues that client reaches.
func conform(t *testing.T, client func(tb testing.TB) redis.UniversalClient, unit time.Duration, opts redisqueue.Options, skip ...string) {
	t.Helper()
	var n atomic.Int64
	type made struct {
		client redis.UniversalClient
		opts   redisqueue.Options
	}
	queues := map[queue.Queue]made{}
	create := func(tb testing.TB, opts redisqueue.Options) queue.Queue {
		m := made{client(tb), opts}
		m.opts.Prefix = fmt.Sprint("test", n.Add(1))
		q := open(tb, m.client, m.opts)
		queues[q] = m
		return q
	}
	skipped := map[string]string{}
	for _, name := range skip {
		skipped[name] = "time stands still in a bubble: partitions give out the same sequences, and nothing is older"
	}
	queuetest.Run(t, queuetest.Config{
		New: func(tb testing.TB) queue.Queue { return create(tb, opts) },
		NewLimited: func(tb testing.TB, items int) queue.Queue {
			return create(tb, redisqueue.Options{Partitions: 1, MaxItems: items})
		},
		Reopen:   func(tb testing.TB, q queue.Queue) queue.Queue { return open(tb, queues[q].client, queues[q].opts) },
		TooLarge: redisqueue.MaxPayload + 1,
		Unit:     unit,
		Skip:     skipped,
	})
}

// unit is long enough for a machine that does other things, too.
const unit = 60 * time.Millisecond

func TestContract(t *testing.T) {
	mini := func(tb testing.TB) redis.UniversalClient { return redistest.MiniClient(tb, redistest.Mini(tb)) }
	t.Run("one partition", func(t *testing.T) { conform(t, mini, 0, redisqueue.Options{Partitions: 1}) })
	t.Run("partitions", func(t *testing.T) {
		conform(t, mini, 0, redisqueue.Options{Partitions: 4}, "Flush/counts what was before",
			"Model/whole values", "Model/parked values", "Model/increments")
	})
}

func TestContractOnServer(t *testing.T) {
	if testing.Short() {
		t.Skip("it is for a server")
	}
	server := redistest.Server(t)
	conform(t, func(testing.TB) redis.UniversalClient { return server.Client() }, unit, redisqueue.Options{Partitions: 4})
}

func TestContractOnCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("it is for a cluster")
	}
	cluster := redistest.Cluster(t, 3)
	conform(t, func(testing.TB) redis.UniversalClient { return cluster.Client() }, unit, redisqueue.Options{})
}
