package transport

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// Subscribe connects, past budget and breaker, and subscribes to a channel whose
// messages are published on whichever node. The caller must close what it
// returns before the transport. A Ring's servers do not pass messages on, and of
// other types nobody knows: then it is errors.ErrUnsupported.
func (t *Transport) Subscribe(ctx context.Context, channel string) (*redis.PubSub, error) {
	if err := t.check(ctx); err != nil {
		return nil, err
	}
	var ps *redis.PubSub
	switch c := t.client.(type) {
	case *redis.Client:
		ps = c.Subscribe(ctx)
	case *redis.ClusterClient:
		ps = c.Subscribe(ctx)
	default:
		return nil, errors.ErrUnsupported
	}
	if err := ps.Subscribe(ctx, channel); err != nil {
		_ = ps.Close()
		return nil, err
	}
	return ps, nil
}

// CanSubscribe reports whether Subscribe can work on a client of this type.
func (t *Transport) CanSubscribe() bool {
	switch t.client.(type) {
	case *redis.Client, *redis.ClusterClient:
		return true
	}
	return false
}
