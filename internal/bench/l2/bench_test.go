package l2

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/larder-go/larder/internal/bench/redisserver"
)

// benchKeys is less than KeyCount, so that one iteration of every benchmark
// takes a moment only.
const benchKeys = 500

// BenchmarkRedis needs a redis-server on PATH. It tells throughput only; the
// command larderbench tells latencies, too.
func BenchmarkRedis(b *testing.B) {
	server, err := redisserver.Start(b.Context())
	if errors.Is(err, redisserver.ErrMissing) {
		b.Skip(err)
	}
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	clients, err := Open(server.Addr)
	if err != nil {
		b.Fatal(err)
	}
	defer CloseAll(clients)
	for _, size := range []int{100, 1024} {
		for i, c := range clients {
			keys := Keys(i, size, benchKeys)
			if err := c.Fill(b.Context(), keys, size); err != nil {
				b.Fatal(err)
			}
			for _, op := range []Op{Get, Set} {
				for _, goroutines := range []int{1, 8, 64, 256} {
					l := Load{Op: op, Size: size, Goroutines: goroutines}
					b.Run(fmt.Sprintf("%s/%dB/%dgoroutines/%s", op, size, goroutines, c.Name),
						func(b *testing.B) { parallel(b, c, keys, l) })
				}
			}
		}
	}
}

// parallel shares b.N calls between l.Goroutines.
func parallel(b *testing.B, c *Client, keys []string, l Load) {
	b.ReportAllocs()
	value := Payload(l.Size)
	var all sync.WaitGroup
	b.ResetTimer()
	for g := range l.Goroutines {
		n := b.N / l.Goroutines
		if g < b.N%l.Goroutines {
			n++
		}
		all.Go(func() {
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			for i := range n {
				key := keys[(g*31+i)%len(keys)]
				if l.Op == Set {
					if err := c.Set(ctx, key, value); err != nil {
						b.Error(err)
						return
					}
				} else if got, found, err := c.Get(ctx, key); err != nil || !found || len(got) != l.Size {
					b.Errorf("got %d bytes, %v and %v, want a hit", len(got), found, err)
					return
				}
			}
		})
	}
	all.Wait()
}
