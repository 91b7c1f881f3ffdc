package distributed

import (
	"errors"
	"reflect"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/envelope"
)

const (
	// DefaultMaxValueBytes is the longest value if Options says nothing.
	DefaultMaxValueBytes = 1 << 20
	// DefaultBudget is the time a call may take if Options says nothing.
	DefaultBudget = 100 * time.Millisecond

	// maxMaxValueBytes keeps the longest entry within Redis's longest string.
	maxMaxValueBytes = 512<<20 - envelope.HeaderSize - envelope.OrderSize - envelope.MaxStampsSize - envelope.LockSize
	maxBudget        = time.Hour
)

// Options configures New. The zero value of every field is a sensible default.
type Options struct {
	// Prefix stands before every key, without a separator. At most
	// cache.MaxKeyLength bytes. Two caches share entries if and only if they
	// share server, database and prefix.
	Prefix string

	// Defaults are used where an entry's own options say nothing.
	Defaults cache.EntryOptions

	// MaxValueBytes is the longest value in bytes; a longer one is
	// cache.ErrValueTooLarge before anything is sent. Zero:
	// DefaultMaxValueBytes. At most 512 MiB less a header, stamps and a
	// lock.
	MaxValueBytes int

	// Budget is the longest a call waits for the server. Zero: DefaultBudget.
	// At most one hour. A context's earlier deadline wins.
	Budget time.Duration

	// BreakerFailures is how many calls in a row must fail to open the breaker,
	// which then refuses calls until the server answers a probe. A call that
	// times out while no other succeeds opens it at once. Zero: 3. Negative:
	// failures never open it.
	BreakerFailures int

	// BreakerMinOpen is the pause before the first probe, BreakerMaxOpen the
	// longest pause between two. Zero: 100 ms and 1 s.
	BreakerMinOpen, BreakerMaxOpen time.Duration

	// Observer is told what happens. Nil: nobody.
	Observer cache.Observer

	// CloseClient makes Close close the client too. It is for a client that
	// nobody else uses.
	CloseClient bool
}

// check returns what is wrong with client and o, all of it.
func (o *Options) check(client redis.UniversalClient) error {
	var errs []error
	refuse := func(option string, value any, reason string) {
		errs = append(errs, &cache.OptionError{Option: option, Value: value, Reason: reason, Err: cache.ErrInvalidConfig})
	}
	if isNil(client) {
		refuse("client", nil, "must not be nil")
	}
	if readsFromReplicas(client) {
		refuse("client ReadOnly, RouteByLatency or RouteRandomly", true, "reads from replicas, which may not know of a removal yet")
	}
	if len(o.Prefix) > cache.MaxKeyLength {
		refuse("Options.Prefix length", len(o.Prefix), "is too long")
	}
	if o.MaxValueBytes < 0 || o.MaxValueBytes > maxMaxValueBytes {
		refuse("Options.MaxValueBytes", o.MaxValueBytes, "is out of range")
	}
	if o.Budget < 0 || o.Budget > maxBudget {
		refuse("Options.Budget", o.Budget, "is out of range")
	}
	if o.BreakerMinOpen < 0 {
		refuse("Options.BreakerMinOpen", o.BreakerMinOpen, "must not be negative")
	}
	if o.BreakerMaxOpen < 0 || o.BreakerMaxOpen > 0 && o.BreakerMaxOpen < o.BreakerMinOpen {
		refuse("Options.BreakerMaxOpen", o.BreakerMaxOpen, "must not be less than BreakerMinOpen")
	}
	if o.Defaults.Lease != (cache.Lease{}) {
		refuse("Options.Defaults.Lease", "a lease", "belongs to one load")
	}
	if len(o.Defaults.Tokens) > 0 || o.Defaults.Since != (cache.Moment{}) {
		refuse("Options.Defaults.Tokens and Since", len(o.Defaults.Tokens), "belong to one entry")
	}
	var bad *cache.OptionError
	if _, _, err := (cache.EntryOptions{}).Resolve(o.Defaults, time.Now()); errors.As(err, &bad) {
		refuse("Options.Defaults: "+bad.Option, bad.Value, bad.Reason)
	}
	return errors.Join(errs...)
}

// isNil finds nil pointers in the interface, too.
func isNil(client redis.UniversalClient) bool {
	if client == nil {
		return true
	}
	v := reflect.ValueOf(client)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// readsFromReplicas reports whether client sends reads to replicas. They lag
// behind, so a read could see what a removal that returned has removed.
func readsFromReplicas(client redis.UniversalClient) bool {
	c, ok := client.(*redis.ClusterClient)
	if !ok || c == nil {
		return false
	}
	o := c.Options()
	return o.ReadOnly || o.RouteByLatency || o.RouteRandomly
}

func (o Options) withDefaults() Options {
	if o.MaxValueBytes == 0 {
		o.MaxValueBytes = DefaultMaxValueBytes
	}
	if o.Budget == 0 {
		o.Budget = DefaultBudget
	}
	return o
}
