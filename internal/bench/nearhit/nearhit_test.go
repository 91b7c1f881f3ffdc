package nearhit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/distributed/near"
	"github.com/larder-go/larder/internal/bench/redisserver"
	"github.com/larder-go/larder/memory"
)

const prefix = "bench:"

// product is what the larder caches hold; the clients hold its bytes, and leave
// decoding them to the caller.
type product struct {
	ID    int64
	Name  string
	Price int64
}

var tea = product{ID: 42, Name: strings.Repeat("tea ", 25), Price: 350}

func serve(b *testing.B) string {
	b.Helper()
	return start(b).Addr
}

func start(b *testing.B) *redisserver.Server {
	b.Helper()
	server, err := redisserver.Start(b.Context())
	if errors.Is(err, redisserver.ErrMissing) {
		b.Skip(err)
	}
	check(b, err)
	b.Cleanup(func() { _ = server.Close() })
	return server
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// openNear returns a near cache in contact, with a client of its own.
func openNear(b *testing.B, addr string, mode near.Mode) *near.Cache {
	b.Helper()
	return openNearOf(b, addr, near.Options{Mode: mode})
}

func openNearOf(b *testing.B, addr string, opts near.Options) *near.Cache {
	b.Helper()
	opts.Remote = distributed.Options{Prefix: prefix, Budget: 5 * time.Second, CloseClient: true}
	c, err := near.New(redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true}), &opts)
	check(b, err)
	b.Cleanup(func() { _ = c.Close(context.Background()) })
	for c.Contact().State != near.Connected {
		time.Sleep(time.Millisecond)
	}
	return c
}

// hit is a way to read one value that is held in the process.
type hit struct {
	name string
	get  func(ctx context.Context) error
}

func hits(b *testing.B, addr string) []hit {
	ctx := b.Context()
	local, err := memory.New(nil)
	check(b, err)
	b.Cleanup(func() { _ = local.Close(context.Background()) })
	all := []hit{typed(b, "memory", local)}
	for _, mode := range []near.Mode{near.Bounded, near.Validate} {
		all = append(all, typed(b, "near-"+mode.String(), openNear(b, addr, mode)))
	}

	rue, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}})
	check(b, err)
	b.Cleanup(rue.Close)
	check(b, rue.Do(ctx, rue.B().Set().Key("rueidis").Value(tea.Name).Build()).Error())
	all = append(all, hit{"rueidis-DoCache", func(ctx context.Context) error {
		_, err := rue.DoCache(ctx, rue.B().Get().Key("rueidis").Cache(), time.Hour).ToString()
		return err
	}})

	goredis := redis.NewClient(&redis.Options{Addr: addr, Protocol: 3, ClientSideCacheConfig: &redis.ClientSideCacheConfig{}})
	b.Cleanup(func() { _ = goredis.Close() })
	check(b, goredis.Set(ctx, "goredis", tea.Name, 0).Err())
	return append(all, hit{"go-redis-client-side", func(ctx context.Context) error { return goredis.Get(ctx, "goredis").Err() }})
}

// typed reads the product through a typed view of c, and makes sure that it is
// held there.
func typed(b *testing.B, name string, c cache.Cache) hit {
	view := cache.NewTyped[product](c, nil)
	ctx := b.Context()
	check(b, view.Set(ctx, "tea", tea, cache.EntryOptions{}))
	n, isNear := cache.As[cache.Near](c)
	for held := !isNear; !held; time.Sleep(time.Millisecond) {
		_, _, err := view.Get(ctx, "tea")
		check(b, err)
		_, held = n.GetNear(ctx, "tea")
	}
	return hit{name, func(ctx context.Context) error {
		_, ok, err := view.Get(ctx, "tea")
		if !ok {
			return errors.Join(err, errors.New("a miss"))
		}
		return err
	}}
}

// BenchmarkHit reads one key that is held: one goroutine, then all cores.
func BenchmarkHit(b *testing.B) {
	for _, h := range hits(b, serve(b)) {
		b.Run(h.name+"/alone", func(b *testing.B) {
			ctx := context.Background()
			check(b, h.get(ctx))
			b.ReportAllocs()
			for b.Loop() {
				if err := h.get(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(h.name+"/together", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				ctx := context.Background()
				for pb.Next() {
					if err := h.get(ctx); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkEviction asks another process to remove a key, and waits until it is
// not served here any more. The time includes the way of the request and that
// process's own round trip, so it is longer than the news were under way.
func BenchmarkEviction(b *testing.B) {
	addr := serve(b)
	c := openNear(b, addr, near.Bounded)
	view := cache.NewTyped[product](c, nil)
	ctx := b.Context()
	remove := remover(b, addr)
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		key := fmt.Sprint("k", i)
		check(b, view.Set(ctx, key, tea, cache.EntryOptions{}))
		for held := false; !held; _, held = c.GetNear(ctx, key) {
			_, _, err := view.Get(ctx, key)
			check(b, err)
		}
		time.Sleep(time.Millisecond) // what is under way of the Set has arrived
		_, _, err := view.Get(ctx, key)
		check(b, err)
		b.StartTimer()
		began := time.Now()
		remove(key)
		for held := true; held; _, held = c.GetNear(ctx, key) {
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
}

const childAddr = "LARDER_NEARHIT_CHILD"

// TestMain is the other process, if it is told so.
func TestMain(m *testing.M) {
	addr := os.Getenv(childAddr)
	if addr == "" {
		os.Exit(m.Run())
	}
	c, err := distributed.New(redis.NewClient(&redis.Options{Addr: addr}), &distributed.Options{Prefix: prefix, Budget: 5 * time.Second})
	for lines := bufio.NewScanner(os.Stdin); err == nil && lines.Scan(); {
		err = c.Remove(context.Background(), lines.Text())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// remover returns what has another process remove a key. It does not wait for it.
func remover(b *testing.B, addr string) func(key string) {
	b.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childAddr+"="+addr)
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	check(b, err)
	check(b, child.Start())
	b.Cleanup(func() {
		_ = in.Close()
		_ = child.Wait()
	})
	return func(key string) {
		if _, err := fmt.Fprintln(in, key); err != nil {
			b.Fatal(err)
		}
	}
}
