package writebehind

import (
	"errors"
	"fmt"
	"testing"

	"github.com/larder-go/larder/internal/bench/redisserver"
	"github.com/redis/go-redis/v9"
)

// start runs a server and opens the peers on it.
func start(tb testing.TB) (addr string, peers []Peer) {
	tb.Helper()
	server, err := redisserver.Start(tb.Context())
	if errors.Is(err, redisserver.ErrMissing) {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = server.Close() })
	if peers, err = Open(server.Addr); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		for _, p := range peers {
			if err := p.Close(); err != nil {
				tb.Errorf("%s: Close: got %v, want no error", p.Name, err)
			}
		}
	})
	return server.Addr, peers
}

func TestRunMeasuresEveryPeer(t *testing.T) {
	addr, peers := start(t)
	rates, err := Run(t.Context(), addr, peers, Load{Goroutines: 4, Size: 10, Writes: 50, Rounds: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{Set, Larder, Asynq} {
		if rates[name] <= 0 {
			t.Errorf("%s: got a rate of %v, want a positive one", name, rates[name])
		}
	}
}

// BenchmarkEnqueue tells how many writes a second larder accepts, and how many
// times what the others do that is. An iteration is a whole run: use -benchtime 1x.
// With -short it is a small one, to see that it works.
func BenchmarkEnqueue(b *testing.B) {
	for _, sync := range []string{"", "everysec", "always"} {
		addr, peers := start(b)
		name := "nofile"
		if sync != "" {
			name = "appendfsync-" + sync
			client := redis.NewClient(&redis.Options{Addr: addr})
			for _, setting := range [][2]string{{"appendfsync", sync}, {"appendonly", "yes"}} {
				if err := client.ConfigSet(b.Context(), setting[0], setting[1]).Err(); err != nil {
					b.Fatal(err)
				}
			}
			_ = client.Close()
		}
		for _, goroutines := range []int{1, 16, 64, 256} {
			b.Run(fmt.Sprintf("%s/%dgoroutines", name, goroutines), func(b *testing.B) {
				l := Load{Goroutines: goroutines, Size: 256, Writes: 500 * min(goroutines, 40), Rounds: 3}
				if testing.Short() {
					l.Writes, l.Rounds = 10*goroutines, 1
				}
				for b.Loop() {
					rates, err := Run(b.Context(), addr, peers, l)
					if err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(rates[Larder], "writes/s")
					b.ReportMetric(rates[Larder]/rates[Set], "of-set")
					b.ReportMetric(rates[Larder]/rates[Asynq], "of-asynq")
				}
			})
		}
	}
}
