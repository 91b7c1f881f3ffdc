package cachetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/larder-go/larder/cache"
)

// testCase checks one rule of the contract.
type testCase struct {
	name string
	rule string // the contract's words, printed when the case fails
	// needs says what the cache must be able to do; nil: nothing special.
	needs []need
	// exact cases need virtual time: they check milliseconds or wait for years.
	exact bool
	// applies returns why the case does not apply, or nothing; nil: it does.
	applies func(*Config) string
	run     func(e *env)
}

// need is a capability that a case needs.
type need struct {
	name string
	has  func(cache.Cache) bool
}

func capability[T any](name string) need {
	return need{name, func(c cache.Cache) bool { _, ok := cache.As[T](c); return ok }}
}

// The capabilities, as cases name them.
var (
	backend     = capability[cache.Backend]("Backend")
	batcher     = capability[cache.Batcher]("Batcher")
	counter     = capability[cache.Counter]("Counter")
	objects     = capability[cache.Objects]("Objects")
	leaser      = capability[cache.Leaser]("Leaser")
	appender    = capability[cache.Appender]("Appender")
	clearer     = capability[cache.Clearer]("Clearer")
	coordinated = capability[cache.Coordinated]("Coordinated")
	reporter    = capability[cache.StatsReporter]("StatsReporter")
	versioner   = capability[cache.Versioner]("Versioner")
	locker      = capability[cache.Locker]("Locker")
	marker      = capability[cache.WriteMarker]("WriteMarker")
	ordered     = capability[cache.Ordered]("Ordered")

	objectVersioner = capability[cache.ObjectVersioner]("ObjectVersioner")
	objectLocker    = capability[cache.ObjectLocker]("ObjectLocker")
	regions         = capability[cache.Regions]("Regions")
)

// cases returns the whole suite, in the order in which it reads best.
func cases() []testCase {
	return slices.Concat(
		basicCases(), valueCases(), keyCases(), contextCases(), optionCases(),
		expiryCases(), slidingCases(), batchCases(), counterCases(), objectCases(),
		leaseCases(), leaseVoidCases(), appenderCases(), clearCases(), concurrentCases(),
		statsCases(), closeCases(), coordinatedCases(), exclusiveCases(), agingCases(),
		versionCases(), lockCases(), unlockCases(), lockDropCases(), suspensionCases(), forcedLockCases(),
		markCases(), overlapCases(), markWriteCases(), markedLoadCases(),
		explainCases(),
		fenceCases(), orderCases(), objectVersionCases(), objectLockCases(),
		regionCases(), stampCases(), regionLoadCases(),
	)
}

// Run tests that the caches which cfg.New returns keep the contract of package
// cache. Each case is a subtest, named after the rule it checks.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	c := cfg.withDefaults(t)
	all := cases()
	for name := range cfg.Skip {
		if !slices.ContainsFunc(all, func(tc testCase) bool { return tc.name == name }) {
			t.Errorf("cachetest: Config.Skip names no case: %s", name)
		}
	}
	for _, tc := range all {
		t.Run(tc.name, func(t *testing.T) {
			if reason, ok := cfg.Skip[tc.name]; ok {
				t.Skip(reason)
			}
			if c.RealTime != nil && c.RealTime.Parallel {
				t.Parallel()
			}
			if skip := tc.execute(t, c, t); skip != "" {
				t.Skip(skip)
			}
		})
	}
}

// execute runs the case and reports to reportTo(TB). It returns why the case
// does not apply, if so.
func (tc testCase) execute(t *testing.T, cfg *Config, report reporterTB) (skip string) {
	if tc.applies != nil {
		if skip := tc.applies(cfg); skip != "" {
			return skip
		}
	}
	if cfg.RealTime == nil {
		synctest.Test(t, func(t *testing.T) {
			skip, _ = tc.attempt(t, cfg, report)
		})
		return skip
	}
	if tc.exact {
		return "needs virtual time"
	}
	return tc.executeInRealTime(t, cfg, report)
}

// realTimeAttempts is how often a case with deadlines is run, each time with units
// twice as long, until it succeeds.
const realTimeAttempts = 6

func (tc testCase) executeInRealTime(t *testing.T, cfg *Config, report reporterTB) (skip string) {
	for n := 0; ; n++ {
		slower, rt := *cfg, *cfg.RealTime
		rt.Unit <<= n
		rt.Tolerance <<= n
		slower.RealTime = &rt
		var r recorder
		skip, paced := tc.attempt(t, &slower, &r)
		if len(r.failures) == 0 || !paced || n == realTimeAttempts-1 {
			for _, f := range r.failures {
				report.Errorf("%s", f)
			}
			return skip
		}
	}
}

// recorder keeps failures for later.
type recorder struct {
	mu       sync.Mutex
	failures []string
}

func (*recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// reporterTB is where cases report failures: a test, or a recorder when the
// suite itself is tested.
type reporterTB interface {
	Helper()
	Errorf(format string, args ...any)
}

// attempt runs the case once on a cache of its own. paced means that the case
// had deadlines, so that a slow machine may have failed it.
func (tc testCase) attempt(tb testing.TB, cfg *Config, report reporterTB) (skip string, paced bool) {
	c := cfg.New(tb)
	for _, n := range tc.needs {
		if !n.has(c) {
			return fmt.Sprintf("the cache has no %s", n.name), false
		}
	}
	e := &env{tb: tb, report: report, cfg: cfg, rule: tc.rule, c: c, ctx: tb.Context()}
	defer func() {
		paced = e.paced.Load()
		if p := recover(); p != nil && p != stopCase {
			panic(p)
		}
	}()
	tc.run(e)
	return "", false
}
