package distributed_test

import (
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
)

func TestNewReportsEverythingThatIsWrong(t *testing.T) {
	var none *redis.Client
	for name, tc := range map[string]struct {
		client redis.UniversalClient
		opts   distributed.Options
		want   []string
	}{
		"nil client":       {nil, distributed.Options{}, []string{"client"}},
		"typed nil client": {none, distributed.Options{}, []string{"client"}},
		"nil cluster":      {(*redis.ClusterClient)(nil), distributed.Options{}, []string{"client"}},
		"reads from replicas": {
			redis.NewClusterClient(&redis.ClusterOptions{RouteByLatency: true}), distributed.Options{},
			[]string{"client ReadOnly, RouteByLatency or RouteRandomly"},
		},
		"everything": {
			nil,
			distributed.Options{
				Prefix:        strings.Repeat("p", cache.MaxKeyLength+1),
				Defaults:      cache.EntryOptions{TTL: -1, Lease: cache.Lease{1}},
				MaxValueBytes: -1, Budget: -1, BreakerMinOpen: -1, BreakerMaxOpen: -1,
			},
			[]string{
				"client", "Options.Prefix length", "Options.MaxValueBytes", "Options.Budget", "Options.BreakerMinOpen",
				"Options.BreakerMaxOpen", "Options.Defaults.Lease", "Options.Defaults: EntryOptions.TTL",
			},
		},
		"too much": {
			nil, distributed.Options{MaxValueBytes: 1 << 30, Budget: 2 * time.Hour, BreakerMinOpen: 2, BreakerMaxOpen: 1},
			[]string{"client", "Options.MaxValueBytes", "Options.Budget", "Options.BreakerMaxOpen"},
		},
		"defaults": {
			nil, distributed.Options{Defaults: cache.EntryOptions{Size: -1}},
			[]string{"client", "Options.Defaults: EntryOptions.Size"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if closer, ok := tc.client.(*redis.ClusterClient); ok && closer != nil {
				defer closer.Close()
			}
			c, err := distributed.New(tc.client, &tc.opts)
			if c != nil {
				t.Error("got a cache beside the error")
			}
			wantErr(t, err, cache.ErrInvalidConfig)
			joined, ok := err.(interface{ Unwrap() []error })
			if !ok {
				t.Fatalf("got %T, want joined errors", err)
			}
			var got []string
			for _, err := range joined.Unwrap() {
				var bad *cache.OptionError
				if !errors.As(err, &bad) {
					t.Fatalf("got %T, want *cache.OptionError", err)
				}
				got = append(got, bad.Option)
			}
			if strings.Join(got, ", ") != strings.Join(tc.want, ", ") {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

func TestNewRefusesAClosedClient(t *testing.T) {
	client := redis.NewClient(&redis.Options{})
	must(t, client.Close())
	_, err := distributed.New(client, nil)
	wantErr(t, err, cache.ErrInvalidConfig)
}

func TestNewDoesNotDial(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var dials atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			dials.Add(1)
			_ = conn.Close()
		}
	}()
	client := redis.NewClient(&redis.Options{Addr: listener.Addr().String(), MaxRetries: -1})
	c, err := distributed.New(client, nil)
	must(t, err)
	must(t, c.Close(t.Context()))
	must(t, client.Close())
	must(t, listener.Close())
	<-done
	if got := dials.Load(); got != 0 {
		t.Errorf("New connected %d times", got)
	}
}
