package distributed

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
)

// Eval runs a script on one of the keys that the cache keeps for itself, the one
// called name. It is within the budget and behind the breaker as any call. Errors
// are those of a write; they do not tell the key.
func (t Tier) Eval(ctx context.Context, script *transport.Script, name string, args ...any) (*redis.Cmd, error) {
	return t.c.eval(ctx, "near", cache.ReservedPrefix+name, script, args...)
}

// Publish publishes a message on the channel called name, which no other cache's
// name is unless it shares entries. A Cluster passes it on to all its nodes.
func (t Tier) Publish(ctx context.Context, name, message string) error {
	channel := t.Channel(name)
	cmd := redis.NewIntCmd(ctx, "publish", channel, message)
	return failed("near", "", serverError(t.c.transport.Do(ctx, channel, cmd, transport.Write)))
}

// Channel returns the channel called name as Redis knows it.
func (t Tier) Channel(name string) string { return t.c.name(cache.ReservedPrefix + name) }
