package transport

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// nodeTimeout is how long one node of several may take to be dialled or to
// answer, unless the budget of a call is longer: short, so that a lost node is
// noticed and the slot map read anew.
const nodeTimeout = 250 * time.Millisecond

// poolSize is enough for the lanes, a probe and a health check.
const poolSize = 2 * maxLanes

// ownClient returns a client like the given one but with settings that keep
// larder's promises: nothing is retried, deadlines are honoured, and nothing is
// dialled before it is needed. A type it does not know is used as it is.
func ownClient(given redis.UniversalClient, budget time.Duration) (client redis.UniversalClient, own bool, err error) {
	if given == nil || reflect.ValueOf(given).Kind() == reflect.Pointer && reflect.ValueOf(given).IsNil() {
		return nil, false, &cache.OptionError{Option: "client", Reason: "must not be nil", Err: cache.ErrInvalidConfig}
	}
	switch given.(type) {
	case *redis.Client, *redis.ClusterClient, *redis.Ring:
		if isClosed(given) {
			return nil, false, &cache.OptionError{Option: "client", Value: "a client", Reason: "is closed", Err: cache.ErrInvalidConfig}
		}
	}
	switch c := given.(type) {
	case *redis.Client:
		return redis.NewClient(clientOptions(*c.Options(), budget)), true, nil
	case *redis.ClusterClient:
		return redis.NewClusterClient(clusterOptions(*c.Options(), budget)), true, nil
	case *redis.Ring:
		return redis.NewRing(ringOptions(*c.Options(), budget)), true, nil
	}
	return given, false, nil
}

func clientOptions(o redis.Options, budget time.Duration) *redis.Options {
	o.MaxRetries, o.DialerRetries = -1, 1
	o.ContextTimeoutEnabled = true
	timeout := max(probeTimeout, budget) // a deadline comes first
	o.ReadTimeout, o.WriteTimeout = timeout, timeout
	o.PoolSize, o.MinIdleConns, o.MaxActiveConns = poolSize, 0, 0
	o.PipelineReadBufferSize, o.PipelineWriteBufferSize, o.PipelinePoolSize = 0, 0, 0
	o.AutoPipelineOptions, o.PushNotificationProcessor = nil, nil
	o.MaintNotificationsConfig = noMaintNotifications()
	return &o
}

func clusterOptions(o redis.ClusterOptions, budget time.Duration) *redis.ClusterOptions {
	o.MaxRetries, o.DialerRetries = -1, 1
	o.ContextTimeoutEnabled = true
	timeout := max(nodeTimeout, budget)
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = timeout, timeout, timeout
	o.PoolSize, o.MinIdleConns, o.MaxActiveConns = poolSize, 0, 0
	o.PipelineReadBufferSize, o.PipelineWriteBufferSize, o.PipelinePoolSize = 0, 0, 0
	o.AutoPipelineOptions, o.PushNotificationProcessor = nil, nil
	o.MaintNotificationsConfig = noMaintNotifications()
	o.DisableRoutingPolicies = true // one key per command: they have nothing to say
	o.ReadOnly, o.RouteByLatency, o.RouteRandomly = false, false, false
	return &o
}

func ringOptions(o redis.RingOptions, budget time.Duration) *redis.RingOptions {
	o.MaxRetries, o.DialerRetries = -1, 1
	o.ContextTimeoutEnabled = true
	timeout := max(nodeTimeout, budget)
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = timeout, timeout, timeout
	o.PoolSize, o.MinIdleConns, o.MaxActiveConns = poolSize, 0, 0
	return &o
}

// noMaintNotifications leaves out a handshake that only Redis Enterprise has an
// answer to, and its goroutines.
func noMaintNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// isClosed asks without a round trip: a closed client says so before it looks
// at the context.
func isClosed(c redis.UniversalClient) bool {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return errors.Is(c.Ping(ctx).Err(), redis.ErrClosed)
}
