package larder

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/near"
)

// parameter reads one parameter of a URL.
type parameter struct {
	kinds []kind // nil: all
	want  string // what it must be, for errors
	// read stores the value in c and reports whether it is as wanted.
	read func(c *config, value string) bool
	// secret values are not shown in errors.
	secret bool
}

func parameters() map[string]parameter {
	memory := []kind{kindMemory}
	redis := []kind{kindServer, kindSocket, kindCluster, kindSentinel}
	sentinel := []kind{kindSentinel}
	databases := []kind{kindServer, kindSocket, kindSentinel}
	return map[string]parameter{
		"ttl": {want: "must be a positive duration such as 10m, or none", read: func(c *config, v string) bool {
			if v == "none" {
				c.defaults.TTL = cache.NoExpiry
				return true
			}
			return readDuration(&c.defaults.TTL, v)
		}},
		"sliding": {want: wantDuration, read: func(c *config, v string) bool {
			return readDuration(&c.defaults.SlidingExpiration, v)
		}},
		"max_value_bytes": {want: wantSize, read: func(c *config, v string) bool {
			var n int64
			ok := readSize(&n, v) && n <= math.MaxInt
			c.maxValueBytes = int(n)
			return ok
		}},
		"max_entries": {kinds: memory, want: "must be a positive number", read: func(c *config, v string) bool {
			return readInt(&c.memory.MaxEntries, v, 1, math.MaxInt)
		}},
		"max_bytes": {kinds: memory, want: wantSize, read: func(c *config, v string) bool {
			return readSize(&c.memory.MaxBytes, v)
		}},
		"prefix": {kinds: redis, want: "must not be longer than a key", read: func(c *config, v string) bool {
			c.redis.Prefix = v
			return true
		}},
		"budget": {kinds: redis, want: wantDuration, read: func(c *config, v string) bool {
			return readDuration(&c.redis.Budget, v)
		}},
		"db": {kinds: databases, want: wantDatabase, read: func(c *config, v string) bool {
			return readInt(&c.client.DB, v, 0, maxDatabase)
		}},
		"protocol": {kinds: redis, want: "must be 2 or 3", read: func(c *config, v string) bool {
			return readInt(&c.client.Protocol, v, 2, 3)
		}},
		"client_name": {kinds: redis, want: "must be printable and without spaces", read: func(c *config, v string) bool {
			c.client.ClientName = v
			return !strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r >= 0x7f })
		}},
		"conn_max_idle_time": {kinds: redis, want: wantDuration, read: func(c *config, v string) bool {
			return readDuration(&c.client.ConnMaxIdleTime, v)
		}},
		"conn_max_lifetime": {kinds: redis, want: wantDuration, read: func(c *config, v string) bool {
			return readDuration(&c.client.ConnMaxLifetime, v)
		}},
		"skip_verify": {kinds: redis, want: "must be true or false, in a rediss URL", read: func(c *config, v string) bool {
			if c.client.TLSConfig == nil || v != "true" && v != "false" {
				return false
			}
			c.client.TLSConfig.InsecureSkipVerify = v == "true"
			return true
		}},
		"near": {kinds: redis, want: "must be bounded, validate or ack", read: func(c *config, v string) bool {
			c.nearOptions().Mode = map[string]near.Mode{"validate": near.Validate, "ack": near.Ack}[v]
			return v == c.near.Mode.String()
		}},
		"near_bound": {kinds: redis, want: wantDuration, read: func(c *config, v string) bool {
			return readDuration(&c.nearOptions().Bound, v)
		}},
		"near_entries": {kinds: redis, want: "must be a positive number", read: func(c *config, v string) bool {
			return readInt(&c.nearOptions().Local.MaxEntries, v, 1, math.MaxInt)
		}},
		"near_bytes": {kinds: redis, want: wantSize, read: func(c *config, v string) bool {
			return readSize(&c.nearOptions().Local.MaxBytes, v)
		}},
		"sentinel_username": {kinds: sentinel, secret: true, read: func(c *config, v string) bool {
			c.client.SentinelUsername = v
			return true
		}},
		"sentinel_password": {kinds: sentinel, secret: true, read: func(c *config, v string) bool {
			c.client.SentinelPassword = v
			return true
		}},
	}
}

const (
	wantDuration = "must be a positive duration such as 50ms or 10m"
	wantSize     = "must be a positive size such as 4096, 512KiB or 64MiB"
	wantDatabase = "must be the number of a database"

	maxDatabase = math.MaxInt32
)

// managed are parameters of go-redis's URLs that would change nothing.
func managed() []string {
	return []string{
		"max_retries", "min_retry_backoff", "max_retry_backoff", "dial_timeout", "read_timeout", "write_timeout",
		"pool_fifo", "pool_size", "pool_timeout", "min_idle_conns", "max_idle_conns", "max_active_conns",
		"max_concurrent_dials", "pipeline_pool_size", "pipeline_read_buffer_size", "pipeline_write_buffer_size",
	}
}

// readParameters takes over what a's parameters say, and returns everything that
// is wrong with them.
func (c *config) readParameters(a *address) error {
	var errs []error
	known := parameters()
	for _, name := range slices.Sorted(maps.Keys(a.query)) {
		p, ok := known[name]
		values := a.query[name]
		switch {
		case slices.Contains(managed(), name):
			errs = append(errs, refuseParameter(name, "larder sets it itself; see budget"))
		case !ok:
			errs = append(errs, refuseParameter(name, "is unknown"))
		case p.kinds != nil && !slices.Contains(p.kinds, c.kind):
			errs = append(errs, refuseParameter(name, "does not apply to this kind of cache"))
		case len(values) > 1:
			errs = append(errs, refuseParameter(name, "is given more than once"))
		case strings.HasPrefix(name, "near_") && len(a.query["near"]) == 0:
			errs = append(errs, refuseParameter(name, "needs near"))
		case name == "db" && len(a.path) > c.databaseAt():
			errs = append(errs, refuseParameter(name, "is given in the path too"))
		case !p.read(c, values[0]):
			errs = append(errs, refuse("URL parameter "+name, shown(values[0], p.secret), p.want))
		}
	}
	return errors.Join(errs...)
}

// nearOptions returns the options of the near cache, which there is from now on.
func (c *config) nearOptions() *near.Options {
	if c.near == nil {
		c.near = new(near.Options)
	}
	return c.near
}

// databaseAt is where the path has the number of the database.
func (c *config) databaseAt() int {
	if c.kind == kindSentinel {
		return 1
	}
	return 0
}

// readPath takes over what a's path says.
func (c *config) readPath(a *address) error {
	path := a.path
	switch c.kind {
	case kindMemory, kindCluster:
		if len(path) > 0 {
			return refuseURL("has a path, but such a cache takes none")
		}
		return nil
	case kindSentinel:
		if len(path) == 0 {
			return refuseURL("lacks the name of the master: redis+sentinel://host/master")
		}
		c.client.MasterName = path[0]
		path = path[1:]
	}
	if len(path) > 1 || len(path) == 1 && !readInt(&c.client.DB, path[0], 0, maxDatabase) {
		return refuseURL("has a path that does not end with the number of a database")
	}
	return nil
}

func refuseParameter(name, reason string) error {
	if len(name) > 40 || strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789_-.") != "" {
		name = "(unprintable)"
	}
	return refuse("URL parameter", name, reason)
}

// shown is value as an error may show it.
func shown(value string, secret bool) string {
	switch {
	case secret:
		return "(hidden)"
	case len(value) > 40:
		return "(long)"
	}
	return strconv.Quote(value)
}

func readDuration(d *time.Duration, text string) bool {
	parsed, err := time.ParseDuration(text)
	if err != nil || parsed <= 0 {
		return false
	}
	*d = parsed
	return true
}

func readInt(n *int, text string, least, most int) bool {
	parsed, err := strconv.Atoi(text)
	if err != nil || parsed < least || parsed > most {
		return false
	}
	*n = parsed
	return true
}

// readSize reads a number of bytes with an optional unit, as in 64MiB.
func readSize(n *int64, text string) bool {
	digits := strings.TrimRight(text, "BKMGTikb")
	unit, ok := map[string]int64{
		"": 1, "B": 1,
		"kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
		"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	}[text[len(digits):]]
	parsed, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || parsed <= 0 || parsed > math.MaxInt64/unit {
		return false
	}
	*n = parsed * unit
	return true
}
