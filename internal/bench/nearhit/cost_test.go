package nearhit

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/distributed/near"
)

// usage is what a server has done since it was started.
type usage struct {
	commands, heartbeats, out, in int64
	cpu                           time.Duration
}

// usageOf asks the server. It is itself one command, of a few kilobytes.
func usageOf(b *testing.B, client *redis.Client) usage {
	b.Helper()
	text, err := client.Info(b.Context(), "all").Result()
	check(b, err)
	fields := make(map[string]string)
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		fields[name] = value
	}
	number := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		check(b, err)
		return n
	}
	seconds := func(name string) time.Duration {
		s, err := strconv.ParseFloat(fields[name], 64)
		check(b, err)
		return time.Duration(s * float64(time.Second))
	}
	u := usage{
		commands: number(fields["total_commands_processed"]),
		out:      number(fields["total_net_output_bytes"]), in: number(fields["total_net_input_bytes"]),
		cpu: seconds("used_cpu_user") + seconds("used_cpu_sys"),
	}
	if hello, _, ok := strings.Cut(strings.TrimPrefix(fields["cmdstat_hello"], "calls="), ","); ok {
		u.heartbeats = number(hello)
	}
	return u
}

// listeners are near caches with nothing but contact, each as one process has it.
func listeners(b *testing.B, addr string, n int) (all []*near.Cache) {
	for range n {
		all = append(all, openNear(b, addr, near.Bounded))
	}
	return all
}

// BenchmarkNews tells what it costs the server that near caches listen: for each
// change by somebody else, one at a time, the command that makes it included, and
// for each second without any. With no listeners it is what the rest costs.
func BenchmarkNews(b *testing.B) {
	for _, n := range []int{0, 1, 4, 16} {
		b.Run(fmt.Sprintf("changes/listeners=%d", n), func(b *testing.B) {
			client, all := listened(b, n)
			ctx := b.Context()
			before, changes := usageOf(b, client), 0
			for b.Loop() {
				check(b, client.Set(ctx, prefix+"k", "v", 0).Err())
				check(b, client.Del(ctx, prefix+"k").Err())
				changes += 2
			}
			after := usageOf(b, client)
			report(b, before, after, usageOf(b, client), float64(changes), "change")
			for _, c := range all {
				for c.NearStats().Changes < uint64(changes) {
					time.Sleep(time.Millisecond)
				}
			}
		})
		b.Run(fmt.Sprintf("idle/listeners=%d", n), func(b *testing.B) {
			client, _ := listened(b, n)
			before, began := usageOf(b, client), time.Now()
			for b.Loop() {
				time.Sleep(time.Second)
			}
			took, after := time.Since(began), usageOf(b, client)
			report(b, before, after, usageOf(b, client), took.Seconds(), "s")
		})
	}
}

// listened returns a client of a server of its own, and what listens there.
func listened(b *testing.B, n int) (*redis.Client, []*near.Cache) {
	addr := serve(b)
	client := redis.NewClient(&redis.Options{Addr: addr})
	b.Cleanup(func() { _ = client.Close() })
	return client, listeners(b, addr, n)
}

// report reports what the server did between, for each of so many units, without
// the questions.
func report(b *testing.B, before, after, again usage, units float64, unit string) {
	share := func(name string, of func(usage) int64) {
		b.ReportMetric(float64(of(after)-of(before)-(of(again)-of(after)))/units, name+"/"+unit)
	}
	b.ReportMetric(0, "ns/op")
	share("commands", func(u usage) int64 { return u.commands })
	share("heartbeats", func(u usage) int64 { return u.heartbeats })
	share("B-out", func(u usage) int64 { return u.out })
	share("B-in", func(u usage) int64 { return u.in })
	b.ReportMetric(float64((after.cpu-before.cpu).Nanoseconds())/1e3/units, "cpu-us/"+unit)
}
