package transport

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// While many calls are under way, a few wait until those land, and more do not.
// None waits long.
func TestFewCallsWaitForManyToLand(t *testing.T) {
	const many = 9
	for _, test := range []struct {
		name  string
		few   int
		lands time.Duration // of the many
		want  time.Duration // until the few are answered, at once but for the wait
	}{
		{"few are held", 2, 500 * time.Microsecond, 400 * time.Microsecond},
		{"enough go", many / holdShare, 500 * time.Microsecond, 0},
		{"not for long", 2, 50 * time.Millisecond, slow},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{answer: func(args []string) string {
					if args[1] == "slow" {
						time.Sleep(test.lands)
					}
					return echo(args)
				}}
				tr := over(t, s, Options{})
				tr.routes.(*oneNode).only.line = nil // or the few would go directly
				var wg sync.WaitGroup
				defer wg.Wait()
				ctx := context.Background()
				wg.Go(func() {
					keys := []string{"slow"}
					for i := range many - 1 {
						keys = append(keys, strconv.Itoa(i))
					}
					_, errs := tr.GetAll(ctx, keys)
					for _, err := range errs {
						if err != nil {
							t.Error(err)
						}
					}
				})
				time.Sleep(100 * time.Microsecond)
				n := tr.routes.(*oneNode).only
				n.mu.Lock() // so that all of the few are there when a lane looks
				start := time.Now()
				for range test.few {
					c := tr.calls.Get().(*call)
					c.get, c.key, c.start = true, "k", start
					n.queue = append(n.queue, c)
					wg.Go(func() {
						if through, err := await(ctx, c, Read); !through {
							t.Error(err)
						}
						if d := time.Since(start); d != test.want {
							t.Errorf("answered after %v, want %v", d, test.want)
						}
					})
				}
				n.wakeLocked()
			})
		})
	}
}
