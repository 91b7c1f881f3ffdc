package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/queue"
)

// Preflight implements queue.Preflighter, for every primary. It is queue.ErrVolatile
// if a server
//
//   - evicts keys that do not expire: a maxmemory-policy of allkeys-lru and its like,
//     even while maxmemory is 0. The policies volatile-lru and so on never touch a
//     queue;
//   - does not append to a file (appendonly), or leaves it to the system when that
//     reaches the disk (appendfsync no). A server that does not tell its
//     appendfsync, as hosted ones do, is given credit.
//
// It is cache.ErrInvalidConfig if the queue was made with another number of
// partitions: keys would be in the wrong ones. The first Preflight fixes the number.
func (q *Queue) Preflight(ctx context.Context) error {
	if err := cache.CheckContext(ctx); err != nil {
		return err
	}
	if err := q.agree(ctx); err != nil {
		return err
	}
	err := q.transport.ForEachNode(ctx, inspect)
	switch {
	case err == nil, errors.Is(err, queue.ErrVolatile), errors.Is(err, cache.ErrClosed):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return &cache.OpError{Op: "preflight", Err: fmt.Errorf("%w: %w", cache.ErrUnavailable, err)}
}

// agree finds out whether all have the same number of partitions.
func (q *Queue) agree(ctx context.Context) error {
	cmd := partitionsScript.Cmd(ctx, q.agreement, len(q.partitions))
	if err := q.transport.Do(ctx, q.agreement, cmd, transport.Write); err != nil {
		return failure("preflight", "", err)
	}
	if got := fmt.Sprint(cmd.Val()); got != fmt.Sprint(len(q.partitions)) {
		return refused("Options.Partitions", len(q.partitions), "is not what the queue was made with")
	}
	return nil
}

// inspect says what is wrong with one server.
func inspect(ctx context.Context, node *redis.Client) error {
	memory, err := node.Info(ctx, "memory").Result()
	if err != nil {
		return err
	}
	if policy := setting(memory, "maxmemory_policy"); policy == "" || strings.HasPrefix(policy, "allkeys-") {
		return fmt.Errorf("%w: a server's maxmemory-policy is %q", queue.ErrVolatile, policy)
	}
	persistence, err := node.Info(ctx, "persistence").Result()
	if err != nil {
		return err
	}
	if setting(persistence, "aof_enabled") != "1" {
		return fmt.Errorf("%w: a server's appendonly is no", queue.ErrVolatile)
	}
	config, err := node.ConfigGet(ctx, "appendfsync").Result()
	var refusal redis.Error
	if err != nil && !errors.As(err, &refusal) {
		return err
	}
	if config["appendfsync"] == "no" {
		return fmt.Errorf("%w: a server's appendfsync is no", queue.ErrVolatile)
	}
	return nil
}

// setting returns a value of INFO, "" if it is not there.
func setting(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
