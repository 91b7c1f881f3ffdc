package transport

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/redis/go-redis/v9"
)

// nodeTimeout is how long one node of several may take to be dialled or to
// answer: short, so that a lost node is noticed and the slot map read anew.
const nodeTimeout = 250 * time.Millisecond

// ownClient returns a client like the given one but with settings that keep
// larder's promises. A type it does not know is used as it is.
func ownClient(given redis.UniversalClient) (client redis.UniversalClient, own bool, err error) {
	if given == nil || reflect.ValueOf(given).Kind() == reflect.Pointer && reflect.ValueOf(given).IsNil() {
		return nil, false, &cache.OptionError{Option: "client", Reason: "must not be nil", Err: cache.ErrInvalidConfig}
	}
	switch c := given.(type) {
	case *redis.Client:
		if isClosed(c) {
			break
		}
		o := *c.Options()
		o.MaxRetries = -1
		o.ContextTimeoutEnabled = true
		o.DialerRetries = 1
		return redis.NewClient(&o), true, nil
	case *redis.ClusterClient:
		if isClosed(c) {
			break
		}
		o := *c.Options()
		o.MaxRetries = -1
		o.ContextTimeoutEnabled = true
		o.DialerRetries = 1
		o.DialTimeout = nodeTimeout
		o.ReadTimeout = nodeTimeout
		o.WriteTimeout = nodeTimeout
		return redis.NewClusterClient(&o), true, nil
	case *redis.Ring:
		if isClosed(c) {
			break
		}
		o := *c.Options()
		o.MaxRetries = -1
		o.ContextTimeoutEnabled = true
		o.DialerRetries = 1
		o.DialTimeout = nodeTimeout
		o.ReadTimeout = nodeTimeout
		o.WriteTimeout = nodeTimeout
		return redis.NewRing(&o), true, nil
	default:
		return given, false, nil
	}
	return nil, false, &cache.OptionError{Option: "client", Reason: "is closed", Err: cache.ErrInvalidConfig}
}

// isClosed asks without a round trip: a closed client says so before it looks
// at the context.
func isClosed(c redis.UniversalClient) bool {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return errors.Is(c.Ping(ctx).Err(), redis.ErrClosed)
}
