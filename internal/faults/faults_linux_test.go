package faults_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/larder-go/larder/distributed/near"
)

// recoveryLimit is how soon after a fault's end everything must work as before.
const recoveryLimit = 2 * time.Second

// fault is something that goes wrong for a while, in a short run in some modes only.
type fault struct {
	name       string
	lasts      time.Duration
	short      []near.Mode
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

// faults returns all of them.
func faults() []fault {
	proxied := func(name string, lasts time.Duration, short []near.Mode, n int, toxics ...string) fault {
		begin, end := disturbed(n, toxics...)
		return fault{name, lasts, short, begin, end}
	}
	in := func(m ...near.Mode) []near.Mode { return m }
	nothing := func(*run) {}
	stopped := long
	if !isShort() {
		stopped = 6 * time.Second // whatever backs off has backed off as far as it does
	}
	return []fault{
		{"none", brief, nil, nothing, nothing},
		proxied("black hole, one process", long, in(near.Bounded, near.Ack), 1, lostReplies, lostCalls),
		proxied("replies lost, two processes", long, in(near.Validate, near.Ack), 2, lostReplies),
		proxied("latency", brief, in(near.Validate), processes, latency),
		proxied("reset", brief, in(near.Bounded), processes, reset),
		proxied("cut mid-reply", brief, in(near.Validate, near.Ack), processes, cutReply),
		{"Redis restarted", brief, in(near.Bounded, near.Ack),
			func(r *run) { r.redis.Kill() }, func(r *run) { r.redis.Restart() }},
		{"Redis stopped", stopped, in(near.Bounded, near.Validate),
			func(r *run) { r.redis.Stop() }, func(r *run) { r.redis.Cont() }},
		{"process stopped", long, in(near.Bounded, near.Ack),
			func(r *run) { r.signal(0, syscall.SIGSTOP) }, func(r *run) { r.signal(0, syscall.SIGCONT) }},
	}
}

// asked is LARDER_FAULTS: empty for a short run, "full", or a duration.
func asked() string { return os.Getenv("LARDER_FAULTS") }

func isShort() bool { return asked() == "" }

// faultsIn returns what happens in a mode in this run.
func faultsIn(mode near.Mode) []fault {
	return slices.DeleteFunc(faults(), func(f fault) bool { return isShort() && !slices.Contains(f.short, mode) })
}

// over returns what tells whether a run is over that began now: after each fault
// once, or when LARDER_FAULTS is.
func over(t *testing.T) func() bool {
	t.Helper()
	if isShort() || asked() == "full" {
		return func() bool { return true }
	}
	d, err := time.ParseDuration(asked())
	if err != nil {
		t.Fatalf("LARDER_FAULTS: got %q, want full or a duration", asked())
	}
	end := time.Now().Add(d)
	return func() bool { return time.Now().After(end) }
}

// skipIfShort skips a test that takes seconds however fast the machine is.
func skipIfShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes a dozen seconds, mostly of waiting")
	}
}

func TestStalenessUnderFaults(t *testing.T) {
	skipIfShort(t)
	for _, mode := range modes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel() // most of the time is waiting
			all := faultsIn(mode)
			r := start(t, mode.String())
			r.recovered()
			recoveries := r.suffer(all, over(t))
			r.stop()
			t.Log(r.table(all, recoveries))
			for i, f := range all {
				r.check(f.name, &r.board.tallies[i], recoveries[i], mode)
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

// suffer lets faults happen, one after the other, until over says so, and returns
// the longest recovery from each.
func (r *run) suffer(all []fault, over func() bool) (recoveries []recovery) {
	r.t.Helper()
	recoveries = make([]recovery, len(all))
	for {
		for i, f := range all {
			recoveries[i].raise(r.happen(i, f))
		}
		if over() {
			return recoveries
		}
	}
}

// happen lets a fault happen, and returns the recovery from it. It is over when
// there is enough to judge by.
func (r *run) happen(i int, f fault) recovery {
	r.t.Helper()
	c := &r.board.tallies[i]
	r.board.phase.Store(int64(i))
	f.begin(r)
	time.Sleep(f.lasts)
	f.end(r)
	worst := r.recovered()
	time.Sleep(100 * time.Millisecond)
	until(r.t, "enough reads and writes", func() bool { return c.reads() >= 100 && c.writes.Load() > 0 })
	return worst
}

// check holds a tally to the promises.
func (r *run) check(name string, c *tally, rec recovery, mode near.Mode) {
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
	if rec.took > slowest {
		r.t.Errorf("%s: recovery took %v, want %v at most", name, rec.took, slowest)
	}
}

// table renders what was counted.
func (r *run) table(all []fault, recoveries []recovery) string {
	var text strings.Builder
	fmt.Fprintf(&text, "staleness of reads\n%-28s%9s", "", "none")
	for _, b := range bounds[1:] {
		fmt.Fprintf(&text, "%9s", "<="+b.String())
	}
	fmt.Fprintf(&text, "%9s%12s%9s%9s%9s%9s%12s%12s%12s%12s\n", "more", "worst", "ended", "writes", "unsure", "retried", "overrun", "recovery", "in all", "held up")
	for i, f := range all {
		c := &r.board.tallies[i]
		fmt.Fprintf(&text, "%-28s", f.name)
		for j := range c.staleness {
			fmt.Fprintf(&text, "%9d", c.staleness[j].Load())
		}
		ms := func(n int64) time.Duration { return time.Duration(n).Round(100 * time.Microsecond) }
		fmt.Fprintf(&text, "%12v%9d%9d%9d%9d%12v%12v%12v%12v\n", ms(c.worst.Load()), c.ended.Load(), c.writes.Load(), c.unsure.Load(),
			c.retried.Load(), ms(c.overrun.Load()), ms(int64(recoveries[i].took)), ms(int64(recoveries[i].inAll)), ms(int64(recoveries[i].held)))
	}
	return text.String()
}

// A near cache that hears of changes through pub/sub, and does not notice when it
// misses some, must fail the same test.
func TestNaiveNearCacheIsCaught(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	r := start(t, "naive")
	r.recovered()
	for i, f := range faults() {
		r.happen(i, f)
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
