package transport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// open returns a transport over client that is closed when the test ends.
func open(tb testing.TB, client redis.UniversalClient, opts Options) *Transport {
	tb.Helper()
	tr, err := New(client, opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := tr.Close(context.Background()); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	return tr
}

// patient is for tests on real servers that are not about time.
var patient = Options{Budget: 10 * time.Second}

func set(tr *Transport, key, value string) error {
	ctx := context.Background()
	return tr.Do(ctx, key, redis.NewStatusCmd(ctx, "set", key, value), Write)
}

func TestSharedGetsBringEachItsOwn(t *testing.T) {
	checkSharing(t, redistest.Server(t).Client())
}

// checkSharing runs many gets of known values at once, with and without a
// context that may end, among writes of other keys.
func checkSharing(t *testing.T, client redis.UniversalClient) {
	const goroutines, keys = 64, 1000
	gets := 100_000
	if testing.Short() {
		gets = 10_000
	}
	tr := open(t, client, patient)
	names, cmds := make([]string, keys), make([]redis.Cmder, keys)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for i := range keys {
		names[i] = "k" + strconv.Itoa(i)
		cmds[i] = redis.NewStatusCmd(ctx, "set", names[i], fmt.Sprintf("%*d", 1+i, i))
	}
	for i, err := range tr.DoMany(ctx, names, cmds, Write) {
		if err != nil {
			t.Fatalf("set %d: %v", i, err)
		}
	}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			ctx := ctx
			if g%2 == 0 {
				ctx = context.Background()
			}
			random := rand.New(rand.NewPCG(uint64(g), 2))
			for i := range gets / goroutines {
				k := random.IntN(keys + keys/10) // some do not exist
				v, err := tr.Get(ctx, "k"+strconv.Itoa(k))
				switch {
				case k >= keys && !errors.Is(err, redis.Nil):
					t.Errorf("got %v for a missing key, want redis.Nil", err)
					return
				case k < keys && (err != nil || string(v) != fmt.Sprintf("%*d", 1+k, k)):
					t.Errorf("got %.20q, %v for key %d", v, err, k)
					return
				}
				if i%50 == 0 {
					if err := set(tr, fmt.Sprint("other", g), "x"); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

// Whether a get shares its round trip must not change what it says.
func TestKeyOfAnotherTypeIsToldApartFromAMissingOne(t *testing.T) {
	client := redistest.Server(t).Client()
	ctx := context.Background()
	if err := errors.Join(client.LPush(ctx, "list", "x").Err(), client.Set(ctx, "k", "v", 0).Err()); err != nil {
		t.Fatal(err)
	}
	tr := open(t, client, patient)
	for _, share := range []int{50, 2} { // one in so many gets finds nothing
		var wg sync.WaitGroup
		for g := range 64 {
			wg.Go(func() {
				for i := range 200 {
					switch (g + i) % share {
					case 0:
						if _, err := tr.Get(ctx, "list"); !redis.HasErrorPrefix(err, "WRONGTYPE") {
							t.Errorf("got %v, want WRONGTYPE", err)
							return
						}
						if _, err := tr.Get(ctx, "missing"); !errors.Is(err, redis.Nil) {
							t.Errorf("got %v, want redis.Nil", err)
							return
						}
					default:
						if v, err := tr.Get(ctx, "k"); err != nil || string(v) != "v" {
							t.Errorf("got %q, %v", v, err)
							return
						}
					}
				}
			})
		}
		wg.Wait()
	}
}

// Each goroutine owns a key, and reads its last write however calls are shared.
func TestGetSeesEveryWriteThatReturned(t *testing.T) {
	tr := open(t, redistest.Server(t).Client(), patient)
	rounds := 500
	if testing.Short() {
		rounds = 50
	}
	var wg sync.WaitGroup
	for g := range 32 {
		wg.Go(func() {
			ctx, key := context.Background(), fmt.Sprint("own", g)
			for i := range rounds {
				want := strconv.Itoa(i)
				if err := set(tr, key, want); err != nil {
					t.Error(err)
					return
				}
				// Another goroutine reads: only returning orders the two.
				got := make(chan string)
				go func() {
					v, err := tr.Get(ctx, key)
					if err != nil {
						t.Error(err)
					}
					got <- string(v)
				}()
				if v := <-got; v != want {
					t.Errorf("got %q, want %q", v, want)
					return
				}
			}
		})
	}
	wg.Wait()
}

// A herd on one key must not cost the server a command per caller, and each
// caller's slice must be its own.
func TestGetsOfOneKeyShareOneCommand(t *testing.T) {
	server := redistest.Server(t)
	client := server.Client()
	tr := open(t, client, patient)
	if err := set(tr, "hot", "value"); err != nil {
		t.Fatal(err)
	}
	if err := client.LPush(t.Context(), "list", "x").Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	const callers = 2000
	var wg sync.WaitGroup
	release := make(chan struct{})
	for range callers {
		wg.Go(func() {
			<-release
			value, err := tr.Get(context.Background(), "hot")
			if string(value) != "value" || err != nil {
				t.Errorf("got %q, %v", value, err)
			}
			clear(value) // nobody else may see this
			if _, err := tr.Get(context.Background(), "absent"); !errors.Is(err, redis.Nil) {
				t.Errorf("absent: got %v, want redis.Nil", err)
			}
			var reply redis.Error
			if _, err := tr.Get(context.Background(), "list"); !errors.As(err, &reply) || errors.Is(err, redis.Nil) {
				t.Errorf("list: got %v, want the server's error", err)
			}
		})
	}
	close(release)
	wg.Wait()
	stats, err := client.Info(t.Context(), "stats").Result()
	if err != nil {
		t.Fatal(err)
	}
	var hits, misses int
	for line := range strings.Lines(stats) {
		_, _ = fmt.Sscanf(line, "keyspace_hits:%d", &hits)
		_, _ = fmt.Sscanf(line, "keyspace_misses:%d", &misses)
	}
	if n := hits + misses; n > 3*callers/4 {
		t.Errorf("%d calls cost the server %d look-ups", 3*callers, n)
	}
}
