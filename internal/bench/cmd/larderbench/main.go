// Larderbench measures larder beside its peers and writes the results as
// markdown. Without -l1, -l2, -faults and -ratios it does all four.
//
//	go run ./internal/bench/cmd/larderbench -quick
//	go run ./internal/bench/cmd/larderbench -out docs/benchmarks.md
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/larder-go/larder/internal/bench"
	"github.com/larder-go/larder/internal/bench/faults"
	"github.com/larder-go/larder/internal/bench/hitratio"
	"github.com/larder-go/larder/internal/bench/l1"
	"github.com/larder-go/larder/internal/bench/l2"
	"github.com/larder-go/larder/internal/bench/redisserver"
)

//go:embed head.md
var head string

const ratiosHead = `Percent of requests, filled on demand, mean of the rounds. otter has a synchronous
executor, theine and ristretto are waited for after each set. OPT knows the
future (Belady, with bypass). The recorded traces are those of the ARC and LIRS
papers and of Caffeine's and cache2k's benchmarks; zipf, scan mix, cycle and
shift are drawn by the program.

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// flags is what the command line says.
type flags struct {
	l1, l2, faults, ratios, quick bool
	traces, out, raw              string
}

func parse(args []string, stderr io.Writer) (flags, error) {
	var f flags
	set := flag.NewFlagSet("larderbench", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.BoolVar(&f.l1, "l1", false, "caches in memory")
	set.BoolVar(&f.l2, "l2", false, "clients and caches on Redis")
	set.BoolVar(&f.faults, "faults", false, "behaviour when things go wrong")
	set.BoolVar(&f.ratios, "ratios", false, "hit ratios")
	set.StringVar(&f.traces, "traces", "", "a `directory` with recorded traces for -ratios; empty: synthetic ones only")
	set.BoolVar(&f.quick, "quick", false, "one short round: to see that it works, not to measure")
	set.StringVar(&f.out, "out", "", "write the report to this `file` instead of showing it")
	set.StringVar(&f.raw, "raw", "", "write every measurement to this `file` in the Go benchmark format")
	err := set.Parse(args)
	if !f.l1 && !f.l2 && !f.faults && !f.ratios {
		f.l1, f.l2, f.faults, f.ratios = true, true, true, true
	}
	return f, err
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	f, err := parse(args, stderr)
	if err != nil {
		return err
	}
	raw := io.Discard
	if f.raw != "" {
		file, err := os.Create(f.raw)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		raw = file
	}
	r := &report{started: time.Now(), progress: stderr}
	if err := r.measure(ctx, f, raw); err != nil {
		return err
	}
	if f.out == "" {
		_, err := io.WriteString(stdout, r.String())
		return err
	}
	return os.WriteFile(f.out, []byte(head+r.String()), 0o644)
}

// report collects what was measured. What was not measured is empty.
type report struct {
	started   time.Time
	progress  io.Writer
	quick     bool
	redis     string // version
	skipped   string // why Redis took no part
	l1        []*l1.Result
	ratios    []hitratio.Row
	l2        []*l2.Result
	frozen    []faults.Frozen
	stampedes []faults.Stampede
}

// measure runs the parts that f names, those with many goroutines last.
func (r *report) measure(ctx context.Context, f flags, raw io.Writer) (err error) {
	r.quick = f.quick
	if f.l1 {
		r.say("caches in memory")
		if r.l1, err = l1.Run(settings(f.quick).l1, raw); err != nil {
			return err
		}
	}
	if f.ratios {
		r.say("hit ratios")
		if err = r.measureRatios(f); err != nil {
			return err
		}
	}
	if !f.l2 && !f.faults {
		return nil
	}
	server, err := redisserver.Start(ctx)
	switch {
	case errors.Is(err, redisserver.ErrMissing):
		r.skipped = "there is no redis-server on PATH"
		return r.measureFaults(ctx, f, nil)
	case err != nil:
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	if r.redis, err = server.Version(); err != nil {
		return err
	}
	if f.l2 {
		r.say("Redis")
		if r.l2, err = l2.Run(ctx, server.Addr, settings(f.quick).l2, raw); err != nil {
			return err
		}
	}
	return r.measureFaults(ctx, f, server)
}

// measureRatios plays traces, three times each.
func (r *report) measureRatios(f flags) error {
	traces, err := hitratio.Traces(f.traces)
	if err != nil {
		return err
	}
	times := 3
	if f.quick {
		times = 1
		for i := range traces {
			traces[i].Keys = traces[i].Keys[:min(len(traces[i].Keys), quickRequests)]
		}
	}
	r.ratios = hitratio.Measure(traces, hitratio.Contenders(), times)
	return nil
}

const quickRequests = 2000 // of a trace

func (r *report) measureFaults(ctx context.Context, f flags, server *redisserver.Server) (err error) {
	if !f.faults {
		return nil
	}
	s, addr := settings(f.quick), ""
	if server != nil {
		addr = server.Addr
		r.say("Redis frozen")
		if r.frozen, err = faults.Freeze(ctx, server, s.freezes, s.patience); err != nil {
			return err
		}
	}
	r.say("many callers of one cold key")
	r.stampedes, err = faults.Stampedes(ctx, addr, s.callers)
	return err
}

func (r *report) say(what string) { fmt.Fprintln(r.progress, "larderbench:", what) }

// setting is how much is measured.
type setting struct {
	l1       l1.Config
	l2       l2.Config
	freezes  int
	patience time.Duration
	callers  int
}

func settings(quick bool) setting {
	if quick {
		return setting{
			l1:      l1.Config{Keys: 10_000, Rounds: 1, Duration: 5 * time.Millisecond},
			l2:      l2.Config{Keys: 500, Rounds: 1, Duration: 30 * time.Millisecond},
			freezes: 1, patience: 500 * time.Millisecond, callers: 1000,
		}
	}
	return setting{
		l1:      l1.Config{Rounds: 5, Duration: 60 * time.Millisecond, Seed: 1},
		l2:      l2.Config{Rounds: 15, Duration: 300 * time.Millisecond, Seed: 1},
		freezes: 5, patience: 15 * time.Second, callers: 10_000,
	}
}

// String renders the report in markdown.
func (r *report) String() string {
	var b strings.Builder
	r.writeFacts(&b)
	if r.skipped != "" {
		fmt.Fprintf(&b, "Redis took no part: %s.\n\n", r.skipped)
	}
	if checks := targets(r); len(checks) > 0 {
		b.WriteString("## Targets\n\n" + checkTable(checks).String() + "\n")
	}
	if len(r.l1) > 0 {
		b.WriteString("## Caches in memory\n\n" + l1.Report(r.l1))
	}
	if len(r.ratios) > 0 {
		b.WriteString("## Hit ratios\n\n" + ratiosHead)
		_ = hitratio.Write(&b, r.ratios, hitratio.Contenders()) // a Builder takes it all
		b.WriteString("\n")
	}
	if len(r.l2) > 0 {
		b.WriteString("## Redis\n\n" + l2.Report(r.l2))
	}
	if len(r.stampedes) > 0 {
		b.WriteString("## When things go wrong\n\n")
		if len(r.frozen) > 0 {
			b.WriteString(faults.ReportFrozen(r.frozen))
		}
		b.WriteString(faults.ReportStampedes(r.stampedes))
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func (r *report) writeFacts(b *strings.Builder) {
	f := bench.Collect(r.redis, peers()...)
	fmt.Fprintf(b, "## Machine and method\n\n")
	t := &bench.Table{Header: []string{"what", "which"}}
	t.Add("processor", f.CPU)
	t.Add("cores", fmt.Sprint(f.Cores))
	t.Add("system", f.OS)
	t.Add("Go", f.Go)
	if r.redis != "" {
		t.Add("Redis", r.redis+", no persistence, on the loopback")
	}
	for _, m := range f.Modules {
		t.Add(m.Path, m.Version)
	}
	s := settings(r.quick)
	t.Add("rounds in memory", fmt.Sprintf("%d of %v for each number", s.l1.Rounds, s.l1.Duration))
	t.Add("rounds on Redis", fmt.Sprintf("%d of %v for each number", s.l2.Rounds, s.l2.Duration))
	t.Add("keys", fmt.Sprintf("%s in memory, %s on Redis", bench.Count(l1.KeyCount), bench.Count(l2.KeyCount)))
	if r.quick {
		t.Add("quick", "one short round, fewer keys: not a measurement")
	}
	b.WriteString(t.String() + "\n")
}

// peers are the modules whose versions the report shows.
func peers() []string {
	return []string{
		"github.com/maypok86/otter/v2", "github.com/Yiling-J/theine-go", "github.com/dgraph-io/ristretto/v2",
		"github.com/viccon/sturdyc", "github.com/jellydator/ttlcache/v3", "github.com/hashicorp/golang-lru/v2",
		"github.com/redis/go-redis/v9", "github.com/redis/rueidis", "github.com/go-redis/cache/v9",
	}
}
