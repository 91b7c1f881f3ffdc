package queue_test

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	redisqueue "github.com/larder-go/larder/distributed/queue"
	"github.com/larder-go/larder/internal/redistest"
	"github.com/larder-go/larder/queue"
)

// durable are the settings of a server that loses nothing.
var durable = []string{"--appendonly", "yes", "--appendfsync", "always"}

func TestPreflight(t *testing.T) {
	server := redistest.Server(t, durable...)
	q := open(t, server.Client(), redisqueue.Options{})
	ctx := t.Context()
	for _, c := range []struct {
		name, setting, value string
		want                 error
	}{
		{"as it should be", "appendfsync", "always", nil},
		{"every second", "appendfsync", "everysec", nil},
		{"leaves it to the system", "appendfsync", "no", queue.ErrVolatile},
		{"appends again", "appendfsync", "always", nil},
		{"evicts anything", "maxmemory-policy", "allkeys-lru", queue.ErrVolatile},
		{"evicts anything at random", "maxmemory-policy", "allkeys-random", queue.ErrVolatile},
		{"evicts what expires", "maxmemory-policy", "volatile-lru", nil},
		{"evicts nothing", "maxmemory-policy", "noeviction", nil},
		{"does not persist", "appendonly", "no", queue.ErrVolatile},
	} {
		if err := server.Client().ConfigSet(ctx, c.setting, c.value).Err(); err != nil {
			t.Fatal(err)
		}
		if err := q.Preflight(ctx); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestPreflightOfCluster(t *testing.T) {
	cluster := redistest.Cluster(t, 3, durable...)
	q := open(t, cluster.Client(), redisqueue.Options{})
	if err := q.Preflight(t.Context()); err != nil {
		t.Errorf("Preflight: got %v, want no error", err)
	}
	if err := cluster.Node(2).Client().ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lfu").Err(); err != nil {
		t.Fatal(err)
	}
	if err := q.Preflight(t.Context()); !errors.Is(err, queue.ErrVolatile) {
		t.Errorf("Preflight where one node evicts: got %v, want ErrVolatile", err)
	}
}

func TestPreflightWithoutConfig(t *testing.T) {
	server := redistest.Server(t, append([]string{"--rename-command", "CONFIG", ""}, durable...)...)
	if err := open(t, server.Client(), redisqueue.Options{}).Preflight(t.Context()); err != nil {
		t.Errorf("Preflight of a server that does not tell its settings: got %v, want no error", err)
	}
}

func TestPreflightFindsOtherPartitions(t *testing.T) {
	server := redistest.Server(t, durable...)
	ctx := t.Context()
	for range 2 {
		if err := open(t, server.Client(), redisqueue.Options{Partitions: 4}).Preflight(ctx); err != nil {
			t.Fatalf("Preflight: got %v, want no error", err)
		}
	}
	if err := open(t, server.Client(), redisqueue.Options{Partitions: 5}).Preflight(ctx); !errors.Is(err, cache.ErrInvalidConfig) {
		t.Errorf("Preflight with another number of partitions: got %v, want ErrInvalidConfig", err)
	}
	if err := open(t, server.Client(), redisqueue.Options{}).Preflight(ctx); !errors.Is(err, cache.ErrInvalidConfig) {
		t.Errorf("Preflight with the default of a server, which is 1: got %v, want ErrInvalidConfig", err)
	}
	if err := open(t, server.Client(), redisqueue.Options{Partitions: 5, Prefix: "another"}).Preflight(ctx); err != nil {
		t.Errorf("Preflight of another queue: got %v, want no error", err)
	}
}

func TestPreflightWithoutServer(t *testing.T) {
	server := redistest.Server(t, durable...)
	q := open(t, server.Client(), redisqueue.Options{})
	server.Kill()
	if err := q.Preflight(t.Context()); !errors.Is(err, cache.ErrUnavailable) && !errors.Is(err, cache.ErrOutcomeUnknown) {
		t.Errorf("Preflight: got %v, want ErrUnavailable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.Preflight(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Preflight: got %v, want the context's error", err)
	}
}

func TestNewRefusesBadOptions(t *testing.T) {
	client := redistest.MiniClient(t, redistest.Mini(t))
	ring := redis.NewRing(&redis.RingOptions{})
	defer func() { _ = ring.Close() }()
	for name, c := range map[string]struct {
		client redis.UniversalClient
		opts   redisqueue.Options
	}{
		"no client":         {nil, redisqueue.Options{}},
		"nil client":        {(*redis.Client)(nil), redisqueue.Options{}},
		"nil cluster":       {(*redis.ClusterClient)(nil), redisqueue.Options{}},
		"ring":              {ring, redisqueue.Options{}},
		"braces":            {client, redisqueue.Options{Prefix: "a{b"}},
		"long prefix":       {client, redisqueue.Options{Prefix: string(make([]byte, 257))}},
		"partitions":        {client, redisqueue.Options{Partitions: -1}},
		"many partitions":   {client, redisqueue.Options{Partitions: 1025}},
		"items":             {client, redisqueue.Options{MaxItems: -1}},
		"fewer items":       {client, redisqueue.Options{Partitions: 4, MaxItems: 3}},
		"bytes":             {client, redisqueue.Options{MaxBytes: -1}},
		"bytes for no one":  {client, redisqueue.Options{Partitions: 4, MaxBytes: 3}},
		"budget":            {client, redisqueue.Options{Budget: -1}},
		"budget of a month": {client, redisqueue.Options{Budget: 1 << 60}},
	} {
		if _, err := redisqueue.New(c.client, &c.opts); !errors.Is(err, cache.ErrInvalidConfig) {
			t.Errorf("%s: got %v, want ErrInvalidConfig", name, err)
		}
	}
	q, err := redisqueue.New(client, nil)
	if err != nil {
		t.Fatalf("New without options: got %v, want none", err)
	}
	for range 2 {
		if err := q.Close(t.Context()); err != nil {
			t.Errorf("Close: got %v, want no error", err)
		}
	}
	if _, err := q.Enqueue(t.Context(), queue.Write{Key: "a"}); !errors.Is(err, cache.ErrClosed) {
		t.Errorf("Enqueue after Close: got %v, want ErrClosed", err)
	}
	if err := q.Preflight(t.Context()); !errors.Is(err, cache.ErrClosed) {
		t.Errorf("Preflight after Close: got %v, want ErrClosed", err)
	}
}
