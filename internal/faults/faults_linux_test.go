package faults_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/larder-go/larder/distributed/near"
)

// recoveryLimit is how soon after a fault's end everything must work as before.
const recoveryLimit = 2 * time.Second

// fault is something that goes wrong for a while.
type fault struct {
	name       string
	lasts      time.Duration
	begin, end func(r *run)
}

const (
	brief = 500 * time.Millisecond
	long  = bound + 400*time.Millisecond // so that nothing held may be served in the end
)

func disturbed(n int, toxics ...string) (begin, end func(r *run)) {
	return func(r *run) {
			for _, p := range r.proxies[:n] {
				for _, toxic := range toxics {
					p.disturb(toxic)
				}
			}
		}, func(r *run) {
			for _, p := range r.proxies[:n] {
				p.calm()
			}
		}
}

func faults() []fault {
	proxied := func(name string, lasts time.Duration, n int, toxics ...string) fault {
		begin, end := disturbed(n, toxics...)
		return fault{name, lasts, begin, end}
	}
	nothing := func(*run) {}
	stopped := long
	if text := os.Getenv("LARDER_FAULTS"); text != "" && text != "once" {
		stopped = 6 * time.Second // whatever backs off has backed off as far as it does
	}
	return []fault{
		{"none", brief, nothing, nothing},
		proxied("latency", brief, processes, latency),
		proxied("black hole, one process", long, 1, lostReplies, lostCalls),
		proxied("replies lost, two processes", long, 2, lostReplies),
		proxied("reset", brief, processes, reset),
		proxied("cut mid-reply", brief, processes, cutReply),
		{"Redis restarted", brief, func(r *run) { r.redis.Kill() }, func(r *run) { r.redis.Restart() }},
		{"Redis stopped", stopped, func(r *run) { r.redis.Stop() }, func(r *run) { r.redis.Cont() }},
		{"process stopped", long,
			func(r *run) { r.signal(0, syscall.SIGSTOP) }, func(r *run) { r.signal(0, syscall.SIGCONT) }},
	}
}

// demanded skips a test unless somebody has the time.
func demanded(t *testing.T) {
	t.Helper()
	if os.Getenv("LARDER_FAULTS") == "" {
		t.Skip("takes most of a minute on an idle machine: LARDER_FAULTS=once runs it")
	}
}

func (r *run) signal(i int, s os.Signal) {
	r.t.Helper()
	if err := r.workers[i].cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

// over returns what tells whether a run is over: after each fault once, or when
// LARDER_FAULTS, a duration, is.
func over(t *testing.T) func() bool {
	t.Helper()
	text := os.Getenv("LARDER_FAULTS")
	if text == "once" {
		return func() bool { return true }
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("LARDER_FAULTS: %v", err)
	}
	end := time.Now().Add(d)
	return func() bool { return time.Now().After(end) }
}

func TestStalenessUnderFaults(t *testing.T) {
	demanded(t)
	for _, mode := range modes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel() // most of the time is waiting
			r := start(t, mode.String())
			r.recovered()
			recoveries := r.suffer(over(t))
			r.stop()
			all := faults()
			t.Log(r.table(recoveries))
			for i := range all {
				r.check(all[i].name, &r.board.tallies[i], recoveries[i], mode)
			}
		})
	}
}

// limits are how stale reads may be, and how long a recovery may take. In mode Ack
// a removal may have to wait for a lease, which is a bound long.
func limits(mode near.Mode) (stale, recovery time.Duration) {
	switch mode {
	case near.Bounded:
		return bound, recoveryLimit
	case near.Ack:
		return 0, recoveryLimit + bound
	}
	return 0, recoveryLimit
}

// suffer lets the faults happen, one after the other, until over says so, and
// returns the longest recovery from each.
func (r *run) suffer(over func() bool) (recoveries []time.Duration) {
	r.t.Helper()
	all := faults()
	recoveries = make([]time.Duration, len(all))
	for {
		for i, f := range all {
			r.board.phase.Store(int64(i))
			f.begin(r)
			time.Sleep(f.lasts)
			f.end(r)
			recoveries[i] = max(recoveries[i], r.recovered())
			time.Sleep(100 * time.Millisecond)
		}
		if over() {
			return recoveries
		}
	}
}

// check holds a tally to the promises.
func (r *run) check(name string, c *tally, recovery time.Duration, mode near.Mode) {
	r.t.Helper()
	stalest, slowest := limits(mode)
	if worst := time.Duration(c.worst.Load()); worst > stalest {
		r.t.Errorf("%s: a read was stale by %v, want %v at most", name, worst, stalest)
	}
	if n := c.overruns.Load(); n > 0 {
		r.t.Errorf("%s: %d calls outlived their context by more than %v, the worst by %v", name, n, overrunAllowed, time.Duration(c.overrun.Load()))
	}
	if n := c.failed.Load(); n > 0 {
		r.t.Errorf("%s: %d reads failed although their context had not ended", name, n)
	}
	if recovery > slowest {
		r.t.Errorf("%s: recovery took %v, want %v at most", name, recovery, slowest)
	}
	if c.reads() < 100 || c.writes.Load() == 0 {
		r.t.Errorf("%s: got %d reads and %d writes, too few to tell anything", name, c.reads(), c.writes.Load())
	}
}

// table renders what was counted.
func (r *run) table(recoveries []time.Duration) string {
	var text strings.Builder
	fmt.Fprintf(&text, "staleness of reads\n%-28s%9s", "", "none")
	for _, b := range bounds[1:] {
		fmt.Fprintf(&text, "%9s", "<="+b.String())
	}
	fmt.Fprintf(&text, "%9s%12s%9s%9s%9s%9s%12s%12s\n", "more", "worst", "ended", "writes", "unsure", "retried", "overrun", "recovery")
	for i, f := range faults() {
		c := &r.board.tallies[i]
		fmt.Fprintf(&text, "%-28s", f.name)
		for j := range c.staleness {
			fmt.Fprintf(&text, "%9d", c.staleness[j].Load())
		}
		ms := func(n int64) time.Duration { return time.Duration(n).Round(100 * time.Microsecond) }
		fmt.Fprintf(&text, "%12v%9d%9d%9d%9d%12v%12v\n", ms(c.worst.Load()), c.ended.Load(), c.writes.Load(), c.unsure.Load(),
			c.retried.Load(), ms(c.overrun.Load()), ms(int64(recoveries[i])))
	}
	return text.String()
}

// A near cache that hears of changes through pub/sub, and does not notice when it
// misses some, must fail the same test.
func TestNaiveNearCacheIsCaught(t *testing.T) {
	demanded(t)
	r := start(t, "naive")
	r.recovered()
	for i, f := range faults() {
		r.board.phase.Store(int64(i))
		f.begin(r)
		time.Sleep(f.lasts)
		f.end(r)
		r.recovered()
		time.Sleep(bound)
		if worst := time.Duration(r.board.tallies[i].worst.Load()); worst > bound {
			t.Logf("caught by %q: a read was stale by %v, more than %v", f.name, worst, bound)
			r.stop()
			return
		}
	}
	r.stop()
	t.Error("it was not caught")
}
