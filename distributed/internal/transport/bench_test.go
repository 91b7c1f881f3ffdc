package transport

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder/internal/redistest"
	"github.com/redis/go-redis/v9"
)

const benchKeys = 10_000

// BenchmarkGet compares Get with plain go-redis, by the number of goroutines.
// Run both in one go: the figures depend on what else the machine does.
func BenchmarkGet(b *testing.B) {
	client := filled(b)
	tr, err := New(client, Options{Budget: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = tr.Close(context.Background()) })
	get := map[string]func(string) error{
		"goredis": func(key string) error { return client.Get(context.Background(), key).Err() },
		"larder": func(key string) error {
			_, err := tr.Get(context.Background(), key)
			return err
		},
	}
	for _, goroutines := range []int{1, 8, 64, 256} {
		for _, name := range []string{"goredis", "larder"} {
			b.Run(fmt.Sprintf("%s/%d", name, goroutines), func(b *testing.B) { inParallel(b, goroutines, get[name]) })
		}
	}
}

// BenchmarkGetCancellable is BenchmarkGet for callers that may leave.
func BenchmarkGetCancellable(b *testing.B) {
	client := filled(b)
	tr, err := New(client, Options{Budget: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = tr.Close(context.Background()) })
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, goroutines := range []int{1, 8, 64} {
		b.Run(fmt.Sprint("goredis/", goroutines), func(b *testing.B) {
			inParallel(b, goroutines, func(key string) error { return client.Get(ctx, key).Err() })
		})
		b.Run(fmt.Sprint("larder/", goroutines), func(b *testing.B) {
			inParallel(b, goroutines, func(key string) error {
				_, err := tr.Get(ctx, key)
				return err
			})
		})
	}
}

// BenchmarkSet compares a SET through Do with plain go-redis.
func BenchmarkSet(b *testing.B) {
	client := filled(b)
	tr, err := New(client, Options{Budget: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = tr.Close(context.Background()) })
	ctx, value := context.Background(), strings.Repeat("v", 100)
	set := map[string]func(string) error{
		"goredis": func(key string) error { return client.Set(ctx, key, value, time.Minute).Err() },
		"larder": func(key string) error {
			return tr.Do(ctx, key, redis.NewStatusCmd(ctx, "set", key, value, "ex", 60), Write)
		},
	}
	for _, goroutines := range []int{1, 8, 64, 256} {
		for _, name := range []string{"goredis", "larder"} {
			b.Run(fmt.Sprintf("%s/%d", name, goroutines), func(b *testing.B) { inParallel(b, goroutines, set[name]) })
		}
	}
}

// BenchmarkGetFar is Get with 2.4 ms of round trip, as to another data centre.
func BenchmarkGetFar(b *testing.B) {
	o := *filled(b).Options()
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return newFarConn(conn, 1200*time.Microsecond), nil
	}
	o.PoolSize = 256
	client := redis.NewClient(&o)
	b.Cleanup(func() { _ = client.Close() })
	tr, err := New(client, Options{Budget: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = tr.Close(context.Background()) })
	for _, goroutines := range []int{1, 64, 256} {
		b.Run(fmt.Sprint("goredis/", goroutines), func(b *testing.B) {
			inParallel(b, goroutines, func(key string) error { return client.Get(context.Background(), key).Err() })
		})
		b.Run(fmt.Sprint("larder/", goroutines), func(b *testing.B) {
			inParallel(b, goroutines, func(key string) error {
				_, err := tr.Get(context.Background(), key)
				return err
			})
		})
	}
}

// farConn delivers what is written, and what is read, after a delay.
type farConn struct {
	net.Conn // the near end of a pipe
	far      net.Conn
}

func newFarConn(server net.Conn, delay time.Duration) *farConn {
	near, far := net.Pipe()
	go deliver(server, far, delay)
	go deliver(far, server, delay)
	return &farConn{near, server}
}

func (c *farConn) Close() error {
	_ = c.far.Close()
	return c.Conn.Close()
}

// deliver copies src to dst, each piece after the delay, and closes both in the end.
func deliver(dst, src net.Conn, delay time.Duration) {
	type piece struct {
		due   time.Time
		bytes []byte
	}
	pieces := make(chan piece, 1024)
	go func() {
		for p := range pieces {
			time.Sleep(time.Until(p.due))
			_, _ = dst.Write(p.bytes)
		}
		_ = dst.Close()
	}()
	defer close(pieces)
	for {
		buf := make([]byte, 32<<10)
		n, err := src.Read(buf)
		if err != nil {
			_ = src.Close()
			return
		}
		pieces <- piece{time.Now().Add(delay), buf[:n]}
	}
}

// filled returns a client of a server with benchKeys values of 100 bytes.
func filled(b *testing.B) *redis.Client {
	client := redistest.Server(b).Client()
	pipe := client.Pipeline()
	for i := range benchKeys {
		pipe.Set(context.Background(), benchKey(i), strings.Repeat("v", 100), 0)
	}
	if _, err := pipe.Exec(context.Background()); err != nil {
		b.Fatal(err)
	}
	return client
}

func benchKey(i int) string { return fmt.Sprintf("bench:%06d", i) }

// inParallel shares b.N calls between goroutines, and reports their rate and
// median duration.
func inParallel(b *testing.B, goroutines int, call func(key string) error) {
	keys := make([]string, benchKeys)
	for i := range keys {
		keys[i] = benchKey(i)
	}
	durations := make([]time.Duration, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(g), 1))
			for i := g; i < b.N; i += goroutines {
				start := time.Now()
				if err := call(keys[random.IntN(benchKeys)]); err != nil {
					b.Error(err)
					return
				}
				durations[i] = time.Since(start)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	slices.Sort(durations)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
	b.ReportMetric(float64(durations[b.N/2].Nanoseconds())/1000, "p50-us")
	b.ReportMetric(float64(durations[b.N*99/100].Nanoseconds())/1000, "p99-us")
}
