package larder

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/distributed/near"
	"github.com/larder-go/larder/memory"
)

// EnvURL is the environment variable that OpenEnv reads.
const EnvURL = "LARDER_URL"

// Options are what code, not configuration, says about a cache. Nil and the
// zero value mean the backend's defaults. Where the URL says something too, the
// URL wins.
type Options struct {
	// Prefix stands before every key in Redis. A memory cache needs none.
	Prefix string

	// Defaults are used where an entry's own options say nothing. If the URL
	// has ttl or sliding, it takes the place of all that Defaults say about
	// expiration.
	Defaults cache.EntryOptions

	// Observer is told what the cache does. Nil: nobody.
	Observer cache.Observer

	// TLS is for rediss URLs: certificates and names to trust. Nil: those of
	// the system, TLS 1.2 and up. It is copied.
	TLS *tls.Config
}

// Open returns the cache that rawURL names. Close ends it, its Redis client
// included. It waits for nobody, and unless near is given nothing is dialled: a
// Redis that is down makes calls fail, later, with cache.ErrUnavailable.
//
// User, password, master name and socket path are percent-decoded, so that they
// can hold any character. A host without a port has 6379, a Sentinel without
// one 26379; redis:// without a host is localhost. User and password are those
// of the Redis servers; Sentinels have sentinel_username and sentinel_password.
//
// Parameters, each at most once:
//
//	ttl              how long an entry lives, as in 90s or 10m; none: without end
//	sliding          how long it lives since the last read
//	max_value_bytes  longest value, as in 512KiB or 1MB
//
//	max_entries      memory: most entries
//	max_bytes        memory: most bytes, as in 64MiB
//
//	prefix           Redis: what stands before every key
//	budget           Redis: longest wait for the server, as in 50ms
//	db               Redis: number of the database, unless the path has it
//	protocol         Redis: 2 or 3
//	client_name      Redis: as CLIENT LIST shows it
//	conn_max_idle_time, conn_max_lifetime   Redis: when to close a connection
//	skip_verify      rediss: true trusts any certificate
//
//	near             Redis: holds values in this process, too: bounded, validate
//	                 or ack, the modes of package near
//	near_bound       how stale they may be in mode bounded, as in 500ms
//	near_entries     most of them
//	near_bytes       most bytes, as in 64MiB
//
// Any other is refused by name; so are go-redis's parameters for pools, retries
// and time-outs, which larder sets itself.
//
// The error joins everything that is wrong, each as a *cache.OptionError that
// wraps cache.ErrInvalidConfig. Its text never holds user, password or host.
func Open(rawURL string, opts *Options) (cache.Backend, error) {
	c, problems := configure(rawURL, opts)
	if c == nil {
		return nil, problems
	}
	backend, err := c.open()
	if err = errors.Join(problems, err); err != nil {
		if backend != nil {
			err = errors.Join(err, backend.Close(context.Background())) // nothing uses it yet
		}
		return nil, err
	}
	return backend, nil
}

// OpenEnv opens the cache that the environment variable LARDER_URL names; if it
// is unset or blank, one in memory with its default limits.
func OpenEnv(opts *Options) (cache.Backend, error) {
	rawURL := strings.TrimSpace(os.Getenv(EnvURL))
	if rawURL == "" {
		rawURL = "memory://"
	}
	return Open(rawURL, opts)
}

// config is what a URL and Options say together.
type config struct {
	kind   kind
	memory memory.Options
	redis  distributed.Options
	near   *near.Options // nil: none; its Remote is not set
	client redis.UniversalOptions

	defaults      cache.EntryOptions // from the URL
	maxValueBytes int
}

// configure returns what rawURL and opts say, and what is wrong with the URL;
// nil if it cannot even be taken apart.
func configure(rawURL string, opts *Options) (*config, error) {
	if opts == nil {
		opts = &Options{}
	}
	a, err := parseAddress(rawURL)
	if err != nil {
		return nil, err
	}
	c := &config{
		kind:   a.kind,
		memory: memory.Options{Defaults: opts.Defaults, Observer: opts.Observer},
		redis:  distributed.Options{Prefix: opts.Prefix, Defaults: opts.Defaults, Observer: opts.Observer, CloseClient: true},
	}
	c.client.Addrs, c.client.Username, c.client.Password = a.hosts, a.user, a.password
	// Else go-redis looks up the host of a rediss URL before it returns a client.
	c.client.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if a.tls {
		c.client.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		if opts.TLS != nil {
			c.client.TLSConfig = opts.TLS.Clone()
		}
	}
	return c, errors.Join(a.problems, c.readPath(a), c.readParameters(a))
}

// open makes the backend. It returns a nil interface with an error.
func (c *config) open() (cache.Backend, error) {
	if c.kind == kindMemory {
		c.memory.Defaults = c.defaults.Inherit(c.memory.Defaults)
		c.memory.MaxValueBytes = c.maxValueBytes
		backend, err := memory.New(&c.memory)
		if err != nil {
			return nil, err
		}
		return backend, nil
	}
	c.redis.Defaults = c.defaults.Inherit(c.redis.Defaults)
	c.redis.MaxValueBytes = c.maxValueBytes
	client := c.newClient()
	backend, err := c.openRedis(client)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return backend, nil
}

func (c *config) openRedis(client redis.UniversalClient) (cache.Backend, error) {
	if c.near != nil {
		c.near.Remote = c.redis
		return near.New(client, c.near)
	}
	return distributed.New(client, &c.redis)
}

func (c *config) newClient() redis.UniversalClient {
	switch c.kind {
	case kindCluster:
		return redis.NewClusterClient(c.client.Cluster())
	case kindSentinel:
		return redis.NewFailoverClient(c.client.Failover())
	default:
		return redis.NewClient(c.client.Simple())
	}
}
