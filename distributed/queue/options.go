package queue

import (
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
)

const (
	// DefaultPrefix begins the keys of a queue whose options name none.
	DefaultPrefix = "larder"
	// DefaultPartitions is how many partitions a queue on a Cluster has if Options says
	// nothing.
	DefaultPartitions = 4
	// DefaultBudget is the time a call may take if Options says nothing: longer than
	// that of a cache, because a write that is not accepted is lost.
	DefaultBudget = time.Second
	// MaxPayload is the longest payload, in bytes.
	MaxPayload = 16 << 20

	maxPrefix     = 256
	maxPartitions = 1024
	maxBudget     = time.Hour
)

// Options configure a Queue. The zero value, and nil, mean the defaults.
type Options struct {
	// Prefix tells queues on one server and database from each other; give each
	// kind of entity its own. At most 256 bytes, without braces. Empty:
	// DefaultPrefix.
	Prefix string

	// Partitions is how many parts the queue has, which a Cluster spreads over its
	// nodes; on a single server they only cost. It is for the life of the queue:
	// Preflight refuses another number than the first one, so name it if the server is
	// to become a Cluster. Zero: 1 on a server, DefaultPartitions on a Cluster. At most
	// 1024.
	Partitions int

	// MaxItems is how many items are held at most, dead letters included, and
	// MaxBytes how many bytes of keys and payloads. Each partition has an equal
	// share, so one may be full before the others. Zero: no limit but the
	// server's; a server without memory is queue.ErrFull, too. Negative: refused.
	MaxItems int
	MaxBytes int64

	// Budget is the longest a call waits for the server. Zero: DefaultBudget. At
	// most one hour. A context's earlier deadline wins.
	Budget time.Duration
}

// check returns what is wrong with client and o, all of it.
func (o *Options) check(client redis.UniversalClient) error {
	var errs []error
	refuse := func(option string, value any, reason string) {
		errs = append(errs, refused(option, value, reason))
	}
	switch c := client.(type) {
	case *redis.Client:
		if c == nil {
			refuse("client", nil, "must not be nil")
		}
	case *redis.ClusterClient:
		if c == nil {
			refuse("client", nil, "must not be nil")
		}
	default: // a Ring moves keys to another shard while theirs is gone
		refuse("client", "of that type", "must be a *redis.Client or *redis.ClusterClient")
	}
	if len(o.Prefix) > maxPrefix || strings.ContainsAny(o.Prefix, "{}") {
		refuse("Options.Prefix length", len(o.Prefix), "is too long, or it has braces")
	}
	if o.Partitions < 0 || o.Partitions > maxPartitions {
		refuse("Options.Partitions", o.Partitions, "is out of range")
	}
	if o.MaxItems < 0 || o.MaxItems > 0 && o.MaxItems < o.Partitions {
		refuse("Options.MaxItems", o.MaxItems, "must be one for each partition, or 0")
	}
	if o.MaxBytes < 0 || o.MaxBytes > 0 && o.MaxBytes < int64(o.Partitions) {
		refuse("Options.MaxBytes", o.MaxBytes, "must be one for each partition, or 0")
	}
	if o.Budget < 0 || o.Budget > maxBudget {
		refuse("Options.Budget", o.Budget, "is out of range")
	}
	return errors.Join(errs...)
}

func refused(option string, value any, reason string) error {
	return &cache.OptionError{Option: option, Value: value, Reason: reason, Err: cache.ErrInvalidConfig}
}

func (o Options) withDefaults(client redis.UniversalClient) Options {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if _, cluster := client.(*redis.ClusterClient); o.Partitions == 0 && cluster {
		o.Partitions = DefaultPartitions
	} else if o.Partitions == 0 {
		o.Partitions = 1
	}
	if o.Budget == 0 {
		o.Budget = DefaultBudget
	}
	return o
}
