package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	redisqueue "github.com/larder-go/larder/distributed/queue"
	"github.com/larder-go/larder/queue"
	"github.com/larder-go/larder/queue/outbox"
)

// Where a write-behind queue can be.
const (
	inMemory   = "memory" // of this process: no other sees it, and it ends with it
	inDatabase = "table"  // beside the data: it survives whatever they survive
	onRedis    = "redis"  // faster than a table, and there while the database is not
)

// queuePlace returns where the queues are: if not told, where it takes nothing more
// than there is, and where everybody who has this database finds them.
func (c config) queuePlace() string {
	switch {
	case c.queue != "":
		return c.queue
	case c.postgres == "" && c.sqlite == "" && c.redis == "":
		return inMemory
	}
	return inDatabase
}

// openQueue returns the queue of one kind of entity.
func (s *shop) openQueue(ctx context.Context, c config, name string) (queue.Queue, error) {
	switch c.queuePlace() {
	case inMemory:
		if s.shared {
			return nil, errors.New("-queue memory is for one instance: those that share a Redis need a queue that they share, too")
		}
		return queue.NewMemory(nil)
	case inDatabase:
		d, table := s.database, "queue_"+name
		if err := d.define(ctx, outbox.Schema(d.dialect, table)...); err != nil {
			return nil, err
		}
		return outbox.New(d.db, d.dialect, &outbox.Options{Table: table})
	case onRedis:
		// Its Preflight refuses a server that may lose what it accepted: one
		// without appendonly, say.
		address, _, _ := strings.Cut(c.redis, "?") // what follows is for the cache
		opts, err := redis.ParseURL(address)
		if err != nil {
			return nil, errors.New("-queue redis needs -redis with a URL such as redis://localhost:6379/0")
		}
		client := redis.NewClient(opts)
		s.onClose(func(context.Context) error { return client.Close() })
		q, err := redisqueue.New(client, &redisqueue.Options{Prefix: "larder-shop:" + c.databaseID() + ":" + name})
		if err != nil {
			return nil, err
		}
		s.onClose(q.Close)
		return q, nil
	}
	return nil, fmt.Errorf("there is no queue in %q: only %s, %s and %s", c.queue, inMemory, inDatabase, onRedis)
}
