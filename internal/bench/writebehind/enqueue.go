package writebehind

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	redisqueue "github.com/larder-go/larder/distributed/queue"
	"github.com/larder-go/larder/queue"
	"github.com/redis/go-redis/v9"
)

// Peer accepts writes.
type Peer struct {
	Name  string
	Write func(ctx context.Context, key string, value []byte) error
	Close func() error
}

// Names of the peers.
const (
	Set    = "set"
	Larder = "larder"
	Asynq  = "asynq"
)

// Open returns all peers on the server at addr.
func Open(addr string) ([]Peer, error) {
	client := redis.NewClient(&redis.Options{Addr: addr})
	q, err := redisqueue.New(client, nil)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	jobs := asynq.NewClient(asynq.RedisClientOpt{Addr: addr})
	return []Peer{
		{Set, func(ctx context.Context, key string, value []byte) error {
			return client.Set(ctx, key, value, 0).Err()
		}, client.Close},
		{Larder, func(ctx context.Context, key string, value []byte) error {
			_, err := q.Enqueue(ctx, queue.Write{Key: key, Payload: value})
			return err
		}, func() error { return q.Close(context.Background()) }},
		{Asynq, func(ctx context.Context, key string, value []byte) error {
			_, err := jobs.EnqueueContext(ctx, asynq.NewTask(key, value))
			return err
		}, jobs.Close},
	}, nil
}

// Load is what is measured.
type Load struct {
	Goroutines int
	Size       int // of a value, in bytes
	Writes     int // of a round
	Rounds     int // of each peer, in turn
}

// Rates are the writes per second of each peer, by name: the medians of the rounds.
type Rates map[string]float64

// Run measures the peers in turn, so that what else the machine does is shared by
// all. Before each round the server is emptied.
func Run(ctx context.Context, addr string, peers []Peer, l Load) (Rates, error) {
	admin := redis.NewClient(&redis.Options{Addr: addr})
	defer admin.Close()
	all := map[string][]float64{}
	for range l.Rounds {
		for _, p := range peers {
			if err := admin.FlushAll(ctx).Err(); err != nil {
				return nil, err
			}
			took, err := round(ctx, p, l)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.Name, err)
			}
			all[p.Name] = append(all[p.Name], float64(l.Writes)/took.Seconds())
		}
	}
	rates := Rates{}
	for name, list := range all {
		slices.Sort(list)
		rates[name] = list[len(list)/2]
	}
	return rates, nil
}

func round(ctx context.Context, p Peer, l Load) (time.Duration, error) {
	value := make([]byte, l.Size)
	var next atomic.Int64
	var all sync.WaitGroup
	errs := make([]error, l.Goroutines)
	began := time.Now()
	for g := range l.Goroutines {
		all.Go(func() {
			for errs[g] == nil {
				i := next.Add(1)
				if i > int64(l.Writes) {
					return
				}
				errs[g] = p.Write(ctx, fmt.Sprintf("product:%08d", i), value)
			}
		})
	}
	all.Wait()
	return time.Since(began), errors.Join(errs...)
}
