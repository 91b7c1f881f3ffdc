package racematrix

import (
	"context"
	"errors"
	"time"
)

const (
	capacity     = 10_000
	ttl          = time.Hour
	hastyTimeout = 100 * time.Millisecond
)

// errAbsent is what a Source returns, and so a Cache, for a value that does not
// exist. Adapters turn it into their cache's own word for it, and back.
var errAbsent = errors.New("racematrix: no such value in the source")

// Source is the system of record: what a cache asks on a miss.
type Source[V any] func(ctx context.Context, key string) (V, error)

// Cache is a cache that loads, bound to one source. Its functions are safe for
// concurrent use.
type Cache[V any] struct {
	Get    func(ctx context.Context, key string) (V, error)
	Remove func(ctx context.Context, key string) error
	Close  func() error
}

// Opener makes a cache on source. addr is that of a Redis, empty for a
// contender that needs none. Two caches on one address stand for two processes.
type Opener[V any] func(addr string, source Source[V]) (*Cache[V], error)

// Contender is a cache that takes part, used as its documentation says.
type Contender struct {
	Name    string
	Modules []string // paths of the modules that it consists of
	Use     string   // how it is used here, and with which options
	Ours    bool     // every cell of its column must be right
	OnRedis bool

	// NotApplicable says for which races, by Race.ID, it is out of the running,
	// and why. What only races on Redis is not named here.
	NotApplicable map[string]string

	Texts    Opener[string]
	Numbers  Opener[int]
	Pointers Opener[*int]
	Bytes    Opener[[]byte]

	// Hasty is Texts on a client with time-outs of hastyTimeout and without
	// retries; only those on Redis have it.
	Hasty Opener[string]
}

// Contenders returns all who take part, larder first.
func Contenders() []Contender {
	return []Contender{
		larderMemory(), larderRedis(),
		otterCache(), theineCache(), sturdycCache(), ttlCache(),
		goRedisCache(), goRedisCacheLocal(),
	}
}
